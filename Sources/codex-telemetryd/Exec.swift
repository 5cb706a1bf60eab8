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
            the number of its arguments. CODEX_OTEL_ENABLED=false: just runs the command.
            """)

    @Flag(help: "Record the arguments too. They may hold secrets.") var recordArguments = false
    @Option(help: "The service's name; default: the command's.") var service: String?
    @OptionGroup(title: "Which agent") var places: PlaceOptions
    @Argument(parsing: .captureForPassthrough, help: "The command and its arguments.")
    var command: [String] = []

    /// What a shell, `env` and `timeout` say.
    private enum Code {
        static let ownFailure: Int32 = 125
        static let cannotRun: Int32 = 126
        static let notFound: Int32 = 127
    }

    /// Parses and runs without the tree of verbs. Own failures have `env`'s codes: a script must be able to
    /// tell them from the command's.
    static func main(arguments: [String]) -> Never {
        do {
            try Exec.parse(arguments).run()
        } catch {
            let isHelp = exitCode(for: error) == .success
            if isHelp { exit(withError: error) }
            Output.complain(message(for: error))
            ThisProcess.exitNow(Code.ownFailure)
        }
        ThisProcess.exitNow(Code.ownFailure)
    }

    func run() throws {
        // The arguments as the kernel gave them; what was parsed is repaired text.
        let words = command.first == "--" ? command.count - 1 : command.count
        let arguments = ProcessArguments(from: Int(CommandLine.argc) - words)
        guard let program = arguments.text(0), words > 0 else {
            throw ValidationError("give a command: exec -- CMD…")
        }
        if command.first != "--", program.hasPrefix("-") {
            // The parser takes what it does not know for the command.
            if program == "--help" || program == "-h" { throw CleanExit.helpRequest(self) }
            throw ValidationError("unknown option '\(program)'; the command comes after --")
        }
        let name = program.split(separator: "/").last.map(String.init) ?? program
        var shot = OneShot(configuration(service ?? name))
        guard shot.isEnabled else {
            end(afterFailure: arguments.replaceSelf(), program)
        }
        _ = StartOnDemand.ensureAgent(places)
        let start = Telemetry.now()
        var event: ChildProcess.Event?
        var problem: SystemError?
        do throws(SystemError) {
            let running = try ForegroundCommand(arguments, environment: shot.childEnvironment)
            event = try running.waitForEnd()
        } catch {
            problem = error
        }
        let exitCode = problem.map(Self.code)
        record(&shot, name, arguments, start, event ?? .exited(exitCode ?? Code.ownFailure))
        if case .dropped(let why) = shot.deliver() {
            Output.complain("the record of this command is lost: \(why)")
        }
        if let problem { end(afterFailure: problem, program) }
        end(event)
    }

    private func configuration(_ service: String) -> Telemetry.Configuration {
        var configuration = Telemetry.Configuration()
        configuration.serviceName = service
        configuration.overrides = places.overrides
        return configuration
    }

    private func record(
        _ shot: inout OneShot, _ name: String, _ arguments: ProcessArguments,
        _ start: Telemetry.Instant, _ event: ChildProcess.Event
    ) {
        var attributes = [
            Attribute(.processExecutableName, .string(name)),
            Attribute(.processArgumentCount, .int(Int64(arguments.count - 1))),
        ]
        if recordArguments {
            let words = (0..<arguments.count).compactMap { arguments.text($0) }
            attributes.append(
                Attribute("process.command_args", .array(words.map { .string($0) })))
        }
        var error: ErrorType?
        switch event {
        case .exited(let code):
            attributes.append(Attribute(.processExitCode, .int(Int64(code))))
            if code != 0 { error = .nonzeroExit }
        case .killed(let signal):
            attributes.append(Attribute(.processExitSignal, .string(Signals.name(signal))))
            error = .signal
        case .stopped, .continued: break
        }
        shot.span(
            CodexOperation.command.name.text, start: start, end: Telemetry.now(),
            status: .ok, error: error, attributes: attributes)
    }

    private static func code(_ problem: SystemError) -> Int32 {
        guard problem.operation == .spawn else { return Code.ownFailure }
        return problem.isMissing ? Code.notFound : Code.cannotRun
    }

    private func end(afterFailure problem: SystemError, _ program: String) -> Never {
        Output.complain("cannot run '\(program)': \(problem.reason)")
        ThisProcess.exitNow(Self.code(problem))
    }

    private func end(_ event: ChildProcess.Event?) -> Never {
        switch event {
        case .exited(let code)?: ThisProcess.exitNow(code)
        case .killed(let signal)?: Signals.endProcess(by: signal)
        case .stopped?, .continued?, nil: ThisProcess.exitNow(Code.ownFailure)
        }
    }
}
