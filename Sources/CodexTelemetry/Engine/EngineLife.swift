internal import ByteCoding
internal import CThreadState
internal import Places
internal import Synchronization
internal import SystemIO
internal import TelemetryBatch

/// A pointer to an engine. Sound to share and to keep: engines are never freed and never moved, and
/// what changes in them is atomic or behind a lock.
struct EngineReference: @unchecked Sendable {
    let pointer: UnsafeMutablePointer<Engine>

    var settings: Settings { _read { yield pointer.pointee.settings } }

    /// What emits this process's records.
    var resource: Resource { settings.resource(ofProcess: ThisProcess.pid) }
}

extension EngineReference {
    /// All engines of the process, newest first; only ever grows.
    // Sound: an atomic; only its pointee type keeps it from being Sendable.
    private nonisolated(unsafe) static let newest = Atomic<UnsafeMutableRawPointer?>(nil)

    /// Makes an engine that lives as long as the process, and joins it to those that are flushed at
    /// exit and renewed after a fork.
    static func make(_ settings: Settings) -> EngineReference {
        let pointer = UnsafeMutablePointer<Engine>.allocate(capacity: 1)
        pointer.initialize(to: Engine(settings: settings))
        hooks()
        var head = newest.load(ordering: .acquiring)
        while true {
            pointer.pointee.nextEngine = head?.assumingMemoryBound(to: Engine.self)
            let result = newest.compareExchange(
                expected: head, desired: UnsafeMutableRawPointer(pointer),
                ordering: .acquiringAndReleasing)
            if result.exchanged { return EngineReference(pointer: pointer) }
            head = result.original
        }
    }

    /// Once a process: what runs at exit and after forks.
    private static func hooks() { _ = installed }

    private static let installed: Bool = {
        do {
            try ThisProcess.afterForkInChild { EngineReference.forgetAll() }
        } catch {
            // Out of memory. Without the hook a child that records would repeat its parent's producer
            // id; the agent drops its batches as duplicates, which is bounded harm.
        }
        return cts_at_exit { EngineReference.finishAll() } == 0
    }()

    private static func forEach(_ body: (EngineReference) -> Void) {
        var next = newest.load(ordering: .acquiring)?.assumingMemoryBound(to: Engine.self)
        while let pointer = next {
            body(EngineReference(pointer: pointer))
            next = pointer.pointee.nextEngine
        }
    }

    /// In the child of a fork, where only this thread lives and any lock may be held for ever: sets
    /// plain memory and closes descriptors, nothing else.
    private static func forgetAll() {
        cts_forget_seed()
        forEach { engine in
            let engine = engine.pointer
            for place in 0..<engine.pointee.shardCount {
                engine.pointee.shards[place].lock.pointee.store(
                    Shard.LockState.forked, ordering: .relaxed)
            }
            // The parent's connection and file must not be held open here, nor its lock.
            for number in [
                engine.pointee.socketNumber.exchange(-1, ordering: .relaxed),
                engine.pointee.spoolNumber.exchange(-1, ordering: .relaxed),
            ] where number >= 0 {
                _ = FileDescriptor(owning: number)
            }
            engine.pointee.generation.add(1, ordering: .relaxed)
            engine.pointee.isSleeping.store(true, ordering: .relaxed)
            engine.pointee.office.store(nil, ordering: .releasing)
        }
    }

    private static func finishAll() {
        forEach { $0.finish() }
    }
}

extension EngineReference {
    /// The current office; made at first use and after a fork. Sound: an office is retained for ever
    /// once it is published.
    var office: Office {
        if let opaque = pointer.pointee.office.load(ordering: .acquiring) {
            return Unmanaged<Office>.fromOpaque(opaque).takeUnretainedValue()
        }
        let fresh = Unmanaged.passRetained(
            Office(
                engine: self, generation: pointer.pointee.generation.load(ordering: .acquiring)))
        let result = pointer.pointee.office.compareExchange(
            expected: nil, desired: fresh.toOpaque(), ordering: .acquiringAndReleasing)
        guard let winner = result.original else { return fresh.takeUnretainedValue() }
        fresh.release()
        return Unmanaged<Office>.fromOpaque(winner).takeUnretainedValue()
    }

    /// Whether any shard holds a record.
    var hasRecords: Bool {
        for place in 0..<pointer.pointee.shardCount {
            let shard = pointer.pointee.shards[place]
            guard shard.tryLock() else {
                // One that is taken is getting a record; the others hold nothing of this process's.
                if shard.lock.pointee.load(ordering: .relaxed) <= Shard.LockState.taken {
                    return true
                }
                continue
            }
            let count = shard.contents.pointee.encoder.recordCount
            shard.unlock()
            if count > 0 { return true }
        }
        return false
    }

    /// What a forked child must close.
    func publish(descriptors: (socket: Int32, spool: Int32)) {
        pointer.pointee.socketNumber.store(descriptors.socket, ordering: .relaxed)
        pointer.pointee.spoolNumber.store(descriptors.spool, ordering: .relaxed)
    }

