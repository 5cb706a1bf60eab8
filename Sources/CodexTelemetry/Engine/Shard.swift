internal import Synchronization
internal import TelemetryBatch

/// What threads write records into: an encoder behind a lock of one word.
///
/// A thread has a shard of its choice, so that the lock is almost always free; it is held for one
/// record, and by the flushing thread to exchange two encoders. Lives as long as the process.
struct Shard: ~Copyable {
    /// The states of the lock: free → taken → free; taken → shut, for ever; any → forked in the child
    /// of a fork; forked → taken by the first thread that comes, which begins anew.
    enum LockState {
        static let free: UInt32 = 0
        static let taken: UInt32 = 1
        static let forked: UInt32 = 2
        static let shut: UInt32 = 3
    }

    let lock = Atomic<UInt32>(LockState.free)
    /// Guarded by `lock`.
    var encoder: RecordEncoder
    /// Records that found no room; guarded by `lock`.
    var dropped = RecordCounts()
    /// The flushing thread has been told that the batch is worth sending; guarded by `lock`.
    var isFullAnnounced = false
    /// The batch takes no more: until it is flushed, records are dropped before they are encoded;
    /// guarded by `lock`.
    var isFull = false

    init(resource: Resource) { encoder = RecordEncoder(resource: resource) }

    /// Takes the lock if it is free.
    func tryLock() -> Bool {
        lock.compareExchange(
            expected: LockState.free, desired: LockState.taken, ordering: .acquiring
        ).exchanged
    }

    func unlock() { lock.store(LockState.free, ordering: .releasing) }
}
