import ByteCoding
import SimulationKit
import Synchronization
import SystemIO
import Testing

@testable import SegmentLog

/// Damage that lies behind everybody's cursor.
@Suite struct ScrubTests {
    let disk = MemoryDisk()

    private func open() throws -> LogWriter {
        try LogWriter(state: disk.root, limits: smallLimits(segment: 4096), time: ManualTime())
    }

    /// A log of several sealed segments.
    private func fill() throws {
        let log = try open()
        for number in 1...60 { try log.store(request(UInt64(number), bytes: 300)) }
        try log.close()
        disk.killProcess()
    }

    private func ranges(_ log: LogWriter) throws -> [DamagedRange] {
        var found: [DamagedRange] = []
        try log.scrub.run(pace: { _ in true }, found: { found.append($0) })
        return found
    }

    @Test func `a whole log has no damage`() throws {
        try fill()
        #expect(try ranges(try open()).isEmpty)
    }

    @Test func `it finds what a reader of all finds, and what is known not again`() throws {
        try fill()
        for seed in 0..<40 as Range<UInt64> {
            let copy = disk.copy()
            var random = SeededGenerator(seed: seed)
            for _ in 0..<(1 + random.below(4)) {
                let name = "log/000000000\(1 + random.below(5)).segment"
                _ = copy.flip(name, at: 80 + random.below(3300), mask: 0x10)
            }
            var log = try LogWriter(state: copy.root, limits: smallLimits(segment: 4096))
            let found = try ranges(log)
            #expect(found == (try readAll(copy.root).damaged), "seed \(seed)")
            for range in found { try log.keepDamaged(range) }
            #expect(log.news == found.map { .damaged($0, isCopied: true) })
            #expect(log.statistics.damagedRanges == UInt64(found.count))
            #expect(try ranges(log).isEmpty)
            try log.close()
            copy.killProcess()
            log = try LogWriter(state: copy.root, limits: smallLimits(segment: 4096))
            #expect(try ranges(log).isEmpty)
        }
    }

    @Test func `it ends at once when told to, and takes nothing for damage then`() throws {
        try fill()
        let log = try open()
        for limit in 0..<20 {
            let pieces = Mutex(0)
            var found: [DamagedRange] = []
            try log.scrub.run(
                pace: { _ in
                    pieces.withLock {
                        $0 += 1
                        return $0 <= limit
                    }
                }, found: { found.append($0) })
            #expect(found.isEmpty)
            #expect(pieces.withLock { $0 } <= limit + 1)
        }
    }

    @Test func `it keeps its pace, and reports each range once`() throws {
        try fill()
        #expect(disk.flip("log/0000000002.segment", at: 900, mask: 1))
        let log = try GroupCommit(state: disk.root, limits: smallLimits(segment: 4096))
        let rested = Atomic<UInt64>(0)
        for _ in 0..<2 {
            try log.scrubSealed {
                rested.add($0, ordering: .relaxed)
                return false
            }
        }
        #expect(rested.load(ordering: .relaxed) > 0)
        log.shutdown()
        #expect(log.statistics.damagedRanges == 1)
        let (news, failure) = log.waitForNews(unless: { true })
        #expect(news.count == 1)
        #expect(failure == nil)
    }
}
