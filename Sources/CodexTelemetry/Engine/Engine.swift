internal import CThreadState
internal import Places
internal import Synchronization
internal import SystemIO
internal import TelemetryBatch

/// One instance of the client: shards, the courier, the thread between them.
///
/// Made once, never freed, never moved: handles to it are plain pointers, and a call costs no
/// reference counting. What a record passes on its way is here and in `Shard`; all else is in
/// `Office`, which a fork replaces.
struct Engine: ~Copyable {
    /// A batch is worth sending before its time at this size.
    static let flushBytes = 64 << 10
    /// Past it a shard takes no more until it was flushed.
    static let shardBytesMax = 1 << 20
    /// Rounds of trying all shards before a record is dropped: a holder was put to sleep by the
    /// kernel, or is this very thread (a signal handler).
    static let lockRounds = 400

    let settings: Settings
    let shards: UnsafeMutablePointer<Shard>
    let shardCount: Int
    /// Records dropped because no shard could be had.
    let contended = Atomic<Int>(0)
    /// The flushing thread waits for nothing but a wake-up: the first record must wake it.
    let isSleeping = Atomic<Bool>(true)
    /// The current `Office`, retained; nil before the first use and after a fork.
    let office = Atomic<UnsafeMutableRawPointer?>(nil)
    /// Descriptors that a forked child closes.
    let socketNumber = Atomic<Int32>(-1)
    let spoolNumber = Atomic<Int32>(-1)
    /// Counts forks: a number cached in an older generation means nothing.
    let generation = Atomic<UInt32>(1)
    /// The next engine in the list of all; set before it is published.
    var nextEngine: UnsafeMutablePointer<Engine>?

    init(settings: Settings) {
        self.settings = settings
        shardCount = settings.shardCount
        shards = .allocate(capacity: shardCount)
        for place in 0..<shardCount {
            (shards + place).initialize(
                to: Shard(resource: settings.resource(ofProcess: ThisProcess.pid)))
        }
    }
}

/// How an engine was made; never changed.
struct Settings: Sendable {
    var sampler: Sampler
    var resource: Resource
    var hello: [Hello.Property]
    var surroundings: Surroundings
    var overrides: PlaceOverrides
    var limits: DeliveryStateMachine.Limits
    var flushInterval: UInt64
    var shardCount: Int
    var printsToConsole: Bool
    /// False in tests that flush themselves.
    var startsThread: Bool
    /// The context that the environment gave: the parent of spans that have none.
    var remoteParent: TraceContext?
    /// This process's session, for baggage.
    var sessionID: String
    var originator: String?

    /// The threshold of the batches' headers: that of the trace that the process joined, else our own.
    var threshold: UInt64 {
        let threshold =
            remoteParent.map { Sampler.threshold(in: $0.traceState) } ?? sampler.threshold
        return min(threshold, BatchLimits.samplingThresholdMax)
    }

    /// What emits the records of a process.
    func resource(ofProcess pid: Int32) -> Resource {
        var resource = resource
        resource.attributes.append(
            TelemetryBatch.Attribute("process.pid", .int(Int64(pid))))
        return resource
    }

    /// What a child process needs to join the trace and the session.
    func childEnvironment(of context: TraceContext) -> [(name: String, value: String)] {
        var baggage = context.baggage
        if baggage["session.id"] == nil { baggage["session.id"] = sessionID }
        if baggage["originator"] == nil, let originator { baggage["originator"] = originator }
        return context.with(baggage: baggage).environment
    }
}
