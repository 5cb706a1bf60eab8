internal import Synchronization
internal import TelemetryBatch

/// What threads write records into: an encoder behind a lock of one word.
///
/// A thread has a shard of its choice, so that the lock is almost always free; it is held for one
/// record, and by the flushing thread to exchange two encoders. Lives as long as the process: this is
/// a plain pointer to it, and a copy is the same shard.
///
/// The lock lies beside what it guards, not within: who tries it must not touch a value that its
/// holder is changing, not even formally.
struct Shard {
    /// The states of the lock: free → taken → free; taken → shut, for ever; any → forked in the child
    /// of a fork; forked → taken by the first thread that comes, which begins anew.
    enum LockState {
        static let free: UInt32 = 0
        static let taken: UInt32 = 1
        static let forked: UInt32 = 2
        static let shut: UInt32 = 3
    }

    /// What the lock guards.
    struct Contents: ~Copyable {
        var encoder: RecordEncoder
        /// Records that found no room.
        var dropped = RecordCounts()
        /// The flushing thread has been told that the batch is worth sending.
        var isFullAnnounced = false
        /// The batch takes no more: until it is flushed, records are dropped before they are encoded.
        var isFull = false
    }

    /// Where the contents lie behind the lock: a place that any alignment divides.
    private static var contentsOffset: Int { 16 }

    private let memory: UnsafeMutableRawPointer

    init(resource: Resource) {
        // 128: two cache lines, since neighbours are fetched in pairs.
        memory = .allocate(
            byteCount: max(Self.contentsOffset + MemoryLayout<Contents>.size, 128), alignment: 128)
        memory.bindMemory(to: Atomic<UInt32>.self, capacity: 1)
            .initialize(to: Atomic(LockState.free))
        (memory + Self.contentsOffset).bindMemory(to: Contents.self, capacity: 1)
            .initialize(to: Contents(encoder: RecordEncoder(resource: resource)))
    }

    /// What the lock guards: only for who holds it. Sound: bound so at the start, and never freed.
    @inline(__always)
    var contents: UnsafeMutablePointer<Contents> {
        (memory + Self.contentsOffset).assumingMemoryBound(to: Contents.self)
    }

    /// The lock. Sound: bound so at the start, and never freed.
    @inline(__always)
    var lock: UnsafePointer<Atomic<UInt32>> {
        UnsafePointer(memory.assumingMemoryBound(to: Atomic<UInt32>.self))
    }

    /// Takes the lock if it is free.
    @inline(__always)
    func tryLock() -> Bool {
        lock.pointee.compareExchange(
            expected: LockState.free, desired: LockState.taken, ordering: .acquiring
        ).exchanged
    }

    @inline(__always)
    func unlock() { lock.pointee.store(LockState.free, ordering: .releasing) }
}
