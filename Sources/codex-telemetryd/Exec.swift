import ArgumentParser
import CodexTelemetry
import SystemIO

/// `exec -- CMD…`: runs a command and records that it ran.
///
/// The command has our terminal, streams and signals, and its end becomes ours. Nothing here starts a
/// thread or waits for an agent longer than 2 ms.
struct Exec: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run a command and record it as a span.",
        usage: "codex-telemetryd exec [<options>] -- <command> [<argument> ...]",
        discussion: """
            Ends as the command ends: with its code, or by its signal. Ends with 127 if there is no such \
            command, 126 if it cannot be run, 125 if exec itself fails. The span joins the trace and \
            session in TRACEPARENT and BAGGAGE and hands them on. Recorded are the program's name and \
            the number of its arguments. CODEX_OTEL_ENABLED=false: just runs the command. With --codex the \
            command gets further arguments (-c otel.…) and variables, so that what Codex tells of itself \
            goes to the agent, into the same trace; no file is changed, and its own -c otel.… win.
            """)

    @Flag(help: "The command is Codex: have it send its telemetry to the agent for this run.")
    var codex = false
    @Flag(help: "Record the arguments too. They may hold secrets.") var recordArguments = false
    @Option(help: "The service's name; default: CODEX_OTEL_SERVICE_NAME, else the command's.")
    var service: String?
    @OptionGroup(title: "Which agent") var places: PlaceOptions
    @Argument(parsing: .captureForPassthrough, help: "The command and its arguments.")
    var command: [String] = []

    /// Runs without the tree of verbs, and in the usual form, `exec -- CMD…`, without the parser at all: its
    /// dynamic casts look through every conformance of the program, some milliseconds that the command
    /// would wait for. Own failures have `env`'s codes: a script must be able to tell them from the
    /// command's.
    static func main(arguments: [String]) -> Never {
        if arguments.first == "--", arguments.count > 1 {
            let words = ProcessArguments(from: Int(CommandLine.argc) - arguments.count + 1)
            RecordedCommand(arguments: words).run()
        }
        do {
            try Exec.parse(arguments).run()
        } catch {
            let isHelp = exitCode(for: error) == .success
            if isHelp { exit(withError: error) }
            Output.complain(message(for: error))
            ThisProcess.exitNow(RecordedCommand.Code.ownFailure)
        }
        ThisProcess.exitNow(RecordedCommand.Code.ownFailure)
    }

    func run() throws {
        // The arguments as the kernel gave them; what was parsed is repaired text.
        let count = command.first == "--" ? command.count - 1 : command.count
        let arguments = ProcessArguments(from: Int(CommandLine.argc) - count)
        guard let program = arguments.text(0), count > 0 else {
            throw ValidationError("give a command: exec -- CMD…")
        }
        if command.first != "--", program.hasPrefix("-") {
            // The parser takes what it does not know for the command.
            if program == "--help" || program == "-h" { throw CleanExit.helpRequest(self) }
            throw ValidationError("unknown option '\(program)'; the command comes after --")
        }
        var recorded = RecordedCommand(arguments: arguments)
        recorded.service = service
        recorded.recordsArguments = recordArguments
        recorded.isCodex = codex
        recorded.places = places.choice
        recorded.run()
    }
}
