import ByteCoding
import SimulationKit
import SystemIO
import Testing

@testable import SegmentLog

@Suite struct LimitTests {
    let disk = MemoryDisk()
    let time = ManualTime()

    private func open(_ limits: LogLimits = smallLimits()) throws -> LogWriter {
        try LogWriter(state: disk.root, limits: limits, time: time)
    }

    /// Time passes while the log is cared for, as it is while an agent runs.
    private func pass(_ seconds: Double, _ log: LogWriter) {
        var rest = seconds
        while rest > 0 {
            time.advance(min(rest, 600))
            log.maintain()
            rest -= 600
        }
    }

    @Test func `the cap deletes the oldest segments, and a reader counts what it missed`() throws {
        let log = try open(smallLimits(cap: 10_000))
        let reader = try LogReader(state: disk.root, at: .beginning)
        try log.store(request(1, bytes: 200))
        #expect(try readOn(reader).texts == ["1000/1/1"])
        for sequence in 2...200 {
            try log.store(request(UInt64(sequence), bytes: 200))
            #expect(log.statistics.bytes <= 10_000 + 600)
        }
        let now = log.statistics
        #expect(now.stored == LogOrdinal(batches: 200, records: 400))
        #expect(now.kept.batches + now.expired.batches == 200)
        #expect(now.expired.batches > 100)
        let found = try readOn(reader)
        // Its descriptor kept the first segment alive.
        #expect(found.texts.first == "1000/1/2")
        #expect(found.missed.count == 1)
        let missed = try #require(found.missed.first)
        #expect(missed.cause == .expired)
        let count = try #require(missed.count)
        #expect(UInt64(found.batches.count) + count.batches + 1 == 200)
        #expect(count.records == count.batches * 2)
        let fresh = try readAll(disk.root)
        #expect(fresh.missed.isEmpty)
        #expect(UInt64(fresh.batches.count) == now.kept.batches)
        let late = try readAll(
            disk.root, at: .offset(LogOffset(segment: 1, position: 80), ordinal: LogOrdinal()))
        #expect(late.missed.first?.count?.batches == now.expired.batches)
    }

    @Test func `entries are deleted by age of receipt, after seven days`() throws {
        let log = try open()
        try log.store(request(1))
        for day in 1...20 {
            pass(86_400, log)
            try log.store(request(UInt64(day + 1)))
            try log.sync()
        }
        let first = try #require(try readAll(disk.root).batches.first)
        #expect(first.envelope.sequence >= 13 && first.envelope.sequence <= 15)
    }

    @Test(arguments: [34_560_000.0, -34_560_000.0])
    func `a step of the clock deletes nothing`(_ seconds: Double) throws {
        let log = try open()
        for sequence in 1...20 { try log.store(request(UInt64(sequence), bytes: 300)) }
        time.advance(5)
        log.maintain()
        time.step(seconds)
        for _ in 0..<100 {
            time.advance(60)
            log.maintain()
        }
        #expect(try readAll(disk.root).batches.count == 20)
        #expect(log.statistics.producers == 1)
    }

    @Test(arguments: [60.0, 3600, 604_800], [-86_400.0, -34_560_000])
    func `what comes in after a step back is as young as it is`(_ age: Double, _ step: Double)
        throws
    {
        var limits = smallLimits()
        limits.age = .seconds(age)
        let log = try open(limits)
        try log.store(request(1))
        time.advance(5)
        log.maintain()
        time.step(step)
        for sequence in 2...20 {
            try log.store(request(UInt64(sequence), bytes: 300))
            time.advance(age / 40)
            log.maintain()
        }
        #expect(try readAll(disk.root).batches.count == 20)
    }

    @Test func `what came in while the clock was wrong stays for a day when it is put right`()
        throws
    {
        let log = try open()
        time.advance(5)
        log.maintain()
        time.step(-30 * 86_400)
        for sequence in 1...20 {
            try log.store(request(UInt64(sequence), bytes: 300))
            time.advance(60)
            log.maintain()
        }
        time.step(30 * 86_400)
        log.maintain()
        pass(86_000, log)
        #expect(try readAll(disk.root).batches.count == 20)
    }

    @Test func `a clock that jumped before a start makes no producer a stranger`() throws {
        var log = try open()
        try log.store(request(3))
        time.step(30 * 86_400)
        try log.store(request(1, producer: 7))
        disk.killProcess()
        log = try open()
        log.maintain()
        #expect(try log.store(request(3)) == nil)
    }

