import CodexTelemetry
import Places
import SystemIO

/// A command that is run in our place and recorded as a span.
struct RecordedCommand {
    /// The command and its arguments.
    let arguments: ProcessArguments
    /// The service's name as it was given; nil: the environment's, else the command's.
    var service: String?
    /// Whether the arguments are recorded too.
    var recordsArguments = false
    /// Whether the command is Codex, to be told to send to the agent.
    var isCodex = false
    /// Which agent gets the record.
    var places = PlaceChoice()

    /// What a shell, `env` and `timeout` say.
    enum Code {
        static let ownFailure: Int32 = 125
        static let cannotRun: Int32 = 126
        static let notFound: Int32 = 127
    }

    init(arguments: ProcessArguments) { self.arguments = arguments }

    /// Runs it, and ends as it ends.
    func run() -> Never {
        let program = arguments.text(0) ?? ""
        let name = program.split(separator: "/").last.map(String.init) ?? program
        if let variable = Surroundings.unreadableVariable {
            // The command is not to blame, and runs.
            Output.complain("not recorded: " + Main.unreadable(variable))
            end(afterFailure: arguments.replaceSelf(), program)
        }
        var shot = OneShot(configuration(name))
        guard shot.isEnabled else {
            end(afterFailure: arguments.replaceSelf(), program)
        }
        let agent = StartOnDemand.ensureAgent(places)
        let words = (0..<arguments.count).map { arguments.text($0) ?? "" }
        let launch =
            isCodex
            ? CodexLaunch(words, places, agent, joining: shot.context, session: shot.sessionID)
            : nil
        if let problem = launch?.problem {
            Output.complain("Codex runs without telemetry: \(problem)")
        }
        for note in launch?.notes ?? [] { Output.complain(note) }
        let start = Telemetry.now()
        var event: ChildProcess.Event?
        var problem: SystemError?
        do throws(SystemError) {
            let running = try ForegroundCommand(
                arguments, inserting: launch?.arguments ?? [], at: launch?.places ?? [],
                environment: launch?.environment(over: shot.childEnvironment)
                    ?? shot.childEnvironment)
            event = try running.waitForEnd()
        } catch {
            problem = error
        }
        withExtendedLifetime(launch) {}
        let exitCode = problem.map(Self.code)
        record(&shot, name, start, event ?? .exited(exitCode ?? Code.ownFailure))
        if case .dropped(let why) = shot.deliver() {
            Output.complain("the record of this command is lost: \(why)")
        }
        if let problem { end(afterFailure: problem, program) }
        end(event)
    }

    private func configuration(_ command: String) -> Telemetry.Configuration {
        var configuration = Telemetry.Configuration()
        configuration.serviceName = command
        configuration.givenServiceName = service
        configuration.overrides = places.overrides
        return configuration
    }

    private func record(
        _ shot: inout OneShot, _ name: String, _ start: Telemetry.Instant,
        _ event: ChildProcess.Event
    ) {
        var attributes = [
            Attribute(.processExecutableName, .string(name)),
            Attribute(.processArgumentCount, .int(Int64(arguments.count - 1))),
        ]
        if recordsArguments {
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
