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

/// The agent's parts, once the log is open: made, wired, run, ended.
final class AgentParts: Sendable {
    private let options: AgentOptions
    private let manager: ServiceManager
    private let places: AgentPlaces
    private let configuration: ConfigurationState
    private let log: GroupCommit
    private let logger: Logger
    private let failpoints: Failpoints?
    private let ledger = IntakeLedger()
    private let admission: Admission
    private let exporters: Exporters
    private let report: StatusReport
    private let controlBeat = Heartbeat()
    private let descriptors = ThisProcess.raiseDescriptorLimit()
    private let intakeProgress: IntakeProgress
    /// After a start clients and exporters come first.
    private static let settleDelay = Duration.seconds(1)
    private let socketWatch: SocketWatch
    private let receivers: Receivers
    /// Key `receivers.codex.enabled` as it was at the start.
    private let takesBatches: Bool

    init(
        options: AgentOptions, manager: ServiceManager, places: AgentPlaces,
        configuration: ConfigurationState, log: GroupCommit,
        limits: LogLimits, warnings: [String], logger: Logger, failpoints: Failpoints?
    ) {
        self.failpoints = failpoints
        self.options = options
        self.manager = manager
        self.places = places
        self.configuration = configuration
        self.log = log
        self.logger = logger
        admission = Admission(limits: configuration.config.intake.limits.within(descriptors))
        intakeProgress = IntakeProgress(ledger: ledger)
        let socketWatch = SocketWatch(logger: logger)
        self.socketWatch = socketWatch
        takesBatches = configuration.config.intake.enabled
        let receivers = Receivers()
        self.receivers = receivers
        let exporters = Exporters(
            storage: log.state, log: log, logger: logger, failpoints: failpoints)
        self.exporters = exporters
        report = StatusReport(
            places: places, started: Clocks.wall(), startedMonotonic: Clocks.monotonic(), log: log,
            ledger: ledger, admission: admission, limits: limits,
            exporters: { exporters.status }, receivers: { receivers.status },
            problems: {
                configuration.problems.map { "configuration: \($0)" } + socketWatch.problems
            }, warnings: { warnings + configuration.warnings.map { "configuration: \($0)" } })
    }

    /// Runs until the end; the exit code.
    func run(_ sockets: [ServiceManager.HandedSocket]) async -> Int32 {
        do {
            try StateDirectory.prepareSocketDirectory(places)
            let control = try controlServer(sockets)
            let ingest = ingestServer(sockets)
            let otlp = configuration.config.otlp
            if otlp.enabled { receivers.start(otlpServer(otlp, sockets)) }
            exporters.apply(configuration.config)
            let group = ServiceGroup(
                configuration: ServiceGroupConfiguration(
                    services: services(control: control, ingest: ingest),
                    gracefulShutdownSignals: [.sigterm, .sigint], logger: logger))
            try await group.run()
            finish()
            return ExitCode.success
        } catch {
            let remedy = (error as? SystemError)?.remedy.map { "; \($0)" } ?? ""
            logger.error("the agent ends: \(error)\(remedy)")
            finish()
            return ExitCode.failure
        }
    }

    private func finish() {
        manager.notify("STOPPING=1")
        log.shutdown()
    }

    // MARK: Services, in the order of the pipeline

