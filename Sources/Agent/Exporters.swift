internal import ByteCoding
internal import Control
internal import DebugExport
internal import Export
internal import FileExport
internal import JournalExport
internal import Logging
internal import OTLPExport
internal import SegmentLog
internal import Synchronization
internal import SystemIO

/// The exporters in force: started, replaced when their configuration changes, stopped. The set is
/// closed; each is a cursor of its own over the log.
final class Exporters: Sendable {
    private enum Kind: Equatable {
        case journald(AgentConfig.Journald, RecordRules)
        case configured(ExporterConfig, RecordRules)

        var type: String {
            switch self {
            case .journald: "journald"
            case .configured(let config, _): config.type
            }
        }

        var startAt: StartPlace {
            let chosen =
                switch self {
                case .journald(let config, _): config.startAt
                case .configured(let config, _): config.settings.basics.startAt
                }
            return chosen == .beginning ? .beginning : .end
        }

        var rules: RecordRules {
            switch self {
            case .journald(_, let rules), .configured(_, let rules): rules
            }
        }
    }

    private struct Running {
        let runner: ExporterRunner
        let kind: Kind
    }

    private static let stopLimit = Duration.seconds(5)
    private static let wakeRest = Duration.milliseconds(10)

    private let storage: any Storage
    private let log: GroupCommit
    private let logger: Logger
    private let failpoints: Failpoints?
    /// Guards the set; held for a copy or a change of it.
    private let running = Mutex<[Running]>([])
    /// Lets one change of configuration follow the other; nothing else waits for it.
    private let applying = Mutex<Void>(())

    init(
        storage: any Storage, log: GroupCommit, logger: Logger, failpoints: Failpoints? = nil
    ) {
        self.failpoints = failpoints
        self.storage = storage
        self.log = log
        self.logger = logger
    }

    /// Puts a configuration in force: what did not change goes on undisturbed. Blocks while an exporter
    /// that is replaced ends; `status` and the watchdog do not wait for it.
    func apply(_ config: AgentConfig) {
        applying.withLock { _ in
            let wanted = Self.wanted(config)
            let replaced = running.withLock { running in
                let gone = running.filter { wanted[$0.runner.name] != $0.kind }
                running.removeAll { wanted[$0.runner.name] != $0.kind }
                return gone
            }
            Self.stop(replaced)
            let there = Set(running.withLock { $0.map(\.runner.name) })
            for (name, kind) in wanted.sorted(by: { $0.key < $1.key }) where !there.contains(name) {
                do {
                    try start(name, kind)
                } catch {
                    logger.error("\(error)")
                }
            }
        }
    }

    /// Ends several at the same time: a dead backend holds its exporter up for the whole limit.
    private static func stop(_ some: [Running]) {
        for one in some { one.runner.askToStop(deadline: stopLimit) }
        for one in some { one.runner.stop(deadline: stopLimit) }
    }

    // MARK: Replay

    /// Moves an exporter's cursor back to the oldest batch that may hold a record of a time or of a later one. What
    /// was sent from there on is sent again, and its counts begin anew there. A sentence, or why not.
    func replay(_ name: String, since nanoseconds: UInt64) -> Result<String, ReplayProblem> {
        applying.withLock { _ in
            let found = running.withLock { running in running.first { $0.runner.name == name } }
            guard let found else {
                let names = running.withLock { $0.map(\.runner.name) }.sorted()
                return .failure(
                    ReplayProblem(
                        "there is no exporter \(name) at work; there are: "
                            + names.joined(separator: ", ")))
            }
            do throws(SourceError) {
                let place = try LogSource.place(
                    since: nanoseconds, state: storage, progress: progress)
                guard let place else {
                    return .failure(ReplayProblem("the log has no record of that time or later"))
                }
                return try replay(found, from: place)
            } catch {
                return .failure(ReplayProblem(error.description))
            }
        }
    }

    private func replay(
        _ one: Running, from place: LogPlace
    ) throws(SourceError) -> Result<String, ReplayProblem> {
        let name = one.runner.name
        guard place.offset < one.runner.snapshot.cursor else {
            return .failure(
                ReplayProblem(
                    "exporter \(name) has not come so far yet: nothing was sent since then"))
        }
        running.withLock { $0.removeAll { $0.runner.name == name } }
        one.runner.stop(deadline: Self.stopLimit)
        do throws(SystemError) {
            // Of what it noted beyond its cursor nothing holds any more. First: with the old cursor that is right, too.
            try CursorNote.remove(state: storage, exporter: name)
        } catch {
            try start(name, one.kind)
            throw SourceError("\(error)")
        }
        let moved = SavedCursor(
            cursor: place, settled: OutcomeCounts(), isClean: false, state: [])
        do throws(SourceError) {
            try CursorFile(state: storage, exporter: name).save(moved, logID: log.logID.hex)
        } catch {
            try start(name, one.kind)
            throw error
        }
        try start(name, one.kind)
        logger.notice("exporter \(name) was told to go on at \(place.offset)")
        return .success("exporter \(name) goes on at \(place.offset); its counts begin there")
    }

