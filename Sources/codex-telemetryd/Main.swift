import Agent
import ArgumentParser
import SystemIO

/// One program, a verb each file. `codex-telemetry` is a link to it.
@main
struct Main {
    static func main() {
        let arguments = CommandLine.arguments
        // `exec` stands in the way of the command it runs: it skips the tree of verbs, and nothing may
        // start a thread before the command's signals are blocked.
        if arguments.count > 1, arguments[1] == "exec" {
            Exec.main(arguments: Array(arguments.dropFirst(2)))
        }
        do {
            var command = try Root.parseAsRoot()
            try command.run()
            Output.finish()
        } catch {
            end(error)
        }
    }

    /// Says what went wrong and ends with the code that goes with it.
    static func end(_ error: any Error) -> Never {
        if let failure = error as? CommandFailure {
            Output.flush()
            Output.complain(failure.sentence)
            ThisProcess.exitNow(failure.code.rawValue)
        }
        Root.exit(withError: error)
    }
}

/// The tree of verbs.
struct Root: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "codex-telemetryd",
        abstract: "Telemetry of coding agents: stored on this host, forwarded to its journal.",
        discussion: """
            Instrumented programs send spans, metrics and events over a Unix socket; the agent keeps \
            them in a log and forwards them. Nothing leaves the machine unless an endpoint is \
            configured.
            """,
        version: AgentVersion.program,
        subcommands: [
            Run.self, Status.self, Tail.self, Trace.self, Exec.self, Emit.self, Config.self,
            Version.self,
        ])
}