    @Test func `a sleep of weeks deletes nothing on the spot`() throws {
        let log = try open()
        for sequence in 1...20 { try log.store(request(UInt64(sequence), bytes: 300)) }
        time.advance(5)
        log.maintain()
        // Both clocks run on while the machine sleeps.
        time.advance(30 * 86_400)
        log.maintain()
        pass(86_000, log)
        #expect(try readAll(disk.root).batches.count == 20)
        pass(1200, log)
        #expect(try readAll(disk.root).batches.isEmpty)
    }

    @Test func `a start long after the last entry deletes nothing on the spot`() throws {
        var log = try open()
        for sequence in 1...20 { try log.store(request(UInt64(sequence), bytes: 300)) }
        try log.close()
        disk.killProcess()
        time.step(30 * 86_400)
        log = try open()
        log.maintain()
        #expect(try readAll(disk.root).batches.count == 20)
        pass(90_000, log)
        #expect(try readAll(disk.root).batches.isEmpty)
        #expect(log.statistics.expired == LogOrdinal(batches: 20, records: 40))
        #expect(log.statistics.stored == LogOrdinal(batches: 20, records: 40))
    }

    @Test func `counts survive when no segment is left`() throws {
        var log = try open()
        try log.store(request(1))
        time.advance(5)
        pass(1_200_000, log)
        #expect(log.statistics.kept == LogOrdinal())
        try log.close()
        disk.killProcess()
        log = try open()
        #expect(log.statistics.stored == LogOrdinal(batches: 1, records: 2))
        try log.store(request(2, producer: 4))
        #expect(log.statistics.stored == LogOrdinal(batches: 2, records: 4))
    }

    @Test func `dedupe survives the deletion of every segment that held the batch`() throws {
        var log = try open(smallLimits(cap: 8_000))
        try log.store(request(9, producer: 7))
        for sequence in 1...200 { try log.store(request(UInt64(sequence), bytes: 200)) }
        #expect(log.statistics.expired.batches > 100)
        try log.sync()
        disk.killProcess()
        disk.remove("log/dedupe")
        log = try open(smallLimits(cap: 8_000))
        #expect(try log.store(request(9, producer: 7)) == nil)
        #expect(try log.store(request(10, producer: 7)) != nil)
    }

    @Test func `producers are bounded for each uid, and one uid cannot push out another's`() throws
    {
        let log = try open()
        for producer in 1...10 { try log.store(request(1, producer: UInt64(producer), uid: 1)) }
        for producer in 1...500 {
            time.advance(1)
            try log.store(request(1, producer: UInt64(producer), uid: 2))
        }
        #expect(log.statistics.producers <= 26)
        for producer in 1...10 {
            #expect(try log.store(request(1, producer: UInt64(producer), uid: 1)) == nil)
        }
        #expect(try log.store(request(1, producer: 500, uid: 2)) == nil)
        #expect(log.statistics.producersForgotten > 400)
    }

    @Test func `a producer that is idle for seven days is forgotten`() throws {
        let log = try open()
        try log.store(request(3))
        pass(6 * 86_400, log)
        #expect(log.highestSequence(uid: 1000, producer: ID128(high: 9, low: 1)) == 3)
        pass(3 * 86_400, log)
        #expect(log.highestSequence(uid: 1000, producer: ID128(high: 9, low: 1)) == 0)
    }

    @Test func `a batch larger than a segment is stored, one larger than an entry refused`() throws
    {
        let log = try open()
        try log.store(request(1, bytes: 10_000))
        try log.store(request(2))
        let huge = request(3, bytes: Envelope.payloadBytesMax + 1)
        guard case .failure(.tooLarge) = log.append([huge])[0] else {
            Issue.record("was not refused")
            return
        }
        try log.store(request(4))
        #expect(try readAll(disk.root).texts.count == 3)
    }

    @Test func `limits follow the file system`() {
        let small = LogLimits.standard(for: StorageSpace(total: 200 << 20, available: 1 << 20))
        #expect(small.capBytes == 10 << 20)
        #expect(small.segmentBytes == 640 << 10)
        let large = LogLimits.standard(for: StorageSpace(total: 1 << 40, available: 1 << 40))
        #expect(large.capBytes == 1 << 30)
        #expect(large.segmentBytes == 64 << 20)
        #expect(large.reserveBytes == 16 << 20)
    }
}

@Suite struct FailureTests {
    let disk = MemoryDisk()
    let time = ManualTime()

