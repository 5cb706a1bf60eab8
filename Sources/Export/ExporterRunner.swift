package import Logging
package import SegmentLog
import Synchronization
package import SystemIO

/// Runs one exporter on a thread of its own: journald, disks and networks block.
package final class ExporterRunner: Sendable {
    /// How often the log is looked at where nobody calls `wake`, and a sink that rests.
    static let pollNanoseconds: UInt64 = 1_000_000_000
    /// The wait after a start that failed.
    static let startRestNanoseconds: UInt64 = 1_000_000_000

    /// How often a stop looks whether it is done.
    static let stopRestNanoseconds: UInt64 = 5_000_000

    /// The exporter's configured name.
    package let name: String

    /// How long `start` waits for the cursor.
    static let openLimitNanoseconds: UInt64 = 2_000_000_000

    private struct Signals {
        var isAwake = false
        /// New records wait until it looks by itself.
        var isResting = false
        var restNanoseconds: UInt64 = 0
        /// The cursor was loaded, or could not be.
        var wasOpened = false
        var stopDeadline: UInt64?
    }

    private enum Life {
        case new
        case running(SystemThread)
        case ended
    }

    private let signals = Monitor(Signals())
    private let life = Mutex(Life.new)
    private let shown: Mutex<ExporterSnapshot>
    private let startAt: StartPlace
    private let rules: RecordRules
    private let time: any TimeSource
    private let logger: Logger
    private let makeSource: @Sendable () throws(SourceError) -> any ExportSource
    private let makeStore: @Sendable () throws(SourceError) -> any CursorStore
    private let makeExporter: @Sendable () -> any Exporter

    /// A runner that reads the log of a state directory and keeps its cursor there as
    /// `cursors/<name>.cursor`. `progress` tells how far the log is; nil reads the position file.
    /// `reportDamage` is told of damaged ranges that the reader meets. Nothing
    /// happens before `start`.
    package convenience init(
        name: String, startAt: StartPlace = .end, rules: RecordRules = .everything,
        state: any Storage,
        progress: LogProgress? = nil,
        reportDamage: (@Sendable (DamagedRange) -> Void)? = nil,
        time: any TimeSource = SystemTime(), logger: Logger,
        makeExporter: @escaping @Sendable () -> any Exporter
    ) {
        self.init(
            name: name, startAt: startAt, rules: rules, time: time, logger: logger,
            makeSource: { () throws(SourceError) in
                try LogSource(state: state, progress: progress, reportDamage: reportDamage)
            },
            makeStore: { () throws(SourceError) in try CursorFile(state: state, exporter: name) },
            makeExporter: makeExporter)
    }

    /// A runner with a source and a store of its own choice. All three are made on the runner's thread.
    package init(
        name: String, startAt: StartPlace, rules: RecordRules = .everything,
        time: any TimeSource, logger: Logger,
        makeSource: @escaping @Sendable () throws(SourceError) -> any ExportSource,
        makeStore: @escaping @Sendable () throws(SourceError) -> any CursorStore,
        makeExporter: @escaping @Sendable () -> any Exporter
    ) {
        self.name = name
        self.startAt = startAt
        self.rules = rules
        self.time = time
        self.logger = logger
        self.makeSource = makeSource
        self.makeStore = makeStore
        self.makeExporter = makeExporter
        shown = Mutex(ExporterSnapshot(name: name))
    }

    /// Starts the thread. Once only. Waits, two seconds at most, until the cursor is loaded: from then on
    /// `snapshot` balances with the log.
    package func start() throws(SystemError) {
        try life.withLock { life throws(SystemError) in
            guard case .new = life else { return }
            let thread = try SystemThread.start(name: "export-\(name.prefix(8))") { self.run() }
            life = .running(thread)
        }
        let limit = Clocks.monotonic() &+ Self.openLimitNanoseconds
        _ = signals.wait(until: limit) { $0.wasOpened ? true : nil }
    }

    /// The log has grown: look soon. Cheap, and never blocks for long.
    package func wake() {
        let isResting = signals.withLock { signals in
            signals.isAwake = true
            return signals.isResting
        }
        if !isResting { signals.update { _ in } }
    }

    /// How long new records may wait for the next look at the log.
    package var restNanoseconds: UInt64 { signals.withLock { $0.restNanoseconds } }

    /// How it is, at most one turn old.
    package var snapshot: ExporterSnapshot { shown.withLock { $0 } }

    /// Ends in order: sends and confirms what it has taken, within `deadline` at most, saves its cursor.
    /// Blocks until the thread has ended.
    package func stop(deadline: Duration) {
        askToStop(deadline: deadline)
        let thread: SystemThread? = life.withLock { life in
            defer { life = .ended }
            if case .running(let thread) = life { return thread }
            return nil
        }
        thread?.join()
    }

    /// Begins what `stop` waits for, so that several may end at the same time.
    package func askToStop(deadline: Duration) {
        let limit = Clocks.monotonic() &+ nanoseconds(of: deadline)
        signals.update { signals in
            if signals.stopDeadline == nil { signals.stopDeadline = limit }
        }
    }

    private func run() {
        while stopDeadline == nil {
            do throws(SourceError) {
                var run = try ExporterRun(
                    name: name, startAt: startAt, rules: rules, source: makeSource(),
                    exporter: makeExporter(), store: makeStore(), time: time)
                shown.withLock { $0 = run.snapshot }
                let rest = run.restNanoseconds
                signals.update { signals in
                    signals.wasOpened = true
                    signals.restNanoseconds = rest
                }
                if let problem = run.cursorProblem {
                    let place = startAt == .end ? "the log's end" : "the oldest record that is kept"
                    logger.warning(
                        "exporter \(name): \(problem); it starts at \(place), \(run.snapshot.cursor)"
                    )
                }
                loop(&run)
                return
            } catch {
                // The log or the cursor cannot be opened now: shown, and tried again.
                show { $0.state = .degraded(error.description) }
                signals.update { $0.wasOpened = true }
                sleep(nanoseconds: Self.startRestNanoseconds)
                show {
                    $0.turns &+= 1
                    $0.turnNanoseconds = time.boottime()
                }
            }
        }
        show { $0.state = .stopped }
    }

    private func loop(_ run: inout ExporterRun) {
        var state = ExporterState.starting
        while stopDeadline == nil {
            let idle = run.turn()
            if run.snapshot.state != state {
                state = run.snapshot.state
                announce(state)
            }
            shown.withLock { $0 = run.snapshot }
            if idle > 0 {
                sleep(nanoseconds: min(idle, Self.pollNanoseconds), atLeast: run.restNanoseconds)
            }
        }
        let limit = stopDeadline ?? 0
        while let idle = run.stopTurn(), Clocks.monotonic() < limit {
            shown.withLock { $0 = run.snapshot }
            if idle > 0 { rest(nanoseconds: min(idle, Self.stopRestNanoseconds)) }
        }
        run.finish()
        shown.withLock { $0 = run.snapshot }
    }

    private func announce(_ state: ExporterState) {
        switch state {
        case .degraded(let reason):
            logger.warning("exporter \(name) is degraded: \(reason)")
        case .running: logger.info("exporter \(name) is running")
        case .starting, .stopped: break
        }
    }

    private var stopDeadline: UInt64? { signals.withLock { $0.stopDeadline } }

    private func show(_ change: (inout ExporterSnapshot) -> Void) { shown.withLock { change(&$0) } }

    /// Waits, whoever wakes us.
    private func rest(nanoseconds: UInt64) {
        let until = Clocks.monotonic() &+ nanoseconds
        _ = signals.wait(until: until) { _ -> Bool? in nil }
    }

    /// `atLeast`: so long nobody's `wake` is heard.
    private func sleep(nanoseconds: UInt64, atLeast rest: UInt64 = 0) {
        let now = Clocks.monotonic()
        let until = now &+ nanoseconds
        if rest > 0 {
            signals.withLock { $0.isResting = true }
            _ = signals.wait(until: min(until, now &+ rest)) { $0.stopDeadline == nil ? nil : true }
            signals.withLock { $0.isResting = false }
        }
        _ = signals.wait(until: until) { signals -> Bool? in
            guard signals.isAwake || signals.stopDeadline != nil else { return nil }
            signals.isAwake = false
            return true
        }
    }
}
