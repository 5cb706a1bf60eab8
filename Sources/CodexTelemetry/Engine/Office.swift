internal import Synchronization
internal import SystemIO
internal import TelemetryBatch

/// What a record does not touch: the courier, the metrics, the flushing thread. A fork leaves it
/// behind and makes another.
final class Office: Sendable {
    /// The flush's state.
    struct Books: ~Copyable {
        var courier: Courier
        /// Empty, exchanged for a shard's.
        var spare: RecordEncoder
        /// For metric points alone.
        var points: RecordEncoder
        /// Dropped and not yet told to an agent in a batch's header.
        var untold = RecordCounts()
        /// Dropped since the start.
        var dropped = RecordCounts()
        var sealedBatches = 0
        var sealedBytes = 0
        var console: ConsolePrinter?
    }

    let engine: EngineReference
    let books: Gate<Books>
    let metrics: Gate<MetricStore>
    let generation: UInt32
    /// A shard holds much: flush before the interval ends.
    let needsFlush = Atomic<Bool>(false)
    private let stops = Atomic<Bool>(false)
    /// 0 not started, 1 starting or running, 2 impossible or ended.
    private let threadState = Atomic<Int>(0)
    private let thread = Gate<SystemThread?>(nil)
    private let hasSentSpool = Atomic<Bool>(false)
    private let bell: Bell?

    init(engine: EngineReference, generation: UInt32) {
        self.engine = engine
        self.generation = generation
        let settings = engine.settings
        books = Gate(
            Books(
                courier: Courier(
                    limits: settings.limits, surroundings: settings.surroundings,
                    overrides: settings.overrides, properties: settings.hello),
                spare: RecordEncoder(resource: engine.resource),
                points: RecordEncoder(resource: engine.resource),
                console: settings.printsToConsole ? ConsolePrinter() : nil))
        metrics = Gate(MetricStore(now: Clocks.wall()))
        bell = settings.startsThread ? Bell() : nil
    }

    /// Makes the flushing thread look; starts it first if it does not run. Never blocks.
    func wake() {
        if threadState.load(ordering: .acquiring) == 0 { startThread() }
        bell?.ring()
    }

    private func startThread() {
        guard bell != nil,
            threadState.compareExchange(expected: 0, desired: 1, ordering: .acquiringAndReleasing)
                .exchanged
        else { return }
        do {
            let started = try SystemThread.start(name: "codex-telemetry") { self.run() }
            thread.withLock { $0 = started }
        } catch {
            // Without a thread records go out at `flush` and at exit.
            threadState.store(2, ordering: .releasing)
        }
    }

    /// Ends the thread without waiting for it.
    func endThread() {
        stops.store(true, ordering: .releasing)
        bell?.ring()
    }

    /// Ends the thread and waits for it: at most one round of non-blocking work.
    func stop() {
        endThread()
        let running = thread.withLock { thread in
            let running = thread
            thread = nil
            return running
        }
        running?.join()
        threadState.store(2, ordering: .releasing)
    }

    /// The flushing thread: flushes each interval while there is something, sleeps while there is not.
    private func run() {
        let interval = engine.settings.flushInterval
        var flushAt = Clocks.monotonic() + interval
        while !stops.load(ordering: .acquiring) {
            let now = Clocks.monotonic()
            var deadline: UInt64?
            var isIdle = false
            if now >= flushAt || needsFlush.exchange(false, ordering: .acquiringAndReleasing) {
                (isIdle, deadline) = books.withLock { flush(&$0) }
                flushAt = Clocks.monotonic() + interval
            } else {
                deadline = books.withLock { $0.courier.pump() }
            }
            if isIdle {
                engine.pointer.pointee.isSleeping.store(true, ordering: .sequentiallyConsistent)
                // A record may have come between the flush and the line above.
                if engine.hasRecords || hasPoints {
                    engine.pointer.pointee.isSleeping.store(false, ordering: .relaxed)
                    isIdle = false
                }
            }
            sendEarlierSpool()
            let until = isIdle ? deadline : min(flushAt, deadline ?? flushAt)
            bell?.wait(until: until, socket: books.withLock { $0.courier.interest })
            if isIdle, !engine.pointer.pointee.isSleeping.load(ordering: .acquiring) {
                flushAt = Clocks.monotonic() + interval
            }
        }
    }

    /// Once a process: what earlier processes of this user spooled goes to the system's agent, by a
    /// thread of its own, since it waits.
    private func sendEarlierSpool() {
        guard !hasSentSpool.load(ordering: .relaxed),
            books.withLock({ $0.courier.isWithSystemAgent })
        else { return }
        hasSentSpool.store(true, ordering: .relaxed)
        let settings = engine.settings
        let sender = SpoolSender(
            Connector(surroundings: settings.surroundings, overrides: settings.overrides))
        do {
            let sending = try SystemThread.start(name: "codex-spool") {
                _ = sender.send(budgetNanoseconds: 2_000_000_000)
            }
            sending.detach()
        } catch {
            // The next process tries again.
            return
        }
    }

    /// Something was recorded for the next batch of points.
    var hasPoints: Bool { metrics.withLock { !$0.isEmpty } }

    /// Seals what the shards and the metrics hold, and moves it on. Returns whether nothing is left to
    /// do but to wait for records, and when to look again.
    func flush(_ books: inout Books) -> (isIdle: Bool, deadline: UInt64?) {
        // First what is due: a connection that comes now may mean a new producer id.
        _ = books.courier.pump()
        let collected = engine.collect(&books, metrics: metrics)
        let deadline = books.courier.pump()
        let numbers = books.courier.descriptorNumbers
        engine.publish(descriptors: numbers)
        return (!collected && books.courier.machine.queue.isEmpty, deadline)
    }

    /// Flushes and waits until everything is acked or spooled, at most until `deadline`. Blocks.
    func flushAndWait(until deadline: UInt64) -> Bool {
        while true {
            let interest = books.withLock { books in
                _ = flush(&books)
                return books.courier.machine.queue.isEmpty ? nil : books.courier.interest
            }
            guard let interest else {
                if books.withLock({ $0.courier.machine.queue.isEmpty }) { return true }
                guard Clocks.monotonic() < deadline else { return false }
                Bell.pause(nanoseconds: 1_000_000)
                continue
            }
            let now = Clocks.monotonic()
            guard now < deadline else { return false }
            Bell.wait(on: interest, nanoseconds: min(deadline - now, 10_000_000))
        }
    }
}
