import Agent
import ArgumentParser
import Places
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
        // `run` stays: what the parser would touch once in its life would stay in memory with it.
        if arguments.count > 1, arguments[1] == "run", !ProcessArguments(from: 1).isRepaired,
            Surroundings.unreadableVariable == nil,
            let options = RunOptions(words: arguments.dropFirst(2))
        {
            options.run()
        }
        do {
            var command = try Root.parseAsRoot()
            if let name = Surroundings.unreadableVariable {
                throw CommandFailure(.usage, unreadable(name))
            }
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
        // Help and the version are our own words; an error repeats the caller's, escape sequences and all.
        if Root.exitCode(for: error) == .success { Root.exit(withError: error) }
        Output.flush()
        let message = Root.fullMessage(for: error)
        // A bare exit code has none.
        if !message.isEmpty {
            Output.complain(message.hasPrefix("Error: ") ? String(message.dropFirst(7)) : message)
        }
        ThisProcess.exitNow(Root.exitCode(for: error).rawValue)
    }

    /// A sentence on a variable whose path cannot be taken.
    static func unreadable(_ name: String) -> String {
        "\(name) is not UTF-8; only paths in UTF-8 are taken: set it to one"
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
            Run.self, Status.self, Tail.self, Trace.self, Exec.self, Emit.self, Replay.self,
            ExportRecords.self, Config.self, Setup.self, Version.self,
        ])
}
