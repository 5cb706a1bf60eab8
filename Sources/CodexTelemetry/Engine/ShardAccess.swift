internal import CThreadState
internal import Synchronization

/// The way of a record into a shard.
extension EngineReference {
    /// A shard with its lock taken; nil if none could be had in bounded time (counted).
    @inline(__always)
    func takeShard() -> Shard? {
        // No division: shardCount is a power of two.
        let count = pointer.pointee.shardCount
        let first = Int(truncatingIfNeeded: cts_thread_number()) & (count &- 1)
        let shard = pointer.pointee.shards[first]
        if shard.tryLock() { return shard }
        return takeContendedShard(first)
    }

    @inline(never)
    private func takeContendedShard(_ first: Int) -> Shard? {
        let count = pointer.pointee.shardCount
        for round in 0..<Engine.lockRounds {
            for place in 0..<count {
                let shard = pointer.pointee.shards[(first + place) & (count - 1)]
                if shard.tryLock() { return shard }
                switch shard.lock.pointee.load(ordering: .relaxed) {
                case Shard.LockState.shut: return nil
                case Shard.LockState.forked: if revive(shard) { return shard }
                default: break
                }
            }
            if round < 20 { cts_pause() } else { cts_yield() }
        }
        pointer.pointee.contended.add(1, ordering: .relaxed)
        return nil
    }

    /// After a fork: what the shard held is the parent's, and may be half written. It is left where
    /// it is, and memory of its own is taken.
    private func revive(_ shard: Shard) -> Bool {
        guard
            shard.lock.pointee.compareExchange(
                expected: Shard.LockState.forked, desired: Shard.LockState.taken,
                ordering: .acquiring
            ).exchanged
        else { return false }
        // Not assigned, which would free the old: another thread may have been inside the allocator's
        // view of it when the process forked.
        withUnsafeMutablePointer(to: &shard.contents.pointee.encoder) {
            $0.initialize(to: RecordEncoder(resource: resource))
        }
        shard.contents.pointee.dropped = RecordCounts()
        shard.contents.pointee.isFullAnnounced = false
        shard.contents.pointee.isFull = false
        return true
    }

    /// Counts a record that the encoder did not take. If the batch has no room at all, the next ones are
    /// not even encoded.
    @inline(never)
    func drop(
        _ shard: Shard, _ kind: WritableKeyPath<RecordCounts, Int>
    ) {
        shard.contents.pointee.dropped[keyPath: kind] += 1
        if shard.contents.pointee.encoder.byteCount > Engine.shardBytesMax / 2 {
            shard.contents.pointee.isFull = true
        }
    }

    /// Gives the shard back after a record, and tells the flushing thread if it must know.
    @inline(__always)
    func giveBack(_ shard: Shard) {
        let count = shard.contents.pointee.encoder.recordCount
        // The batch has just begun: somebody must send it.
        let isFirst = count == 1
        let isFull =
            shard.contents.pointee.encoder.lastByteCount >= Engine.flushBytes
            && !shard.contents.pointee.isFullAnnounced
        if isFull { shard.contents.pointee.isFullAnnounced = true }
        shard.unlock()
        if isFirst || isFull { announce(isFull: isFull) }
    }

    @inline(never)
    func announce(isFull: Bool) {
        if isFull { office.needsFlush.store(true, ordering: .releasing) }
        if isFull || pointer.pointee.isSleeping.exchange(false, ordering: .acquiringAndReleasing) {
            office.wake()
        }
    }
}
