import ArgumentParser
import CodexTelemetry
import Control
import Inspect
import Places
import SystemIO

/// Which agent is meant: the same options for every verb.
struct PlaceOptions: ParsableArguments {
    @Option(help: ArgumentHelp("The socket that producers write to.", valueName: "path"))
    var socket: String?
    @Option(help: ArgumentHelp("The socket that commands ask.", valueName: "path"))
    var controlSocket: String?
    @Option(help: ArgumentHelp("Where the agent keeps its log.", valueName: "path"))
    var stateDir: String?
    @Option(help: ArgumentHelp("The agent's configuration file.", valueName: "path"))
    var config: String?
    @Flag(help: "Only the user's own agent.") var user = false
    @Flag(help: "Only the host's agent.") var system = false

    func validate() throws {
        if user, system { throw ValidationError("--user and --system exclude each other") }
        for path in [socket, controlSocket].compactMap({ $0 }) {
            if let problem = UnixSocket.pathProblem(path) { throw ValidationError(problem) }
        }
    }

    /// What was given, as overrides of the places' rules.
    var overrides: PlaceOverrides {
        PlaceOverrides(
            ingestSocket: socket, controlSocket: controlSocket, stateDirectory: stateDir,
            configurationFile: config)
    }

    /// The agents to try, in order.
    var candidates: [AgentPlaces] {
        let around = Surroundings.ofThisProcess
        if system {
            return [AgentPlaces(scope: .system, overrides: overrides, surroundings: around)]
        }
        let all = AgentPlaces.candidates(overrides: overrides, surroundings: around)
        return user ? all.filter { $0.scope == .user } : all
    }

    /// The user's own agent, whether it runs or not.
    var ownAgent: AgentPlaces {
        AgentPlaces(scope: .user, overrides: overrides, surroundings: .ofThisProcess)
    }

    /// The first agent that answers.
    ///
    /// - Throws: `notRunning`, with what was tried and how to start one.
    func answering() throws(CommandFailure) -> AgentPlaces {
        var problems: [String] = []
        for places in candidates {
            do {
                _ = try UnixSocket.connect(places.controlSocket, blocking: false)
                return places
            } catch {
                problems.append(
                    error.isPermission
                        ? "\(places.controlSocket): no permission"
                        : "nobody answers at \(places.controlSocket)")
            }
        }
        throw CommandFailure(
            .notRunning,
            "no agent is running: \(problems.joined(separator: "; ")). Start one with "
                + "'\(Output.programName) run', or 'systemctl --user start codex-telemetry.socket'")
    }
}

extension ControlError {
    /// As the end of a command.
    var failure: CommandFailure {
        switch self {
        case .notRunning: CommandFailure(.notRunning, description)
        case .refused(let code, let sentence):
            CommandFailure(CommandFailure.Code(rawValue: Int32(code)) ?? .failed, sentence)
        default: CommandFailure(.failed, description)
        }
    }
}
