import ByteCoding
import SimulationKit
import SystemIO
import Testing

@testable import SegmentLog

/// What damage takes from the log is told of and counted, and never taken for something else. Every byte and
/// every cut is tried by Tests/Witness/damage_check.py.
@Suite struct LostEndTests {
    let time = ManualTime()
    private let name = "log/0000000001.segment"

    private func open(_ disk: MemoryDisk) throws -> LogWriter {
        try LogWriter(state: disk.root, limits: smallLimits(), time: time)
    }

    /// A killed agent's log of one segment with three synced entries, and a fourth if `more`.
    private func killed(more: Bool = false) throws -> (disk: MemoryDisk, starts: [LogOffset]) {
        let disk = MemoryDisk()
        let log = try open(disk)
        var starts = try (1...3).map { try #require(try log.store(request($0))) }
        try log.sync()
        if more { starts.append(try #require(try log.store(request(4)))) }
        disk.killProcess()
        return (disk, starts)
    }

    private func change(_ disk: MemoryDisk, _ change: (inout [UInt8]) -> Void) throws {
        var bytes = try #require(disk.content(name))
        change(&bytes)
        disk.put(name, bytes)
    }

    @Test func `a batch damaged before its segment was sealed is counted by the next header`()
        throws
    {
        let (disk, starts) = try killed()
        try change(disk) { $0[Int(starts[1].position) + 20] ^= 1 }
        let log = try open(disk)
        #expect(log.recovery.damaged.map(\.from) == [starts[1]])
        #expect(log.statistics.stored == LogOrdinal(batches: 3, records: 6))
        #expect(log.statistics.lost == LogOrdinal(batches: 1, records: 2))
        #expect(log.statistics.expired == LogOrdinal())
        try log.store(request(4))
        let found = try readAll(disk.root)
        #expect(found.missed.map(\.count) == [LogOrdinal(batches: 1, records: 2)])
        #expect(found.missed.map(\.cause) == [.damaged])
    }

    @Test func `below the synced position a lost end is damage, above it is torn`() throws {
        for isSynced in [true, false] {
            let (disk, starts) = try killed(more: true)
            let cut = starts[isSynced ? 2 : 3].position + 50
            try change(disk) { $0.removeLast($0.count - Int(cut)) }
            let log = try open(disk)
            #expect(log.recovery.damaged.map(\.from) == (isSynced ? [starts[2]] : []))
            #expect(log.recovery.tornTails.map(\.from) == (isSynced ? [] : [starts[3]]))
            #expect(log.statistics.tornTails == (isSynced ? 0 : 1))
            #expect(log.statistics.lost.batches == (isSynced ? 2 : 1))
            #expect(log.committed > starts[3])
            #expect(disk.names("quarantine") == ["1-\(starts[isSynced ? 2 : 3].position).bytes"])
        }
    }

    @Test
    func `the loss of the newest segment is told of once, and its offsets are not used again`()
        throws
    {
        let (disk, starts) = try killed()
        disk.remove(name)
        disk.remove("log/meta")
        var log = try open(disk)
        #expect(log.recovery.damaged.map(\.from) == [LogOffset(segment: 1, position: 0)])
        #expect(log.statistics.lost == LogOrdinal(batches: 3, records: 6))
        #expect(try #require(try log.store(request(1))).segment > starts[0].segment)
        try log.close()
        disk.killProcess()
        log = try open(disk)
        #expect(log.recovery.clean && log.recovery.damaged.isEmpty)
        #expect(log.statistics.stored.batches == 4)
    }

    @Test func `a segment without header and first entry keeps the rest`() throws {
        let (disk, starts) = try killed()
        try change(disk) { bytes in
            for place in 0..<Int(starts[1].position) { bytes[place] = 0 }
        }
        _ = try open(disk)
        #expect(try readAll(disk.root).batches.map(\.envelope.sequence) == [2, 3])
    }

    @Test func `a segment that damage emptied does not look expired`() throws {
        let (disk, starts) = try killed()
        try change(disk) { $0.removeLast($0.count - Int(starts[0].position) - 4) }
        let log = try open(disk)
        log.maintain()
        #expect(log.statistics.expired == LogOrdinal())
        #expect(log.statistics.lost.batches == 3)
    }

    @Test func `a wrong header of a sealed segment is told of once`() throws {
        let (disk, _) = try killed()
        try open(disk).close()
        disk.killProcess()
        try change(disk) { $0[40] ^= 1 }
        var log = try open(disk)
        #expect(log.recovery.damaged.map(\.from) == [LogOffset(segment: 1, position: 0)])
        #expect(disk.content("quarantine/1-0.bytes")?.count == SegmentHeader.encodedBytes)
        try log.close()
        disk.killProcess()
        log = try open(disk)
        #expect(log.recovery.damaged.isEmpty)
        #expect(try readAll(disk.root).batches.count == 3)
    }

    @Test func `a wrong header is told of once, also if none of its entries is right`() throws {
        let (disk, starts) = try killed()
        try change(disk) { bytes in
            bytes[40] ^= 1
            for start in starts { bytes[Int(start.position) + Envelope.encodedBytes] ^= 1 }
        }
        var log = try open(disk)
        #expect(
            log.recovery.damaged.map(\.from) == [LogOffset(segment: 1, position: 0), starts[0]])
        #expect(disk.content("quarantine/1-0.bytes")?.count == SegmentHeader.encodedBytes)
        try log.close()
        disk.killProcess()
        log = try open(disk)
        #expect(log.recovery.damaged.isEmpty)
        #expect(try readAll(disk.root).batches.isEmpty)
    }

    @Test func `a log that retention emptied has lost nothing`() throws {
        let (disk, starts) = try killed()
        var log = try open(disk)
        // Cared for all the while: what passes at once is sleep.
        for _ in 0..<(8 * 144) {
            time.advance(600)
            log.maintain()
        }
        try #require(log.statistics.segments == 0)
        #expect(log.committed > starts[2])
        try log.sync()
        disk.killProcess()
        log = try open(disk)
        #expect(log.recovery.damaged.isEmpty && log.recovery.problems.isEmpty)
        #expect(log.statistics.expired == LogOrdinal(batches: 3, records: 6))
        #expect(log.statistics.lost == LogOrdinal())
    }

    @Test func `a reader and the start count the same damage once`() throws {
        let (disk, starts) = try killed()
        try change(disk) { $0[Int(starts[1].position) + 20] ^= 1 }
        let log = try GroupCommit(state: disk.root, limits: smallLimits(), time: time)
        for range in try readAll(disk.root).damaged { log.report(range) }
        log.shutdown()
        #expect(log.statistics.damagedRanges == 1)
    }
}