    private func open() throws -> LogWriter {
        try LogWriter(state: disk.root, limits: smallLimits(), time: time)
    }

    @Test func `a full disk refuses, loses nothing, and the log goes on when there is space`()
        throws
    {
        let log = try open()
        try log.store(request(1))
        let offset = log.committed
        disk.setCapacity(disk.used + 100)
        let outcomes = log.append([request(2), request(3, bytes: 300), request(4)])
        #expect(outcomes.allSatisfy { if case .failure(.full) = $0 { true } else { false } })
        #expect(log.committed == offset)
        #expect(log.statistics.isFull)
        #expect(log.statistics.refusedFull.batches == 3)
        #expect(try readAll(disk.root).texts == ["1000/1/1"])
        disk.setCapacity(.max)
        #expect(try log.store(request(2)) != nil)
        #expect(!log.statistics.isFull)
        disk.killProcess()
        _ = try open()
        #expect(try readAll(disk.root).texts == ["1000/1/1", "1000/1/2"])
    }

    @Test func `a log that was full is well again though nobody writes to it`() throws {
        let log = try open()
        try log.store(request(1))
        disk.setCapacity(disk.used + 100)
        _ = log.append([request(2, bytes: 900)])
        disk.setCapacity(disk.used)
        let used = disk.used
        log.maintain()
        #expect(log.statistics.isFull)
        #expect(log.statistics.remedy != nil)
        // What it tried to reserve is everybody's again.
        #expect(disk.used <= used)
        disk.setCapacity(.max)
        log.maintain()
        #expect(log.statistics.failure == nil)
        // Without a segment to write to, too.
        log.rotate()
        disk.setCapacity(disk.used)
        _ = log.append([request(2)])
        #expect(log.statistics.isFull)
        disk.setCapacity(.max)
        log.maintain()
        #expect(log.statistics.failure == nil)
        try log.store(request(2))
        #expect(try readAll(disk.root).texts == ["1000/1/1", "1000/1/2"])
    }

    @Test func `descriptors that are short for a while stop the log for that while only`() throws {
        let log = try open()
        disk.fail([.open], errno: 24)
        guard case .failure(.full) = log.append([request(1)])[0] else {
            Issue.record("was stored without a segment")
            return
        }
        #expect(log.statistics.isFull)
        disk.fail([])
        try log.store(request(1))
        // A directory is opened to be synced: that it could not be is no failed sync.
        disk.fail([.sync], errno: 24)
        if let job = log.beginSync() { log.finishSync(job.perform()) }
        #expect(log.synced < log.committed)
        disk.fail([])
        try log.sync()
        #expect(log.synced == log.committed)
        #expect(try readAll(disk.root).texts == ["1000/1/1"])
    }

    @Test func `a sync that cannot be tried is tried again after a pause, however much waits`()
        throws
    {
        var limits = smallLimits()
        limits.syncBytes = 1
        let time = ManualTime()
        let log = try LogWriter(state: disk.root, limits: limits, time: time)
        try log.store(request(1))
        let due = try #require(log.syncDue)
        #expect(due <= time.boottime())
        disk.fail([.sync], errno: 24)
        for number in 2...5 {
            let job = try #require(log.beginSync())
            log.finishSync(job.perform())
            let next = try #require(log.syncDue)
            #expect(next == time.boottime() + limits.syncRetryDelay.nanoseconds)
            // More that waits makes it no earlier.
            try log.store(request(UInt64(number)))
            #expect(log.syncDue == next)
            time.advance(limits.syncRetryDelay / .seconds(1))
            #expect(try #require(log.syncDue) <= time.boottime())
        }
        // Nobody who asked for it is told that it was done.
        #expect(throws: LogError.self) { try log.sync() }
        #expect(log.synced < log.committed)
        disk.fail([])
        try log.sync()
        #expect(log.synced == log.committed)
        #expect(log.syncDue == nil)
        try log.store(request(6))
        #expect(try #require(log.syncDue) <= time.boottime())
    }

