import ByteCoding
import SimulationKit
import SystemIO
import Testing

@testable import SegmentLog

@Suite struct RecoveryTests {
    let time = ManualTime()

    private func open(_ disk: MemoryDisk, _ limits: LogLimits = smallLimits()) throws -> LogWriter {
        try LogWriter(state: disk.root, limits: limits, time: time)
    }

    /// A disk whose only segment holds three entries and was not sealed; where each entry begins.
    private func threeEntries() throws -> (disk: MemoryDisk, starts: [Int], end: Int) {
        let disk = MemoryDisk()
        let log = try open(disk)
        let starts = try (1...3).map { Int(try #require(try log.store(request($0))).position) }
        let end = Int(log.committed.position)
        disk.killProcess()
        return (disk, starts, end)
    }

    private let name = "log/0000000001.segment"

    @Test func `a torn tail of any length is cut, copied, and loses only what it tore`() throws {
        let (disk, starts, end) = try threeEntries()
        let bytes = Array(try #require(disk.content(name)).prefix(end))
        let ends = starts.dropFirst() + [end]
        for length in 0...end {
            let torn = disk.copy()
            torn.put(name, Array(bytes.prefix(length)))
            let log = try open(torn)
            let whole = length < SegmentHeader.encodedBytes ? 0 : ends.count { $0 <= length }
            let found = try readAll(torn.root)
            #expect(found.texts == (1...3).prefix(whole).map { "1000/1/\($0)" }, "\(length)")
            #expect(found.damaged.isEmpty && found.missed.isEmpty, "\(length)")
            let offset = try #require(try log.store(request(10)))
            #expect(offset.segment > 1)
            if whole == 1, length > starts[1] {
                #expect(torn.names("quarantine") == ["1-\(starts[1]).bytes"], "\(length)")
            }
        }
    }

    @Test func `no flipped byte stops a start or loses an entry that it does not touch`() throws {
        let (disk, starts, end) = try threeEntries()
        let bytes = Array(try #require(disk.content(name)).prefix(end))
        for place in 0..<end {
            var changed = bytes
            changed[place] ^= 0x5A
            let damaged = disk.copy()
            damaged.put(name, changed)
            let log = try open(damaged)
            #expect(!log.recovery.clean)
            let hit = starts.lastIndex { $0 <= place }
            var expected = [1, 2, 3]
            if let hit {
                // Padding belongs to nobody.
                let payloadEnd = starts[hit] + Envelope.encodedBytes + 40
                if place < payloadEnd { expected.remove(at: hit) }
            }
            let found = try readAll(damaged.root)
            #expect(found.texts == expected.map { "1000/1/\($0)" }, "byte \(place)")
            _ = try log.store(request(10))
        }
    }

    @Test func `damage in a sealed segment is stepped over, reported and counted`() throws {
        let disk = MemoryDisk()
        let log = try open(disk)
        for sequence in 1...30 { try log.store(request(UInt64(sequence), bytes: 200)) }
        try log.sync()
        let bytes = try #require(disk.content(name))
        let second = try #require(try readAll(disk.root).batches.dropFirst().first)
        for place in stride(from: 0, to: bytes.count, by: 7) {
            var changed = bytes
            changed[place] ^= 0xFF
            let damaged = disk.copy()
            damaged.put(name, changed)
            let found = try readAll(damaged.root)
            #expect(found.texts.count >= 29, "byte \(place)")
            #expect(found.texts.suffix(15) == (16...30).map { "1000/1/\($0)" }[...])
        }
        var changed = bytes
        changed[Int(second.offset.position) + 20] ^= 1
        disk.put(name, changed)
        let found = try readAll(disk.root)
        #expect(found.damaged.map(\.from) == [second.offset])
        #expect(found.missed.map(\.count) == [LogOrdinal(batches: 1, records: 2)])
        #expect(found.missed.map(\.cause) == [.damaged])
        try log.keepDamaged(found.damaged[0])
        #expect(log.statistics.damagedRanges == 1)
        #expect(disk.names("quarantine") == ["1-\(second.offset.position).bytes"])
    }

    @Test func `a damaged payload names its records`() throws {
        let (disk, starts, _) = try threeEntries()
        var bytes = try #require(disk.content(name))
        bytes[starts[1] + Envelope.encodedBytes] ^= 1
        disk.put(name, bytes)
        let found = try readAll(disk.root)
        #expect(found.damaged.count == 1)
        #expect(found.damaged.first?.envelope?.records == 2)
        #expect(found.batches.last?.ordinal == LogOrdinal(batches: 2, records: 4))
    }

    @Test(arguments: ["meta", "position", "dedupe"])
    func `a small file that is damaged or missing never stops a start`(_ file: String) throws {
        let disk = MemoryDisk()
        var log = try open(disk)
        for sequence in 1...30 { try log.store(request(UInt64(sequence), bytes: 200)) }
        let logID = log.logID
        try log.close()
        disk.killProcess()
        let bytes = try #require(disk.content("log/" + file))
        for place in bytes.indices {
            let damaged = disk.copy()
            var changed = bytes
            changed[place] ^= 0x11
            damaged.put("log/" + file, changed)
            log = try open(damaged)
            #expect(log.logID == logID)
            #expect(try log.store(request(30)) == nil, "dedupe is rebuilt from the footers")
            #expect(try log.store(request(31)) != nil)
            #expect(try readAll(damaged.root).texts.count == 31)
        }
        disk.remove("log/" + file)
        log = try open(disk)
        #expect(log.logID == logID)
        #expect(try log.store(request(31)) != nil)
    }

    @Test func `a file without one entry goes to the quarantine`() throws {
        let disk = MemoryDisk()
        var log = try open(disk)
        try log.store(request(1))
        disk.killProcess()
        disk.put("log/0000000700.segment", Array(repeating: 0xAB, count: 3000))
        log = try open(disk)
        #expect(log.recovery.damaged.map(\.from.segment) == [700])
        #expect(disk.content("quarantine/700-0.bytes")?.count == 3000)
        let offset = try #require(try log.store(request(2)))
        #expect(offset.segment > 700)
    }

    @Test func `a payload that imitates entries is not taken for one`() throws {
        let disk = MemoryDisk()
        let log = try open(disk)
        try log.store(request(1))
        let original = try #require(disk.content(name))
        // The peer repeats a stored entry's very bytes inside its payload.
        let imitation = Array(original[80..<Int(log.committed.position)])
        var forged = request(2)
        forged.payload = imitation + imitation
        forged.payloadCRC = crc32c(forged.payload.span.bytes)
        let offset = try #require(try log.store(forged))
        try log.store(request(3))
        disk.killProcess()
        var bytes = try #require(disk.content(name))
        bytes[Int(offset.position)] ^= 1
        disk.put(name, bytes)
        _ = try open(disk)
        #expect(try readAll(disk.root).batches.map(\.envelope.sequence) == [1, 3])
    }

    @Test func `the quarantine is bounded`() throws {
        let disk = MemoryDisk()
        var limits = smallLimits()
        limits.quarantineBytesMax = 4000
        for number in 1...20 {
            disk.put(
                "log/\(SegmentName.make(SegmentNumber(number)))", Array(repeating: 1, count: 900))
        }
        _ = try open(disk, limits)
        let total = disk.names("quarantine").reduce(0) {
            $0 + (disk.content("quarantine/" + $1)?.count ?? 0)
        }
        #expect(total <= 4000)
        #expect(disk.names("quarantine").contains("20-0.bytes"))
    }
}
