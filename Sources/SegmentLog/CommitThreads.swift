import Synchronization
import SystemIO

/// What the threads of a `GroupCommit` share.
final class CommitCore: Sendable {
    struct Queue: Sendable {
        var requests: [AppendRequest] = []
        var completions: [GroupCommit.Completion] = []
        var bytes = 0
        var damaged: [DamagedRange] = []
        var reported: Set<LogOffset> = []
        var outcome: SyncOutcome?
        var wantsSync = false
        /// Something was appended beside the writer's thread: when it is to be synced was not waited for yet.
        var hasUnsynced = false
        var isClosed = false
    }

    struct Syncs: Sendable {
        var job: SyncJob?
        var isClosed = false
    }

    struct Progress: Sendable {
        var failure: LogError?
        var isClosed = false
    }

    struct News: Sendable {
        var items: [LogNews] = []
        var failure: LogFailure?
        var isChanged = false
    }

    let queue = Monitor(Queue())
    let syncs = Monitor(Syncs())
    let progress = Monitor(Progress())
    let news = Monitor(News())
    let committed: Atomic<UInt64>
    let synced: Atomic<UInt64>
    // Guards the last published copy.
    let statistics: Mutex<LogStatistics>
    let dedupe: SharedDedupe
    let time: any TimeSource
    let durability: GroupCommit.Durability

    init(_ writer: LogWriter, time: any TimeSource, durability: GroupCommit.Durability) {
        committed = Atomic(writer.committed.rawValue)
        synced = Atomic(writer.synced.rawValue)
        // What the start found is counted and copied already: readers will meet it again.
        queue.update { $0.reported = Set(writer.recovery.damaged.map(\.from)) }
        statistics = Mutex(writer.statistics)
        dedupe = writer.dedupe
        self.time = time
        self.durability = durability
    }

    /// The sync thread: does jobs until it is closed.
    func runSyncs() {
        while true {
            let job = syncs.wait { state -> SyncJob?? in
                if let job = state.job {
                    state.job = nil
                    return job
                }
                return state.isClosed ? .some(nil) : nil
            }
            guard case .some(.some(let job)) = job else { return }
            let outcome = job.perform()
            queue.update { $0.outcome = outcome }
        }
    }
}

/// The writer, and the thread that it belongs to. Whoever may not wait for another thread borrows it while nothing
/// is queued.
final class WriterLoop: @unchecked Sendable {
    // @unchecked: what follows is touched only by who has the turn.
    private let turn = Mutex<Void>(())
    private let writer: LogWriter
    private let core: CommitCore
    private var isSyncing = false
    private var caredFor: LogOffset = .none
    private var told: LogFailure?

    /// Until then nobody else appends: the last time the device was slow.
    private var lentAgainAt: UInt64 = 0

    private static let groupBytesMax = 8 << 20
    private static let slowNanoseconds: UInt64 = 2_000_000
    private static let slowRestNanoseconds: UInt64 = 1_000_000_000
    private static let careNanoseconds: UInt64 = 5_000_000_000
    private static let idleCareNanoseconds: UInt64 = 60_000_000_000

    private struct Work {
        var requests: [AppendRequest] = []
        var completions: [GroupCommit.Completion] = []
        var bytes = 0
        var damaged: [DamagedRange] = []
        var outcome: SyncOutcome?
        var wantsSync = false
        var hasUnsynced = false
        var isClosed = false
    }

    init(writer: LogWriter, core: CommitCore) {
        self.writer = writer
        self.core = core
    }

    func run() {
        var careAt = Clocks.monotonic() + WriterLoop.careNanoseconds
        var isOver = false
        while !isOver {
            let (due, isSyncing) = turn.withLock { _ in (syncDeadline(), self.isSyncing) }
            let work = take(until: min(careAt, due), isSyncing)
            turn.withLock { _ in
                isOver = carryOut(work, &careAt)
                if isOver { end() }
            }
        }
    }

    /// Does what was asked for and what is due; whether that was the last.
    private func carryOut(_ work: Work?, _ careAt: inout UInt64) -> Bool {
        if let outcome = work?.outcome {
            isSyncing = false
            writer.finishSync(outcome)
            publish()
        }
        for range in work?.damaged ?? [] { keep(range) }
        if let work, !work.requests.isEmpty { append(work) }
        startSync(force: work?.wantsSync ?? false)
        if Clocks.monotonic() >= careAt {
            writer.maintain()
            startSync(force: false)
            // A full disk is looked at often: what is refused waits for it.
            let isIdle = caredFor == writer.committed && writer.fullness == nil
            caredFor = writer.committed
            careAt =
                Clocks.monotonic()
                + (isIdle ? WriterLoop.idleCareNanoseconds : WriterLoop.careNanoseconds)
            publish()
        } else if let work, !work.requests.isEmpty || work.hasUnsynced {
            // After idle time the next care is soon again.
            careAt = min(careAt, Clocks.monotonic() + WriterLoop.careNanoseconds)
        }
        guard let work else { return false }
        return work.isClosed && work.requests.isEmpty && !isSyncing
    }

