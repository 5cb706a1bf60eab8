package import ByteCoding
import Synchronization
package import SystemIO

/// The log's owner: one thread that appends in groups, one that syncs; whoever finds it idle may append by itself
/// (decision 0023). Safe to use from any thread.
package final class GroupCommit: Sendable {
    /// When a batch is acknowledged.
    package enum Durability: Sendable {
        /// Once it is written; a sync follows within the limits.
        case written
        /// Once it is synced.
        case synced
    }

    /// Whether a batch was taken into the queue.
    package enum Submission: Sendable, Equatable {
        /// Its completion will be called.
        case accepted
        /// The queue holds all that it may: wait and come again. The completion is not called.
        case busy
        /// The log is closed or failed for good. The completion is not called.
        case closed
    }

    /// Called once, on the writer's thread. Must not block.
    package typealias Completion = @Sendable (Result<AppendOutcome, LogError>) -> Void

    /// Bytes of payload that may wait in the queue.
    package static let queueBytesMax = 32 << 20

    private static let reportRestNanoseconds: UInt64 = 20_000_000

    /// What opening found.
    package let recovery: RecoveryReport
    /// The log's name.
    package let logID: ID128
    /// The state directory, as long as it is ours: for all who replace files in it.
    package let state: any Storage
    /// The figures in force.
    package let limits: LogLimits

    private let scrub: SealedScrub
    private let core: CommitCore
    /// Guards the writer's loop, for a copy: gone once it has ended, and with it the lock on the directory.
    private let loop: Mutex<WriterLoop?>
    // Guards the threads: joined once.
    private let threads: Mutex<[SystemThread]>

    /// Opens the log in a state directory, recovers it, starts the threads. Blocks as long as that takes.
    package init(
        state: any Storage, limits: LogLimits? = nil, time: any TimeSource = SystemTime(),
        durability: Durability = .written
    ) throws(LogError) {
        let writer = try LogWriter(state: state, limits: limits, time: time)
        recovery = writer.recovery
        logID = writer.logID
        self.state = writer.state
        scrub = writer.scrub
        self.limits = writer.limits
        let core = CommitCore(writer, time: time, durability: durability)
        self.core = core
        let loop = WriterLoop(writer: writer, core: core)
        self.loop = Mutex(loop)
        do {
            let writing = try SystemThread.start(name: "log-writer") { loop.run() }
            let syncing = try SystemThread.start(name: "log-sync") { core.runSyncs() }
            threads = Mutex([writing, syncing])
        } catch {
            throw .io(error)
        }
    }

    deinit { shutdown() }

    /// Hands a batch over. Does not wait.
    package func submit(_ request: AppendRequest, completion: @escaping Completion) -> Submission {
        core.queue.update { queue in
            if queue.isClosed { return .closed }
            let count = request.payload.count
            if queue.bytes > 0, queue.bytes + count > GroupCommit.queueBytesMax { return .busy }
            queue.bytes += count
            queue.requests.append(request)
            queue.completions.append(completion)
            return .accepted
        }
    }

    /// Appends batches on the calling thread if that waits for nobody: nothing is queued, no sync runs, the last writes
    /// were fast, and there is room in the segment. Else nil: `submit` them. One batch of a thread that sleeps in between
    /// costs two wake-ups less. Blocks for one write into the page cache; where that fails, for taking it back.
    package func appendNow(_ requests: [AppendRequest]) -> [Result<AppendOutcome, LogError>]? {
        loop.withLock { $0 }?.appendNow(requests)
    }

    /// The highest stored sequence of a producer, 0 if none.
    package func highestSequence(uid: UInt32?, producer: ID128) -> UInt64 {
        core.dedupe.highest(DedupeKey(uid: uid ?? .max, producer: producer))
    }

    /// Everything below is complete in the file.
    package var committed: LogOffset {
        LogOffset(rawValue: core.committed.load(ordering: .acquiring))
    }

    /// Everything below survives loss of power.
    package var synced: LogOffset { LogOffset(rawValue: core.synced.load(ordering: .acquiring)) }

    /// What a `LogReader` in this process takes as its `committed`.
    package var committedSource: @Sendable () -> LogOffset {
        let core = self.core
        return { LogOffset(rawValue: core.committed.load(ordering: .acquiring)) }
    }

    /// Waits until the log has grown beyond `offset` or the deadline (nanoseconds of `Clocks.monotonic`,
    /// nil never) has passed, or the log closes, or `isOver` says so after a `wakeWaiters`; whether it has
    /// grown. Blocks: for threads of their own.
    package func waitForCommit(
        beyond offset: LogOffset, until deadline: UInt64?, unless isOver: () -> Bool = { false }
    ) -> Bool {
        let grown = core.progress.wait(until: deadline) { progress -> Bool? in
            if self.committed > offset { return true }
            return progress.isClosed || isOver() ? false : nil
        }
        return grown ?? false
    }

    /// Lets every `waitForCommit` ask its `isOver`.
    package func wakeWaiters() { core.progress.update { _ in } }

    /// Waits until everything below `offset` survives loss of power, or the deadline; whether it does.
    package func waitForSync(upTo offset: LogOffset, until deadline: UInt64) -> Bool {
        let done = core.progress.wait(until: deadline) { progress -> Bool? in
            if self.synced >= offset { return true }
            return progress.isClosed || progress.failure != nil ? false : nil
        }
        return done ?? false
    }

    /// Makes all that is committed now survive loss of power. Blocks.
    package func sync() throws(LogError) {
        let target = committed
        if synced >= target { return }
        let removed = statistics.removedSegments
        core.queue.update { $0.wantsSync = true }
        let failure = core.progress.wait { progress -> LogError?? in
            if self.synced >= target { return .some(nil) }
            if let failure = progress.failure { return failure }
            return progress.isClosed ? .closed : nil
        }
        if case .some(.some(let failure)) = failure { throw failure }
        if removed != statistics.removedSegments {
            throw .io(SystemError(errno: SystemError.notFound, operation: .sync))
        }
    }

    /// Waits until there is something to tell people of, or `isOver` says so after a `wakeTeller`: what happened
    /// since it was asked last, and why nothing is written now, nil if all is well. Blocks.
    package func waitForNews(unless isOver: () -> Bool) -> ([LogNews], LogFailure?) {
        let found = core.news.wait { news -> ([LogNews], LogFailure?)? in
            guard news.isChanged || isOver() else { return nil }
            defer {
                news.items = []
                news.isChanged = false
            }
            return (news.items, news.failure)
        }
        return found ?? ([], nil)
    }

    /// Lets `waitForNews` ask its `isOver`.
    package func wakeTeller() { core.news.update { _ in } }

    /// Copies a damaged range that a reader met to the quarantine, once, and counts it. Does not wait; false if too
    /// many are to be copied already.
    @discardableResult
    package func report(_ damaged: DamagedRange) -> Bool {
        core.queue.update { queue in
            guard !queue.isClosed else { return true }
            guard queue.damaged.count < 64 else { return false }
            guard queue.reported.insert(damaged.from).inserted else { return true }
            queue.damaged.append(damaged)
            // Bounded: in the worst case a range is copied again.
            if queue.reported.count > 4096 { queue.reported = [damaged.from] }
            return true
        }
    }

    /// Reads what lay in sealed segments at the start, and reports damage in it as a reader's is. Blocks for as long as
    /// that takes at an easy pace, or until `isOver`, which is asked, and waited with, by `rest`: it waits that
    /// many nanoseconds, less if it is over, and says whether it is. Throws what the device says.
    package func scrubSealed(rest: @escaping @Sendable (UInt64) -> Bool) throws(SystemError) {
        let started = Clocks.monotonic()
        let read = Atomic<UInt64>(0)
        try scrub.run(
            pace: { bytes in
                let all = read.add(UInt64(bytes), ordering: .relaxed).newValue
                let due = started &+ all * (1_000_000_000 / SealedScrub.bytesPerSecond)
                let now = Clocks.monotonic()
                return !rest(due > now ? due - now : 0)
            }, found: { while !report($0), !rest(GroupCommit.reportRestNanoseconds) {} })
    }

    /// Where the log stands, as of the last group or the last few seconds' care.
    package var statistics: LogStatistics { core.statistics.withLock { $0 } }

    /// Batches and bytes of payload that wait to be written.
    package var waiting: (batches: Int, bytes: Int) {
        core.queue.withLock { ($0.requests.count, $0.bytes) }
    }

    /// Takes nothing more, writes what is queued, syncs, ends in order, joins the threads. Blocks. Must not be
    /// called from a completion.
    package func shutdown() {
        core.queue.update { $0.isClosed = true }
        let joined = threads.withLock { threads in
            defer { threads = [] }
            return threads
        }
        for thread in joined { thread.join() }
        loop.withLock { $0 = nil }
    }
}