    private func services(
        control: ControlServer, ingest: IngestServer
    ) -> [ServiceGroupConfiguration.ServiceConfiguration] {
        let idle = options.isOnDemand ? options.idleLimit : nil
        var services: [any Service] = [
            ThreadService(name: "exporters", onStop: { [exporters] in exporters.wake() }) {
                [exporters] stop in exporters.run(until: stop)
            },
            ThreadService(name: "control", onStop: { control.wake() }) { control.run($0) },
            ThreadService(name: "spool") { [self] stop in drainSpool(stop) },
            ThreadService(name: "log-teller", onStop: { [log] in log.wakeTeller() }) {
                [log, places, logger] stop in
                LogTeller(log: log, place: places.logDirectory, logger: logger).run(stop)
            },
            ThreadService(name: "settle") { [self] stop in settle(stop) },
            ThreadService(name: "status") { [self] stop in tellStatus(stop) },
            ReloadService { [self] in _ = reload() },
        ]
        if let interval = manager.watchdogInterval {
            let watchdog = Watchdog(
                manager: manager, interval: interval / 2,
                loops: { [exporters, controlBeat, intakeProgress] in
                    exporters.busyLoops + [
                        ("control", controlBeat.busy), ("log", intakeProgress.stalled),
                    ]
                },
                probe: { [takesBatches] in takesBatches ? ingest.probe($0) : $0() }, logger: logger)
            services.append(ThreadService(name: "watchdog") { watchdog.run($0) })
        }
        if takesBatches {
            services.append(ingest)
        } else {
            logger.notice("receivers.codex is switched off: nobody listens for batches")
            manager.notify("READY=1\nSTATUS=receivers.codex is switched off")
        }
        if let otlp = receivers.otlp { services.append(otlp) }
        var configurations = services.map {
            ServiceGroupConfiguration.ServiceConfiguration(service: $0)
        }
        if takesBatches && ingest.nameIsOurs || control.nameState != nil {
            configurations.append(watchSockets(control: control, ingest: ingest))
        }
        if let idle {
            let watch = IdleWatch(
                limit: idle, ledger: ledger, admission: admission, control: control,
                exporters: exporters)
            configurations.append(
                ServiceGroupConfiguration.ServiceConfiguration(
                    service: ThreadService(name: "idle") { watch.run($0) },
                    successTerminationBehavior: .gracefullyShutdownGroup))
        }
        return configurations
    }

    private func watchSockets(
        control: ControlServer, ingest: IngestServer
    ) -> ServiceGroupConfiguration.ServiceConfiguration {
        let own = SocketWatch.Socket(
            state: { ingest.nameState }, path: places.ingestSocket,
            listenAgain: { try ingest.listenAgain() })
        let sockets =
            (takesBatches ? [own] : []) + [
                SocketWatch.Socket(
                    state: { control.nameState }, path: places.controlSocket,
                    listenAgain: { [self] in
                        let socket = try listenForQuestions()
                        try control.move(to: socket, name: SocketName(places.controlSocket))
                    })
            ]
        let watch = socketWatch
        return ServiceGroupConfiguration.ServiceConfiguration(
            service: ThreadService(name: "sockets") { watch.run($0, keeping: sockets) },
            successTerminationBehavior: .gracefullyShutdownGroup)
    }

    private var socketMode: UInt32 { places.scope == .system ? 0o666 : 0o600 }

    private func ingestServer(_ sockets: [ServiceManager.HandedSocket]) -> IngestServer {
        let handed = sockets.first { $0.name == "ingest" }
        let manager = self.manager
        return IngestServer(
            listener: handed.map { .handed($0.descriptor) }
                ?? .path(places.ingestSocket, mode: socketMode),
            log: log, admission: admission, ledger: ledger, logger: logger,
            failpoints: failpoints, whenOpen: { manager.notify("READY=1\nSTATUS=intake open") })
    }

    private func otlpServer(
        _ config: AgentConfig.OTLP, _ sockets: [ServiceManager.HandedSocket]
    ) -> OTLPServer {
        let handed = sockets.filter { $0.name == "otlp" }
        var own = config.places
        if !handed.isEmpty {
            // The service manager has the loopback; it knows nothing of certificates.
            own = handed.map { .handed($0.descriptor) } + own.filter(\.isSecure)
        } else {
            own.append(.path(places.otlpSocket, mode: socketMode))
        }
        return OTLPServer(
            places: own,
            ownUID: places.scope == .user ? ThisProcess.euid : nil, log: log,
            admission: admission, ledger: ledger, limits: OTLPLimits().within(descriptors),
            logger: logger)
    }

    private func controlServer(_ sockets: [ServiceManager.HandedSocket]) throws -> ControlServer {
        let stream = StoredEntryStream(stateDirectory: places.stateDirectory, log: log)
        let answers = ControlServer.Answers(
            status: { [report] in report.make() }, reload: { [self] in reload() },
            replay: { [exporters] in exporters.replay($0.exporter, since: $0.since) },
            sync: { [log] in
                do {
                    try log.sync()
                    return true
                } catch { return false }
            },
            read: { stream.run($0, uid: $1, send: $2) })
        if let handed = sockets.first(where: { $0.name == "control" }) {
            return try ControlServer(
                socket: UnixSocket(owning: handed.descriptor, blocking: true), answers: answers,
                heartbeat: controlBeat, logger: logger)
        }
        return try ControlServer(
            socket: listenForQuestions(), name: SocketName(places.controlSocket),
            answers: answers, heartbeat: controlBeat, logger: logger)
    }

