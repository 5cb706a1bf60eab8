import CodexTelemetry
import Control
import Inspect
import Places
import SystemIO

/// Which agent's records are read, and by which way.
struct RecordPlace {
    /// The way to the records.
    enum Way {
        /// The log's files under this state directory.
        case files(String)
        /// The agent behind this control socket.
        case control(String)
    }

    /// The way.
    let way: Way
    /// Whether an agent answers: there may be more to come.
    let isRunning: Bool

    private static let startMilliseconds: UInt64 = 5_000
    private static let drainMilliseconds: UInt64 = 2_000

    /// Finds an agent, starting one if that is allowed and none answers, and the way to what it stored.
    static func find(_ options: PlaceChoice) throws(CommandFailure) -> RecordPlace {
        let outcome = StartOnDemand.ensureAgent(options)
        if outcome == .isStarting {
            _ = StartOnDemand.waitUntilAnswering(
                options.ownAgent, milliseconds: startMilliseconds)
        }
        do throws(CommandFailure) {
            let agent = try options.answering()
            sayIfSeveral(options, agent)
            let state = try stateDirectory(of: agent, options)
            if agent.scope == .user { waitForSpool(state) }
            if isReadable(state) { return RecordPlace(way: .files(state), isRunning: true) }
            return RecordPlace(way: .control(agent.controlSocket), isRunning: true)
        } catch {
            // Nobody answers, but what was stored before may be there to read.
            let around = Surroundings.ofThisProcess
            let states = options.candidates.map { $0.onLocalState(around).stateDirectory }
            guard let stored = states.first(where: isReadable) else { throw error }
            return RecordPlace(way: .files(stored), isRunning: false)
        }
    }

    /// A socket that was named says nothing of the state directory behind it: its agent does.
    private static func stateDirectory(
        of agent: AgentPlaces, _ options: PlaceChoice
    ) throws(CommandFailure) -> String {
        let isSocketNamed =
            (options.overrides.ingestSocket ?? options.overrides.controlSocket
                ?? ThisProcess.environment("CODEX_TELEMETRY_SOCKET")) != nil
        let isStateNamed =
            (options.overrides.stateDirectory
                ?? ThisProcess.environment("CODEX_TELEMETRY_STATE_DIR")) != nil
        guard isSocketNamed, !isStateNamed else {
            return agent.onLocalState(.ofThisProcess).stateDirectory
        }
        do throws(ControlError) {
            var client = try ControlClient(path: agent.controlSocket)
            let told = try client.status().agent.places
            return told.first { $0.key.contains("state") }?.value ?? agent.stateDirectory
        } catch {
            throw error.failure
        }
    }

    private static func isReadable(_ state: String) -> Bool {
        do {
            _ = try Files.list(state + "/log")
            return true
        } catch {
            return false
        }
    }

    /// What a command before us left in the spool is taken by the agent within a second: who asks right
    /// after it wants to see it.
    private static func waitForSpool(_ state: String) {
        let around = Surroundings.ofThisProcess
        let places = Set(SpoolPlaces.candidates(surroundings: around) + [state + "/spool"])
        let deadline = Clocks.monotonic() + drainMilliseconds * 1_000_000
        while Clocks.monotonic() < deadline, places.contains(where: holdsSpool) {
            StartOnDemand.pause(milliseconds: 10)
        }
    }

    private static func holdsSpool(_ directory: String) -> Bool {
        do {
            for name in try Files.list(directory) where name.hasSuffix(".spool") {
                // Locked: its writer lives, and the agent leaves it alone.
                let file = try Files.open(directory + "/" + name, [.read, .noFollow, .nonBlocking])
                if try file.lock(exclusive: false) { return true }
            }
            return false
        } catch {
            return false
        }
    }

    private static func sayIfSeveral(_ options: PlaceChoice, _ chosen: AgentPlaces) {
        guard !options.user, !options.system, options.overrides.controlSocket == nil else { return }
        for other in options.candidates where other.scope != chosen.scope {
            do {
                _ = try UnixSocket.connect(other.controlSocket, blocking: false)
                Output.complain(
                    "the \(chosen.scope.rawValue) agent answered; for the "
                        + "\(other.scope.rawValue) agent, give --\(other.scope.rawValue)")
                return
            } catch {
                continue
            }
        }
    }
}