    /// Seals what there is into batches and hands them to the courier; whether there was any.
    func collect(_ books: inout Office.Books, metrics: Gate<MetricStore>) -> Bool {
        var found = false
        for place in 0..<pointer.pointee.shardCount {
            let shard = pointer.pointee.shards[place]
            guard lock(shard) else { continue }
            let dropped = shard.contents.pointee.dropped
            shard.contents.pointee.dropped = RecordCounts()
            let count = shard.contents.pointee.encoder.recordCount
            if count > 0 {
                swap(&shard.contents.pointee.encoder, &books.spare)
                shard.contents.pointee.isFullAnnounced = false
                shard.contents.pointee.isFull = false
            }
            shard.unlock()
            books.untold += dropped
            books.dropped += dropped
            guard count > 0 else { continue }
            found = true
            sealRecords(&books)
        }
        let contended = pointer.pointee.contended.exchange(0, ordering: .relaxed)
        books.untold.spans += contended
        books.dropped.spans += contended
        found = collectPoints(&books, metrics) || found
        return found
    }

    /// Takes a shard's lock; false if it holds nothing of this process's, or its holder was put to sleep
    /// by the kernel: then its records go out with the next flush.
    private func lock(_ shard: Shard) -> Bool {
        for round in 0..<Engine.lockRounds {
            if shard.tryLock() { return true }
            if shard.lock.pointee.load(ordering: .relaxed) > Shard.LockState.taken { return false }
            if round < 20 { cts_pause() } else { cts_yield() }
        }
        return false
    }

    private func collectPoints(
        _ books: inout Office.Books, _ metrics: Gate<MetricStore>
    ) -> Bool {
        let now = Clocks.wall()
        let drained: (instruments: [Instrument], points: [Point], start: UInt64, dropped: Int) =
            metrics.withLock { store in
                let (points, start) = store.drain(now: now)
                return (points.isEmpty ? [] : store.instruments, points, start, store.takeDropped())
            }
        books.untold.points += drained.dropped
        books.dropped.points += drained.dropped
        guard !drained.points.isEmpty else { return false }
        for point in drained.points {
            let isIn = books.points.append(
                point, of: drained.instruments[point.instrument], start: drained.start, time: now)
            if !isIn {
                books.untold.points += 1
                books.dropped.points += 1
            }
            if books.points.byteCount >= Engine.flushBytes { sealPoints(&books) }
        }
        if books.points.recordCount > 0 { sealPoints(&books) }
        return true
    }

    private func sealRecords(_ books: inout Office.Books) {
        let header = header(&books)
        let sealed = books.spare.seal(header)
        handOver(sealed, &books, told: header.dropped)
    }

    private func sealPoints(_ books: inout Office.Books) {
        let header = header(&books)
        let sealed = books.points.seal(header)
        handOver(sealed, &books, told: header.dropped)
    }

    private func header(_ books: inout Office.Books) -> SealHeader {
        SealHeader(
            producer: books.courier.machine.producer, sequence: books.courier.machine.sequence,
            threshold: settings.threshold,
            dropped: books.untold)
    }

    private func handOver(
        _ sealed: OutgoingBatch, _ books: inout Office.Books, told: RecordCounts
    ) {
        books.console?.print(sealed)
        books.sealedBatches += 1
        books.sealedBytes += sealed.frame.count - FrameHeader.byteCount
        if books.courier.enqueue(sealed) {
            books.untold = RecordCounts()
        } else {
            books.untold += sealed.records
        }
    }
}

// MARK: - The end

extension EngineReference {
    /// What became of the records so far.
    var statistics: DeliveryStatistics {
        office.books.withLock { books in
            var report = books.courier.report
            report.dropped += books.dropped
            report.sealedBatches = books.sealedBatches
            report.sealedBytes = books.sealedBytes
            return report
        }
    }

    /// How long the end waits for an ack, and for the flushing thread to finish what it is at.
    static let lastAckNanoseconds: UInt64 = 3_000_000
    static let lastLockNanoseconds: UInt64 = 50_000_000

    /// Sends what there is, waits for its ack a little, spools the rest: at exit.
    func finish() {
        // Nothing was ever recorded: nothing to do, and no office to make.
        guard pointer.pointee.office.load(ordering: .acquiring) != nil || hasRecords else { return }
        let office = office
        // The thread takes the books no more; it holds them only while it works without waiting.
        office.endThread()
        let start = Clocks.monotonic()
        var isSettled = false
        while !isSettled {
            let interest = office.books.withLock(until: start + Self.lastLockNanoseconds) { books in
                _ = office.flush(&books)
                return books.courier.machine.queue.isEmpty ? nil : books.courier.interest
            }
            let now = Clocks.monotonic()
            let deadline = start + Self.lastAckNanoseconds
            if let interest = interest ?? nil, now < deadline {
                Bell.wait(on: interest, nanoseconds: deadline - now)
            } else {
                isSettled = true
            }
        }
        _ = office.books.withLock(until: start + Self.lastLockNanoseconds) { books in
            _ = office.flush(&books)
            books.courier.end()
            _ = books.courier.pump()
        }
    }

    /// The end of an instance: no more records, thread ended, connection and file closed.
    func shutdown() {
        let office = office
        office.stop()
        finish()
        for place in 0..<pointer.pointee.shardCount {
            let shard = pointer.pointee.shards[place]
            _ = lock(shard)
            shard.lock.pointee.store(Shard.LockState.shut, ordering: .releasing)
        }
        office.books.withLock { books in
            books.courier.close()
            publish(descriptors: books.courier.descriptorNumbers)
        }
    }
}
