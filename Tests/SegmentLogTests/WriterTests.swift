import ByteCoding
import SimulationKit
import SystemIO
import Testing

@testable import SegmentLog

@Suite struct WriterTests {
    let disk = MemoryDisk()
    let time = ManualTime()

    private func open(_ limits: LogLimits = smallLimits()) throws -> LogWriter {
        try LogWriter(state: disk.root, limits: limits, time: time)
    }

    @Test func `what is appended is read in order with its envelope`() throws {
        let log = try open()
        let outcomes = log.append((1...5).map { request($0, time: $0 * 100) })
        #expect(outcomes.allSatisfy { if case .success(.stored) = $0 { true } else { false } })
        let found = try readAll(disk.root)
        #expect(found.texts == (1...5).map { "1000/1/\($0)" })
        let first = try #require(found.batches.first)
        #expect(first.envelope.peer == PeerIdentity(uid: 1000, gid: 100, pid: 77, startTicks: 5))
        #expect(first.envelope.received == time.wall())
        #expect(first.envelope.latest == 100)
        #expect(first.ordinal == LogOrdinal())
        #expect(found.batches[4].ordinal == LogOrdinal(batches: 4, records: 8))
    }

    @Test func `a group is one write`() throws {
        let log = try open(smallLimits(segment: 1 << 20))
        try log.store(request(1))
        let before = disk.calls(.write)
        _ = log.append((2...50).map { request($0) })
        // The entries, and the position.
        #expect(disk.calls(.write) - before == 2)
    }

    @Test func `an append waits for no sync, even when it opens a segment`() throws {
        let log = try open()
        let before = disk.calls(.sync)
        for sequence in 1...30 { try log.store(request(UInt64(sequence), bytes: 300)) }
        #expect(log.statistics.segments > 4)
        // Numbers are made safe ahead; one write of `meta` may be due within so many segments.
        #expect(disk.calls(.sync) - before <= 2)
    }

    @Test func `sequences at or below the highest are duplicates, of that uid alone`() throws {
        let log = try open()
        try log.store(request(5))
        #expect(try log.store(request(5)) == nil)
        #expect(try log.store(request(4)) == nil)
        #expect(try log.store(request(1, uid: 1001)) != nil)
        #expect(try log.store(request(6)) != nil)
        #expect(log.highestSequence(uid: 1000, producer: ID128(high: 9, low: 1)) == 6)
        #expect(log.highestSequence(uid: 1002, producer: ID128(high: 9, low: 1)) == 0)
        #expect(log.statistics.duplicates == LogOrdinal(batches: 2, records: 4))
    }

    @Test func `a repetition within a group is stored once`() throws {
        let log = try open()
        let outcomes = log.append([request(1), request(1), request(2)])
        #expect(try outcomes[1].get() == .duplicate)
        #expect(try readAll(disk.root).texts == ["1000/1/1", "1000/1/2"])
    }

    @Test func `segments are sealed at their size and the reader crosses them`() throws {
        let log = try open()
        for sequence in 1...40 { try log.store(request(UInt64(sequence), bytes: 200)) }
        try log.sync()
        let numbers = log.segments.map(\.summary.number)
        #expect(numbers == Array(1...SegmentNumber(numbers.count)))
        #expect(log.segments.allSatisfy { $0.isSealed })
        #expect(try readAll(disk.root).texts == (1...40).map { "1000/1/\($0)" })
        let reader = try LogReader(state: disk.root, at: .beginning)
        let footers = try reader.segments().compactMap(\.footer)
        #expect(footers.count == numbers.count)
        #expect(footers.allSatisfy { !$0.index.isEmpty })
    }

    @Test func `a trace that a segment does not hold is passed over by its filter`() throws {
        let log = try open()
        var generator = SeededGenerator(seed: 3)
        let wanted = ID128(random: &generator)
        for sequence in 1...40 {
            let trace = sequence == 20 ? wanted : ID128(random: &generator)
            try log.store(request(UInt64(sequence), bytes: 200, traces: [trace]))
        }
        try log.sync()
        let reader = try LogReader(state: disk.root, at: .beginning)
        reader.segmentIsWanted = { $0.filter.mayContain(wanted) }
        let texts = try readOn(reader).texts
        #expect(texts.contains("1000/1/20"))
        #expect(texts.count < 25)
    }

    @Test func `a reader follows, and passes over what is not wanted`() throws {
        let log = try open()
        let reader = try LogReader(state: disk.root, at: .end)
        #expect(try readOn(reader).batches.isEmpty)
        for sequence in 1...20 {
            try log.store(request(UInt64(sequence), bytes: 300))
            #expect(try readOn(reader).texts == ["1000/1/\(sequence)"])
        }
        let some = try LogReader(state: disk.root, at: .beginning)
        var texts: [String] = []
        while case .batch(let batch)? = try some.next(where: { $0.sequence % 5 == 0 }) {
            texts.append("\(batch.envelope.sequence)")
        }
        #expect(texts == ["5", "10", "15", "20"])
    }

    @Test func `the last records are found from the end`() throws {
        let log = try open()
        for sequence in 1...30 { try log.store(request(UInt64(sequence), bytes: 300)) }
        let reader = try LogReader(state: disk.root, at: .beginning)
        try reader.moveBack(records: 9)
        #expect(try readOn(reader).texts == (26...30).map { "1000/1/\($0)" })
        try reader.moveBack(records: 9, where: { $0.sequence % 10 == 0 })
        #expect(try readOn(reader).texts.first == "1000/1/1")
        try reader.moveBack(records: 3, where: { $0.sequence % 10 == 0 })
        #expect(try readOn(reader).texts.first == "1000/1/20")
    }

    @Test func `an orderly end is continued in the same segment`() throws {
        var log = try open(smallLimits(segment: 1 << 16))
        try log.store(request(1, traces: [ID128(high: 3, low: 4)]))
        let reader = try LogReader(state: disk.root, at: .beginning)
        #expect(try readOn(reader).texts == ["1000/1/1"])
        try log.close()
        disk.killProcess()
        #expect(try readOn(reader).texts.isEmpty)
        log = try open(smallLimits(segment: 1 << 16))
        #expect(log.recovery.clean)
        #expect(log.recovery.scannedBatches == 0)
        #expect(try log.store(request(1)) == nil)
        let offset = try #require(try log.store(request(2)))
        #expect(offset.segment == 1)
        #expect(try readOn(reader).texts == ["1000/1/2"])
        #expect(log.statistics.stored == LogOrdinal(batches: 2, records: 4))
        try log.close()
        #expect(try readAll(disk.root).texts == ["1000/1/1", "1000/1/2"])
    }

    @Test func `an unclean start opens a new segment above any that was ever made`() throws {
        var last: SegmentNumber = 0
        for round in 1...5 {
            let log = try open()
            let offset = try #require(try log.store(request(UInt64(round))))
            #expect(offset.segment > last)
            last = offset.segment
            disk.killProcess()
        }
        #expect(try readAll(disk.root).texts == (1...5).map { "1000/1/\($0)" })
    }

    @Test func `only one agent opens a log`() throws {
        let log = try open()
        #expect(throws: LogError.self) { try open() }
        try log.close()
    }
}