    private func start(_ name: String, _ kind: Kind) throws(SourceError) {
        let runner = runner(name, kind)
        do throws(SystemError) {
            try runner.start()
        } catch {
            throw SourceError("exporter \(name) cannot start: \(error)")
        }
        running.withLock { $0.append(Running(runner: runner, kind: kind)) }
    }

    private var progress: LogProgress {
        let log = self.log
        return LogProgress(
            committed: log.committedSource, synced: { log.synced },
            storedRecords: { log.statistics.stored.records })
    }

    // MARK: The set

    private static func wanted(_ config: AgentConfig) -> [String: Kind] {
        var wanted: [String: Kind] = [:]
        if config.journald.enabled {
            wanted["journald"] = .journald(config.journald, config.rules(of: "journald"))
        }
        for (name, exporter) in config.exporters
        where exporter.settings.basics.enabled && config.isUsed(name) {
            wanted[name] = .configured(exporter, config.rules(of: name))
        }
        return wanted
    }

    private func runner(_ name: String, _ kind: Kind) -> ExporterRunner {
        let log = self.log
        return ExporterRunner(
            name: name, startAt: kind.startAt, rules: kind.rules, state: storage,
            progress: progress, reportDamage: { log.report($0) },
            logger: logger,
            makeExporter: { [self] in exporter(name, kind) })
    }

    private func exporter(_ name: String, _ kind: Kind) -> any Exporter {
        switch kind {
        case .journald(let config, _):
            return JournalExporter(configuration: config.exporter, failpoints: failpoints)
        case .configured(.otlpHTTP(let config), _):
            if config.skipsVerification { warnOfAnybody(name) }
            let connection = config.connection { ThisProcess.environment($0) }
            return OTLPExporter(
                name: name, configuration: config.exporter(log: log.logID), state: storage,
                sender: HTTPSender(connection))
        case .configured(.otlpGRPC(let config), _):
            if config.skipsVerification { warnOfAnybody(name) }
            return OTLPExporter(
                name: name, configuration: config.exporter(log: log.logID), state: storage,
                sender: config.sender)
        case .configured(.file(let config), _):
            let home = ThisProcess.environment("HOME") ?? ThisProcess.homeDirectory ?? "/"
            return FileExporter(
                name: name, configuration: config.exporter(home: home), state: storage)
        case .configured(.debug(let config), _):
            var printer = logger
            printer.logLevel = .info
            let copy = printer
            return DebugExporter(configuration: config.exporter) { copy.info("\($0)") }
        }
    }

    private func warnOfAnybody(_ name: String) {
        logger.warning(
            "exporter \(name): insecure_skip_verify is set, so that anybody may be the backend")
    }

    /// Lets `run` see that it was told to stop.
    func wake() { log.wakeWaiters() }

    /// Wakes the runners as the log grows; at the end stops them, each with what it can still send.
    func run(until stop: ThreadService.Stop) {
        var seen = LogOffset(rawValue: 0)
        while !stop.isRaised {
            let hasGrown = log.waitForCommit(
                beyond: seen, until: nil, unless: { stop.isRaised })
            let runners = running.withLock { $0.map(\.runner) }
            if hasGrown {
                seen = log.committed
                for runner in runners { runner.wake() }
            }
            // A busy log commits thousands of times a second.
            let rest = runners.map(\.restNanoseconds).min().map { Duration.nanoseconds(Int64($0)) }
            if stop.wait(atMost: max(rest ?? .zero, Self.wakeRest)) { break }
        }
        let all = running.withLock { running in
            defer { running = [] }
            return running
        }
        Self.stop(all)
    }

    /// Whether nothing waits that could be sent now.
    var isDone: Bool {
        running.withLock { $0 }.allSatisfy { one in
            let snapshot = one.runner.snapshot
            return snapshot.waiting == 0 || snapshot.state.name != "running"
        }
    }

    /// Loops that have not completed an iteration, by name and for how long.
    var busyLoops: [(name: String, busy: Duration)] {
        let now = SystemTime().boottime()
        return running.withLock { $0 }.compactMap { one in
            let last = one.runner.snapshot.turnNanoseconds
            guard last > 0, now > last else { return nil }
            return ("exporter \(one.runner.name)", .nanoseconds(Int64(now - last)))
        }
    }

    var status: [AgentStatus.Exporter] {
        running.withLock { $0 }.map { one in
            let snapshot = one.runner.snapshot
            var exporter = AgentStatus.Exporter()
            exporter.name = one.runner.name
            exporter.type = one.kind.type
            exporter.state = snapshot.state.name
            exporter.reason = snapshot.state.reason
            exporter.stored = snapshot.stored
            exporter.delivered = snapshot.counts[.delivered]
            exporter.waiting = snapshot.waiting
            exporter.excluded = snapshot.excluded
            exporter.lost = snapshot.lost
            exporter.cursor = "\(snapshot.cursor)"
            exporter.savedCursor = snapshot.savedCursor.map { "\($0)" } ?? ""
            exporter.cursorsSetAside = snapshot.cursorsSetAside
            exporter.details = snapshot.details
            return exporter
        }
    }
}

/// Why a cursor was not moved: a sentence.
struct ReplayProblem: Error {
    let sentence: String
    init(_ sentence: String) { self.sentence = sentence }
}
