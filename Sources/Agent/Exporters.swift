internal import Control
internal import Export
internal import JournalExport
internal import Logging
internal import SegmentLog
internal import Synchronization
internal import SystemIO

/// The exporters in force: started, replaced when their configuration changes, stopped. The set is
/// closed; each is a cursor of its own over the log.
final class Exporters: Sendable {
    private struct Running {
        let runner: ExporterRunner
        let type: String
        let config: AgentConfig.Journald
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
            let replaced = running.withLock { running -> Running? in
                guard let old = running.first, old.config != config.journald else { return nil }
                return running.removeFirst()
            }
            replaced?.runner.stop(deadline: Self.stopLimit)
            let isRunning = running.withLock { !$0.isEmpty }
            guard !isRunning, config.journald.enabled else { return }
            let runner = journald(config.journald)
            do {
                try runner.start()
                let fresh = Running(runner: runner, type: "journald", config: config.journald)
                running.withLock { $0.append(fresh) }
            } catch {
                logger.error("exporter journald cannot start: \(error)")
            }
        }
    }

    private func journald(_ config: AgentConfig.Journald) -> ExporterRunner {
        let log = self.log
        let logger = self.logger
        let failpoints = self.failpoints
        return ExporterRunner(
            name: "journald", startAt: config.startAt == .beginning ? .beginning : .end,
            state: storage,
            progress: LogProgress(
                committed: log.committedSource, synced: { log.synced },
                storedRecords: { log.statistics.stored.records }), reportDamage: { log.report($0) },
            logger: logger,
            makeExporter: {
                JournalExporter(configuration: config.exporter, failpoints: failpoints)
            })
    }

    /// Lets `run` see that it was told to stop.
    func wake() { log.wakeWaiters() }

    /// Wakes the runners as the log grows; at the end stops them, each with what it can still send.
    func run(until stop: ThreadService.Stop) {
        var seen = LogOffset(rawValue: 0)
        while !stop.isRaised {
            if log.waitForCommit(beyond: seen, until: nil, unless: { stop.isRaised }) {
                seen = log.committed
                for one in running.withLock({ $0 }) { one.runner.wake() }
            }
            // A busy log commits thousands of times a second.
            if stop.wait(atMost: Self.wakeRest) { break }
        }
        let all = running.withLock { running in
            defer { running = [] }
            return running
        }
        for one in all { one.runner.stop(deadline: Self.stopLimit) }
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
            exporter.type = one.type
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
