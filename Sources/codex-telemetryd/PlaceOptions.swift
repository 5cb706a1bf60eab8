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
        for path in [socket, controlSocket, stateDir, config].compactMap({ $0 }) {
            try Self.refuseRepaired(path)
        }
        for path in [socket, controlSocket].compactMap({ $0 }) {
            if let problem = UnixSocket.pathProblem(path) { throw ValidationError(problem) }
        }
    }

    /// A path that is not UTF-8 arrives here as another one.
    static func refuseRepaired(_ path: String) throws {
        guard path.unicodeScalars.contains("\u{FFFD}"), ProcessArguments(from: 1).isRepaired else {
            return
        }
        throw ValidationError("the path '\(path)' is not UTF-8; only paths in UTF-8 are taken")
    }

    /// Without the parser's wrappers.
    var choice: PlaceChoice {
        PlaceChoice(
            overrides: PlaceOverrides(
                ingestSocket: socket, controlSocket: controlSocket, stateDirectory: stateDir,
                configurationFile: config), user: user, system: system)
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