    @Test func `what a failed write left behind is never found`() throws {
        let log = try open()
        try log.store(request(1))
        // Room for the first two of three: they are whole in the file when the third fails.
        disk.setCapacity(disk.used + 170)
        let content = disk.content("log/0000000001.segment")?.count ?? 0
        disk.fail([.allocate])
        disk.setCapacity(disk.used - content + Int(log.committed.position) + 2 * 168 + 50)
        _ = log.append([request(2), request(3), request(4)])
        disk.setCapacity(.max)
        disk.fail([])
        try log.store(request(2, bytes: 40, records: 9))
        disk.killProcess()
        let after = try open()
        let found = try readAll(disk.root)
        let stored = found.batches.map(\.envelope.sequence)
        #expect(Set(stored).count == stored.count)
        #expect(after.recovery.damaged.isEmpty)
    }

    @Test func `a stream stores nothing after a batch that it could not store`() throws {
        let log = try open()
        let stream = AppendStream()
        try log.store(request(1, stream: stream))
        disk.setCapacity(disk.used)
        disk.fail([.allocate])
        _ = log.append([request(2, bytes: 3000, stream: stream)])
        disk.setCapacity(.max)
        disk.fail([])
        #expect(stream.isBroken)
        guard case .failure(.interrupted) = log.append([request(3, stream: stream)])[0] else {
            Issue.record("a hole was made")
            return
        }
        let again = AppendStream()
        #expect(try log.store(request(2, stream: again)) != nil)
        #expect(try log.store(request(3, stream: again)) != nil)
        #expect(try readAll(disk.root).texts == (1...3).map { "1000/1/\($0)" })
    }

    @Test func `a full disk can still be cleaned with the reserve`() throws {
        let log = try open()
        #expect(log.statistics.reserveHeld)
        for sequence in 1...9 { try log.store(request(UInt64(sequence), bytes: 200)) }
        disk.setCapacity(disk.used)
        // The segment's footer needs space that only the reserve has.
        log.rotate()
        try log.sync()
        #expect(!log.statistics.reserveHeld)
        #expect(log.segments.allSatisfy { $0.isSealed })
        disk.setCapacity(.max)
        log.maintain()
        #expect(log.statistics.reserveHeld)
    }

    @Test func `a start on a full disk succeeds`() throws {
        var log = try open()
        for sequence in 1...30 { try log.store(request(UInt64(sequence), bytes: 200)) }
        disk.killProcess()
        disk.setCapacity(0)
        log = try open()
        #expect(try readAll(disk.root).batches.count == 30)
        guard case .failure(.full) = log.append([request(40)])[0] else {
            Issue.record("was stored on a full disk")
            return
        }
        disk.setCapacity(.max)
        #expect(try log.store(request(40)) != nil)
    }

    @Test func `numbers that are in use are never forgotten by a sync that was on its way`() throws
    {
        let log = try open()
        try log.store(request(1))
        let job = try #require(log.beginSync())
        // Meanwhile the writer needs numbers, more than once, and makes them safe itself.
        for sequence in 2...30 {
            log.rotate()
            try log.store(request(UInt64(sequence)))
        }
        log.finishSync(job.perform())
        let meta = try #require(disk.content("log/meta").flatMap(LogMeta.decode))
        #expect(meta.nextSegment >= log.nextNumber)
    }

    @Test func `a failed sync poisons the writer, and the synced position stays`() throws {
        let log = try open()
        try log.store(request(1))
        try log.sync()
        let synced = log.synced
        try log.store(request(2))
        disk.fail([.sync])
        #expect(throws: LogError.self) { try log.sync() }
        disk.fail([])
        #expect(throws: LogError.self) { try log.sync() }
        guard case .failure(.poisoned) = log.append([request(3)])[0] else {
            Issue.record("was stored after a failed sync")
            return
        }
        #expect(log.synced == synced)
        #expect(log.statistics.failure != nil)
        #expect(throws: LogError.self) { try log.close() }
        disk.killProcess()
        let next = try open()
        #expect(!next.recovery.clean)
        #expect(try next.store(request(3)) != nil)
    }

    @Test func `a failed write poisons the writer`() throws {
        let log = try open()
        try log.store(request(1))
        disk.fail([.write])
        guard case .failure(.io) = log.append([request(2)])[0] else {
            Issue.record("was stored")
            return
        }
        disk.fail([])
        guard case .failure(.poisoned) = log.append([request(2)])[0] else {
            Issue.record("was stored after an error")
            return
        }
    }

    @Test func `a file system that cannot reserve space is written to all the same`() throws {
        disk.fail([.allocate])
        let log = try open()
        for sequence in 1...30 { try log.store(request(UInt64(sequence), bytes: 200)) }
        #expect(try readAll(disk.root).batches.count == 30)
        #expect(!log.statistics.reserveHeld)
    }
}
