internal import Control
internal import Export
internal import JournalExport
internal import Logging
internal import Places
internal import Receive
internal import SegmentLog
internal import ServiceLifecycle
internal import SystemIO
internal import UnixSignals

/// The agent: everything is made here, handed what it needs, and run until the end.
///
/// Order of the services is the order of the pipeline; they end in reverse: first no more comes in,
/// then what is stored is passed on, last the log is closed.
package struct AgentProgram: Sendable {
    private let options: AgentOptions
    private let manager = ServiceManager()

    /// Below it there is not enough for log, sockets and exporters, let alone for clients.
    private static let descriptorsMin = 32

    /// With the options of `run`.
    package init(_ options: AgentOptions) {
        self.options = options
    }

    private static var isService: Bool { ThisProcess.environment("INVOCATION_ID") != nil }

    /// `run` for a thread that may wait, as the command's main thread.
    package func runBlocking() -> Int32 {
        // Before anything that needs more: event loops do not survive the want of a descriptor.
        let descriptors = ThisProcess.raiseDescriptorLimit()
        guard descriptors >= Self.descriptorsMin else {
            return Self.refuse(
                """
                it may open \(descriptors) files, and needs \(Self.descriptorsMin) (Too many open \
                files); raise the limit: `ulimit -n`, LimitNOFILE= of the unit
                """)
        }
        if let (threads, error) = ThreadProbe.shortage() {
            return Self.refuse(
                """
                it could make \(threads) threads, and needs \(ThreadProbe.threadsMin) (\(error)); raise \
                the limit, or end others of this user's processes: `ulimit -u`, LimitNPROC= or \
                TasksMax= of the unit, pids.max of the cgroup
                """)
        }
        ThisProcess.fillStandardStreams()
        let ended = Monitor<Int32?>(nil)
        Task.detached {
            let code = await run()
            ended.update { $0 = code }
        }
        return ended.wait { $0 } ?? ExitCode.failure
    }

    /// Says why there is no agent, before there is any logging.
    private static func refuse(_ why: String) -> Int32 {
        Logger(label: "codex-telemetryd") { _ in AgentLog(prefixed: isService) }
            .error("the agent cannot start: \(why)")
        return ExitCode.failure
    }

    /// Runs until SIGTERM, SIGINT or, on demand, idleness. The exit code.
    package func run() async -> Int32 {
        LoggingSystem.bootstrap { _ in AgentLog(prefixed: Self.isService) }
        var logger = Logger(label: "codex-telemetryd")
        do {
            let failpoints = try Failpoints.ofThisProcess()
            try Signals.ignore(Signals.pipe)
            try Signals.ignore(Signals.fileSize)
            // Until it means to reload: by default it would end us.
            try Signals.ignore(Signals.hangup)
            let sockets = manager.takeSockets()
            let wished = AgentPlaces(
                scope: options.scope, overrides: options.overrides,
                surroundings: .ofThisProcess)
            let configuration = ConfigurationState(
                file: wished.configurationFile,
                isNamed: options.overrides.configurationFile != nil)
            loadAtStart(configuration, logger)
            logger.logLevel = configuration.config.logLevel.level
            let places = wished.onLocalState(.ofThisProcess)
            let ignored = Surroundings.ofThisProcess.ignoredVariables
            for sentence in ignored { logger.warning("\(sentence)") }
            let warning = try StateDirectory.prepare(places, wished: wished, logger: logger)
            let storage = try Self.storage(places.stateDirectory, failpoints)
            let limits = try configuration.config.log.limits(on: storage.space())
            let log = try openLog(storage, limits, configuration.config.log.fsync, logger)
            let parts = AgentParts(
                options: options, manager: manager, places: places, configuration: configuration,
                log: log, limits: limits, warnings: ignored + (warning.map { [$0] } ?? []),
                logger: logger, failpoints: failpoints)
            return await parts.run(sockets)
        } catch let mistake as Failpoint.Mistake {
            logger.error("the agent cannot start: \(mistake)")
            return ExitCode.usage
        } catch LogError.locked(let place) {
            // Several commands may start an agent at once: the lock lets one of them be it.
            if options.isOnDemand { return ExitCode.success }
            logger.error(
                "another agent is already using \(place); `codex-telemetryd status` shows it")
            return ExitCode.failure
        } catch LogError.io(let error), LogError.full(let error) {
            logger.error(
                """
                the agent cannot start: the log cannot be opened: \(error); \
                \(StateDirectory.advice(error))
                """)
            return ExitCode.failure
        } catch let error as SystemError {
            logger.error("the agent cannot start: \(error); \(StateDirectory.advice(error))")
            return ExitCode.failure
        } catch {
            logger.error("the agent cannot start: \(error)")
            return ExitCode.failure
        }
    }

    /// A wrong file never keeps intake closed: the built-in default stays in force, loudly.
    private func loadAtStart(_ configuration: ConfigurationState, _ logger: Logger) {
        do {
            try configuration.load(testingFiles: false)
            for problem in configuration.reading.fileProblems {
                logger.error("configuration: \(problem)")
            }
            for warning in configuration.warnings { logger.warning("configuration: \(warning)") }
        } catch {
            for problem in error.problems { logger.error("configuration: \(problem)") }
            logger.error("the built-in default stays in force until the file is right")
        }
    }

    private static func storage(_ path: String, _ failpoints: Failpoints?) throws -> any Storage {
        let storage = try DirectoryStorage(creating: path)
        return failpoints.map { FailpointStorage(storage, $0) } ?? storage
    }

    private func openLog(
        _ storage: any Storage, _ limits: LogLimits, _ fsync: AgentConfig.Fsync,
        _ logger: Logger
    ) throws -> GroupCommit {
        // Reading an unsealed segment again takes longer on a slow disk than a start usually may.
        manager.notify("STATUS=opening the log\nEXTEND_TIMEOUT_USEC=120000000")
        let log = try GroupCommit(
            state: storage, limits: limits, durability: fsync == .everyCommit ? .synced : .written)
        let found = log.recovery
        for problem in found.problems { logger.warning("log: \(problem)") }
        for range in found.damaged { logger.error("log: damaged bytes at \(range)") }
        for range in found.tornTails {
            logger.notice(
                "log: a torn end at \(range) was cut off; quarantine/ has a copy if there was space"
            )
        }
        return log
    }
}

extension AgentConfig.Log {
    /// The log's own limits, on a file system of this size.
    func limits(on space: StorageSpace) -> LogLimits {
        var limits = capBytes.map { LogLimits(capBytes: $0, space: space) } ?? .standard(for: space)
        limits.age = retention
        limits.reserveBytes = min(limits.reserveBytes, reserveBytes)
        limits.syncDelay = fsyncInterval
        limits.syncBytes = Int(clamping: fsyncBytes)
        return limits
    }
}

extension AgentConfig.LogLevel {
    var level: Logger.Level {
        switch self {
        case .debug: .debug
        case .info: .info
        case .warn: .warning
        case .error: .error
        }
    }
}
