import Places
import SystemIO

/// Starts a per-user agent where nothing else does: no service manager, or none with our socket units.
enum StartOnDemand {
    /// What came of it.
    enum Outcome: Equatable {
        /// Somebody listens already.
        case isRunning
        /// One was started, by us or by another command at this moment.
        case isStarting
        /// It must not or could not be started, and why.
        case refused(String)
    }

    /// Held by whoever starts an agent, and then by that agent for as long as it lives: of many commands that
    /// find no agent at the same time one starts it.
    private static let lockName = "starting.lock"

    /// Makes sure that an agent listens, or will in some milliseconds.
    static func ensureAgent(_ options: PlaceChoice) -> Outcome {
        for places in options.candidates where isListening(places.ingestSocket) {
            return .isRunning
        }
        if options.system { return .refused("the system agent is started by systemd") }
        if ThisProcess.environment("CODEX_TELEMETRY_AUTOSTART") == "0" {
            return .refused("CODEX_TELEMETRY_AUTOSTART is 0")
        }
        let places = options.ownAgent
        if let problem = UnixSocket.pathProblem(places.ingestSocket) { return .refused(problem) }
        do {
            return try start(places, options)
        } catch {
            return .refused("\(error)")
        }
    }

    /// Waits until the control socket answers, at most some time; whether it does.
    static func waitUntilAnswering(_ places: AgentPlaces, milliseconds: UInt64) -> Bool {
        let deadline = Clocks.monotonic() + milliseconds * 1_000_000
        while !isListening(places.controlSocket) {
            guard Clocks.monotonic() < deadline else { return false }
            pause(milliseconds: 5)
        }
        return true
    }

    /// Whether the agent that was started has ended: it holds the lock for as long as it lives.
    static func hasEnded(_ options: PlaceChoice) -> Bool {
        do {
            let path = options.ownAgent.stateDirectory + "/" + lockName
            return try Files.open(path, [.read, .noFollow]).lock(exclusive: false)
        } catch {
            // What cannot be looked at may well live; the caller's deadline holds.
            return false
        }
    }

    /// Lets some time pass.
    static func pause(milliseconds: Int32) {
        do {
            _ = try Readiness.wait(forAnyOf: [], milliseconds: milliseconds)
        } catch {
            // Poll on nothing fails only for want of memory; the caller's deadline still holds.
        }
    }

    /// Whether an agent that clients trust listens: a stranger's socket is no agent of ours.
    private static func isListening(_ path: String) -> Bool {
        do { return try TrustedAgent.listener(at: path) == .trusted } catch { return false }
    }

    private static func start(
        _ places: AgentPlaces, _ options: PlaceChoice
    ) throws(SystemError) -> Outcome {
        guard let program = ThisProcess.executablePath else {
            return .refused("the path of this program is not known")
        }
        try Files.makeDirectories(places.stateDirectory)
        let lock = try Files.open(
            places.stateDirectory + "/" + lockName, [.readWrite, .create, .noFollow])
        guard try lock.lock() else { return .isStarting }
        // Between our look and the lock another's agent may have come up, and gone down again: fine, the
        // agent's own lock decides.
        _ = try ChildProcess.startDetached(
            program, arguments: arguments(options), keeping: lock.number)
        return .isStarting
    }

    private static func arguments(_ options: PlaceChoice) -> [String] {
        var arguments = ["codex-telemetryd", "run", "--on-demand", "--user"]
        let given = [
            ("--socket", options.overrides.ingestSocket),
            ("--control-socket", options.overrides.controlSocket),
            ("--state-dir", options.overrides.stateDirectory),
            ("--config", options.overrides.configurationFile),
        ]
        for case (let name, let value?) in given {
            // The agent's working directory is `/`.
            arguments += [name, absolute(value)]
        }
        return arguments
    }

    private static func absolute(_ path: String) -> String {
        if path.hasPrefix("/") { return path }
        do { return try Files.resolve(".") + "/" + path } catch { return path }
    }
}
