import ByteCoding
import SimulationKit
import SystemIO
import Testing

@testable import SegmentLog

/// Files that somebody else takes away while the agent runs, or between two runs.
@Suite struct RemovalTests {
    let disk = MemoryDisk()
    let time = ManualTime()

    private func open(_ state: MemoryStorage? = nil, _ limits: LogLimits = smallLimits())
        throws -> LogWriter
    {
        try LogWriter(state: state ?? disk.root, limits: limits, time: time)
    }

    private func counts(_ log: LogWriter) -> [UInt64] {
        let now = log.statistics
        return [now.stored, now.kept, now.expired, now.lost].map(\.batches)
    }

    @Test func `what was in a removed segment is lost, and the log goes on above it`() throws {
        var log = try open()
        try log.store(request(1))
        try log.sync()
        let lost = try #require(try log.store(request(2)))
        disk.remove("log/0000000001.segment")
        #expect(throws: LogError.self) { try log.sync() }
        #expect(log.statistics.failure == nil)
        #expect(counts(log) == [2, 0, 0, 2])
        #expect(log.statistics.removed == LogOrdinal(batches: 2, records: 4))
        #expect(log.news == [.removed(1, LogOrdinal(batches: 2, records: 4))])
        let next = try #require(try log.store(request(3)))
        #expect(next.segment > lost.segment)
        try log.sync()
        #expect(log.synced == log.committed)
        #expect(try readAll(disk.root).texts == ["1000/1/3"])
        try log.close()
        disk.killProcess()
        log = try open()
        #expect(counts(log) == [3, 1, 0, 2])
        #expect(log.recovery.damaged.isEmpty)
        #expect(log.recovery.clean)
    }

    @Test func `a batch whose producer heard of no ack is stored again`() throws {
        let log = try open()
        try log.store(request(1))
        log.rotate()
        try log.sync()
        try log.store(request(2))
        try log.store(request(1, producer: 2))
        disk.remove("log/0000000002.segment")
        log.maintain()
        #expect(log.highestSequence(uid: 1000, producer: ID128(high: 9, low: 1)) == 1)
        #expect(log.highestSequence(uid: 1000, producer: ID128(high: 9, low: 2)) == 0)
        #expect(try log.store(request(2)) != nil)
        #expect(try log.store(request(1)) == nil)
    }

    @Test func `a segment that was replaced counts as removed`() throws {
        let log = try open()
        try log.store(request(1))
        let bytes = try #require(disk.content("log/0000000001.segment"))
        disk.put("log/0000000001.segment", bytes)
        let job = try #require(log.beginSync())
        log.finishSync(job.perform())
        #expect(counts(log) == [1, 0, 0, 1])
    }

    @Test func `no sealed segment is missed in silence, and retention counts its own alone`() throws
    {
        var log = try open()
        for number in 1...30 { try log.store(request(UInt64(number), bytes: 300)) }
        try log.sync()
        let reader = try LogReader(state: disk.root, at: .beginning)
        _ = try reader.next()
        let all = disk.names("log").filter { $0.hasSuffix(".segment") }
        let first = log.segments[0].summary.batches
        let second = log.segments[1].summary.batches
        disk.remove("log/" + all[1])
        log.maintain()
        #expect(counts(log) == [30, 30 - second, 0, second])
        // Retention takes the first; the removed one stays lost.
        log.enforceCap(ahead: (1 << 20) - log.segmentBytes + 1)
        #expect(counts(log) == [30, 30 - second - first, first, second])
        disk.killProcess()
        log = try open()
        #expect(counts(log) == [30, 30 - second - first, first, second])
    }

    @Test func `a reader says removed where retention did not delete`() throws {
        var log = try open()
        for number in 1...30 { try log.store(request(UInt64(number), bytes: 300)) }
        try log.sync()
        let before = LogOrdinal(batches: 1, records: 2)
        let place = LogOffset(segment: 1, position: 600)
        try log.close()
        disk.killProcess()
        disk.remove("log/0000000001.segment")
        var found = try readAll(disk.root, at: .offset(place, ordinal: before))
        #expect(found.missed.map(\.cause) == [.removed])
        log = try open()
        #expect(log.statistics.expired == LogOrdinal())
        log.enforceCap(ahead: (1 << 20) - log.segmentBytes + 1)
        let second = LogOffset(segment: 2, position: 600)
        found = try readAll(disk.root, at: .offset(second, ordinal: before))
        #expect(found.missed.map(\.cause) == [.expired])
    }

    @Test func `without the lock nothing is replaced, and nothing taken`() throws {
        let first = disk.startProcess()
        let log = try open(first)
        try log.store(request(1))
        disk.remove("lock")
        let other = try open(disk.startProcess())
        try other.store(request(1, producer: 2))
        try other.sync()
        let files = ["log/meta", "log/position", "log/dedupe"]
        let theirs = files.map { disk.content($0) }
        let refused = log.append([request(2)])[0]
        guard case .failure(.poisoned(let reason)) = refused else {
            Issue.record("\(refused)")
            return
        }
        #expect(reason.isDisowned)
        #expect(throws: LogError.self) { try log.close() }
        #expect(throws: SystemError.self) {
            try CheckpointFile.cursor(state: log.state, exporter: "one").write(
                Checkpoint(logID: log.logID, offset: .none, body: []))
        }
        #expect(files.map { disk.content($0) } == theirs)
        #expect(log.statistics.failure?.contains("was removed, or taken") ?? false)
    }

    @Test func `an agent without its lock finds out when it syncs, closes, or cares`() throws {
        for act in 0..<3 {
            let disk = MemoryDisk()
            let log = try open(disk.root)
            try log.store(request(1))
            disk.remove("lock")
            switch act {
            case 0: #expect(throws: LogError.self) { try log.sync() }
            case 1: log.maintain()
            default: #expect(throws: LogError.self) { try log.close() }
            }
            #expect(log.poison?.isDisowned ?? false)
        }
    }

    @Test func `a removed position or meta is made again`() throws {
        var log = try open()
        try log.store(request(1))
        disk.remove("log/position")
        disk.remove("log/meta")
        log.maintain()
        try log.sync()
        #expect(disk.names("log").contains("position"))
        #expect(disk.names("log").contains("meta"))
        disk.killProcess()
        log = try open()
        #expect(counts(log) == [1, 1, 0, 0])
    }
}