    private func listenForQuestions() throws -> UnixSocket {
        let path = places.controlSocket
        do {
            return try UnixSocket.listenAnew(path, mode: socketMode) {
                logger.notice("a stale socket was replaced", metadata: ["socket": "\(path)"])
            }
        } catch ListenError.system(let error) {
            throw error
        } catch {
            throw StateDirectory.Problem(description: "\(error) with --control-socket")
        }
    }

    private func drainSpool(_ stop: ThreadService.Stop) {
        // The system agent never opens users' files.
        guard places.scope == .user, takesBatches else {
            stop.wait()
            return
        }
        var directories = [places.spoolDirectory]
        for place in SpoolPlaces.candidates(surroundings: .ofThisProcess)
        where !directories.contains(place) {
            directories.append(place)
        }
        let drainer = SpoolDrainer(
            directories: directories, log: log, ledger: ledger, logger: logger,
            failpoints: failpoints)
        var notes = SpoolDrainer.Notes()
        repeat {
            _ = drainer.drain(&notes)
        } while !stop.wait(atMost: .seconds(1))
    }

    /// What a start leaves to be done when there is time: giving back the memory it took, and finding
    /// the damage that lies behind all cursors.
    private func settle(_ stop: ThreadService.Stop) {
        if stop.wait(atMost: Self.settleDelay) { return }
        ThisProcess.releaseCode()
        do {
            try log.scrubSealed { stop.wait(atMost: .nanoseconds(Int64(clamping: $0))) }
        } catch {
            logger.warning("log: a sealed segment cannot be read through: \(error)")
        }
        stop.wait()
    }

    /// Keeps the service manager's one line true.
    private func tellStatus(_ stop: ThreadService.Stop) {
        guard manager.isPresent else {
            stop.wait()
            return
        }
        var told = ""
        while !stop.wait(atMost: .seconds(5)) {
            let line = report.line
            // One line: a path with a newline must not become a message of its own.
            if line != told {
                manager.notify("STATUS=\(String(line.map { $0.isNewline ? " " : $0 }))")
            }
            told = line
        }
    }

    /// Reads the file again and applies it. What cannot change while the log is open says so.
    private func reload() -> Result<String, ConfigProblems> {
        manager.reloading(monotonicMicroseconds: Clocks.monotonic() / 1000)
        defer { manager.notify("READY=1") }
        let old = configuration.config
        do {
            try configuration.load()
        } catch {
            for problem in error.problems { logger.error("reload: \(problem)") }
            logger.error("the old configuration stays in force")
            return .failure(error)
        }
        let new = configuration.config
        for warning in configuration.warnings { logger.warning("reload: \(warning)") }
        admission.change(to: new.intake.limits.within(descriptors))
        exporters.apply(new)
        for problem in Set(receivers.otlp?.renewCertificates() ?? []).sorted() {
            logger.error("reload: receivers.otlp: \(problem); the old certificates stay")
        }
        var late: [String] = []
        if old.log != new.log { late.append("log") }
        if old.otlp != new.otlp { late.append("receivers.otlp") }
        if old.intake.enabled != new.intake.enabled { late.append("receivers.codex.enabled") }
        if old.logLevel != new.logLevel { late.append("service.telemetry.logs.level") }
        let sentence =
            late.isEmpty
            ? "the configuration is in force"
            : "the configuration is in force; changes under \(late.joined(separator: ", ")) "
                + "need a restart"
        logger.info("reload: \(sentence)")
        return .success(sentence)
    }
}

extension AgentConfig.Intake {
    var limits: IntakeLimits {
        var limits = IntakeLimits()
        limits.connectionsMax = connectionsMax
        limits.connectionsPerUserMax = connectionsPerUserMax
        limits.inFlightBytesMax = inFlightBytesMax
        limits.inFlightBytesPerConnectionMax = inFlightBytesPerConnectionMax
        return limits
    }
}

extension IntakeLimits {
    /// The limits of a process that may open this many descriptors: connections must leave some for the
    /// log, the exporters, the control socket and OTLP.
    func within(_ descriptors: Int) -> IntakeLimits {
        let own = 96 + OTLPLimits().within(descriptors).connectionsMax
        var limits = self
        limits.connectionsMax = min(connectionsMax, max(descriptors - own, descriptors / 4))
        return limits
    }
}

extension OTLPLimits {
    /// The same for OTLP.
    func within(_ descriptors: Int) -> OTLPLimits {
        var limits = self
        limits.connectionsMax = min(connectionsMax, max(descriptors / 4, 1))
        return limits
    }
}