    /// Appends on the calling thread, if that means one write into space that is there and waiting for nobody: nil if
    /// not. Completions of what was queued before were called before.
    func appendNow(_ requests: [AppendRequest]) -> [Result<AppendOutcome, LogError>]? {
        turn.withLockIfAvailable { _ -> [Result<AppendOutcome, LogError>]? in
            let began = Clocks.monotonic()
            guard core.durability == .written, !isSyncing, began >= lentAgainAt,
                core.queue.withLock({ $0.bytes == 0 && $0.requests.isEmpty && !$0.isClosed }),
                writer.hasRoom(for: requests)
            else { return nil }
            let due = writer.syncDue
            let results = writer.append(requests)
            publish()
            // At the first of a group, and where so much was written that its sync does not wait for the time.
            if writer.syncDue != due { core.queue.update { $0.hasUnsynced = true } }
            let end = Clocks.monotonic()
            if end - began > WriterLoop.slowNanoseconds {
                lentAgainAt = end + WriterLoop.slowRestNanoseconds
            }
            return results
        } ?? nil
    }

    /// Waits for work; nil at the deadline.
    private func take(until deadline: UInt64, _ isSyncing: Bool) -> Work? {
        core.queue.wait(until: deadline == .max ? nil : deadline) { queue -> Work? in
            let mayEnd = queue.isClosed && !isSyncing
            guard
                !queue.requests.isEmpty || !queue.damaged.isEmpty || queue.outcome != nil
                    || queue.wantsSync && !isSyncing || queue.hasUnsynced || mayEnd
            else { return nil }
            var work = Work()
            (work.outcome, queue.outcome) = (queue.outcome, nil)
            (work.damaged, queue.damaged) = (queue.damaged, [])
            if !isSyncing || work.outcome != nil {
                (work.wantsSync, queue.wantsSync) = (queue.wantsSync, false)
            }
            (work.hasUnsynced, queue.hasUnsynced) = (queue.hasUnsynced, false)
            work.isClosed = queue.isClosed
            WriterLoop.takeGroup(&queue, into: &work)
            return work
        }
    }

    private static func takeGroup(_ queue: inout CommitCore.Queue, into work: inout Work) {
        if queue.bytes <= groupBytesMax {
            swap(&work.requests, &queue.requests)
            swap(&work.completions, &queue.completions)
            work.bytes = queue.bytes
            return
        }
        var count = 0
        while count < queue.requests.count, work.bytes < groupBytesMax {
            work.bytes += queue.requests[count].payload.count
            count += 1
        }
        work.requests = Array(queue.requests.prefix(count))
        work.completions = Array(queue.completions.prefix(count))
        queue.requests.removeFirst(count)
        queue.completions.removeFirst(count)
    }

    private func append(_ work: Work) {
        var results = writer.append(work.requests)
        if core.durability == .synced {
            do {
                try writer.sync()
            } catch {
                for (index, request) in work.requests.enumerated() {
                    results[index] = .failure(error)
                    request.stream?.breakOff()
                }
            }
        }
        core.queue.update { $0.bytes -= work.bytes }
        publish()
        for (completion, result) in zip(work.completions, results) { completion(result) }
    }

    /// When the next sync is due, as `Clocks.monotonic` counts.
    private func syncDeadline() -> UInt64 {
        guard !isSyncing, let due = writer.syncDue else { return .max }
        let now = core.time.boottime()
        return Clocks.monotonic() + (due > now ? due - now : 0)
    }

    private func startSync(force: Bool) {
        guard !isSyncing else { return }
        guard force || (writer.syncDue ?? .max) <= core.time.boottime() else { return }
        guard let job = writer.beginSync() else { return }
        if core.durability == .synced {
            // Here every append is answered after its own sync, which cannot begin while another's runs.
            writer.finishSync(job.perform())
            return publish()
        }
        isSyncing = true
        core.syncs.update { $0.job = job }
    }

    private func keep(_ range: DamagedRange) {
        do {
            try writer.keepDamaged(range)
        } catch {
            // There is no copy: the range is counted and told of all the same, by who found it.
        }
        publish()
    }

    /// Wakes whoever tells people, if there is something to tell.
    private func tell(_ now: LogStatistics) {
        let failure = now.failure.map {
            LogFailure(sentence: $0, remedy: now.remedy, isFull: now.isFull)
        }
        guard failure != told || !writer.news.isEmpty else { return }
        told = failure
        let items = writer.news
        writer.news = []
        core.news.update { news in
            news.items += items.prefix(max(0, LogWriter.newsMax - news.items.count))
            news.failure = failure
            news.isChanged = true
        }
    }

    private func publish() {
        let now = writer.statistics
        core.statistics.withLock { $0 = now }
        tell(now)
        core.committed.store(writer.committed.rawValue, ordering: .releasing)
        core.synced.store(writer.synced.rawValue, ordering: .releasing)
        let failure = writer.poison.map(LogError.poisoned)
        core.progress.update { $0.failure = failure }
        if failure != nil { core.queue.update { $0.isClosed = true } }
    }

    private func end() {
        core.syncs.update { $0.isClosed = true }
        var failure: LogError?
        do {
            try writer.close()
        } catch {
            failure = error
        }
        publish()
        core.progress.update { progress in
            progress.failure = failure
            progress.isClosed = true
        }
    }
}
