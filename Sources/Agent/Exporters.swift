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

        /// What stands in its files of certificates now.
        var fileStamp: [UInt64] {
            switch self {
            case .configured(.otlpHTTP(let config), _): config.certificates.fileStamp
            case .configured(.otlpGRPC(let config), _): config.certificates.fileStamp
            case .configured, .journald: []
            }
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
        /// What stood in its files of certificates when it started.
        let files: [UInt64]
    }

    private struct Roster {
        var wanted: [String: Kind] = [:]
        var running: [Running] = []
        /// Told to end; of the same name none starts before they have.
        var ending: [Running] = []
        var isOver = false

        func kind(wantedAs name: String) -> Kind? {
            let isThere = running.contains { $0.runner.name == name }
            return isOver || isThere ? nil : wanted[name]
        }

        /// For `status`: whoever ends is shown until its successor is there.
        var shown: [Running] {
            let names = Set(running.map(\.runner.name))
            return running
                + ending.filter { wanted[$0.runner.name] != nil && !names.contains($0.runner.name) }
        }
    }

    private static let stopLimit = Duration.seconds(5)
    /// How long a change of configuration waits for those that end: most do at once.
    private static let patienceNanoseconds: UInt64 = 500_000_000
    private static let wakeRest = Duration.milliseconds(10)

    private let storage: any Storage
    private let log: GroupCommit
    private let logger: Logger
    private let failpoints: Failpoints?
    private let requestMemory = RequestMemory()
    /// The set; held for a copy or a change of it.
    private let roster = Monitor(Roster())
    /// Lets one change of configuration, or one start, follow the other; nothing else waits for it.
    private let changing = Mutex<Void>(())

    init(
        storage: any Storage, log: GroupCommit, logger: Logger, failpoints: Failpoints? = nil
    ) {
        self.failpoints = failpoints
        self.storage = storage
        self.log = log
        self.logger = logger
    }

    /// Puts a configuration in force: what did not change goes on undisturbed, the rest ends and starts. An exporter
    /// whose backend hangs takes its time to end; its successor starts behind it, and nothing else waits for them.
    func apply(_ config: AgentConfig) {
        changing.withLock { _ in
            let wanted = Self.wanted(config)
            let there = roster.withLock { roster in
                roster.wanted = wanted
                return roster.running
            }
            let replaced = there.filter { !isInForce($0, wanted) }
            roster.withLock { roster in
                roster.running.removeAll { one in replaced.contains { $0.runner === one.runner } }
                roster.ending += replaced
            }
            for one in replaced { end(one) }
            let names = roster.withLock { Set(($0.running + $0.ending).map(\.runner.name)) }
            for name in wanted.keys.sorted() where !names.contains(name) { startIfWanted(name) }
        }
        let limit = Clocks.monotonic() &+ Self.patienceNanoseconds
        _ = roster.wait(until: limit) { $0.ending.isEmpty ? true : nil }
    }

    /// Whether it is as it would be if it were started now: its part of the configuration, and its certificates, which
    /// were tested with it.
    private func isInForce(_ one: Running, _ wanted: [String: Kind]) -> Bool {
        wanted[one.runner.name] == one.kind && one.kind.fileStamp == one.files
    }

    /// Lets it end in the background, and its successor start.
    private func end(_ one: Running) {
        one.runner.askToStop(deadline: Self.stopLimit)
        do throws(SystemError) {
            try SystemThread.start(name: "export-end") { self.succeed(one) }.detach()
        } catch {
            // Without a thread for it everything waits.
            logger.warning("exporter \(one.runner.name) holds up the reload: \(error)")
            one.runner.stop(deadline: Self.stopLimit)
            roster.update { $0.ending.removeAll { $0.runner === one.runner } }
        }
    }

    private func succeed(_ one: Running) {
        one.runner.stop(deadline: Self.stopLimit)
        changing.withLock { _ in
            startIfWanted(one.runner.name)
            roster.update { $0.ending.removeAll { $0.runner === one.runner } }
        }
    }

    private func startIfWanted(_ name: String) {
        guard let kind = roster.withLock({ $0.kind(wantedAs: name) }) else { return }
        do {
            try start(name, kind)
        } catch {
            logger.error("\(error)")
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
        changing.withLock { _ in
            let found = roster.withLock { $0.running.first { $0.runner.name == name } }
            guard let found else {
                let names = roster.withLock { $0.running.map(\.runner.name) }.sorted()
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
        roster.withLock { $0.running.removeAll { $0.runner.name == name } }
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
        let files = kind.fileStamp
        do throws(SystemError) {
            try runner.start()
        } catch {
            throw SourceError("exporter \(name) cannot start: \(error)")
        }
        roster.withLock { $0.running.append(Running(runner: runner, kind: kind, files: files)) }
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
                sender: HTTPSender(connection), memory: requestMemory)
        case .configured(.otlpGRPC(let config), _):
            if config.skipsVerification { warnOfAnybody(name) }
            return OTLPExporter(
                name: name, configuration: config.exporter(log: log.logID), state: storage,
                sender: config.sender, memory: requestMemory)
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
            let runners = roster.withLock { $0.running.map(\.runner) }
            if hasGrown {
                seen = log.committed
                for runner in runners { runner.wake() }
            }
            // A busy log commits thousands of times a second.
            let rest = runners.map(\.restNanoseconds).min().map { Duration.nanoseconds(Int64($0)) }
            if stop.wait(atMost: max(rest ?? .zero, Self.wakeRest)) { break }
        }
        let there = roster.withLock { roster in
            roster.isOver = true
            return roster.running
        }
        for one in there { one.runner.askToStop(deadline: Self.stopLimit) }
        _ = roster.wait { $0.ending.isEmpty ? true : nil }
        let all = roster.withLock { roster in
            defer { roster.running = [] }
            return roster.running
        }
        Self.stop(all)
    }

    /// Whether nothing waits that could be sent now.
    var isDone: Bool {
        roster.withLock { $0.shown }.allSatisfy { one in
            let snapshot = one.runner.snapshot
            return snapshot.waiting == 0 || snapshot.state.name != "running"
        }
    }

    /// Loops that have not completed an iteration, by name and for how long.
    var busyLoops: [(name: String, busy: Duration)] {
        let now = SystemTime().boottime()
        return roster.withLock { $0.running }.compactMap { one in
            let last = one.runner.snapshot.turnNanoseconds
            guard last > 0, now > last else { return nil }
            return ("exporter \(one.runner.name)", .nanoseconds(Int64(now - last)))
        }
    }

    var status: [AgentStatus.Exporter] {
        roster.withLock { $0.shown }.map { one in
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
