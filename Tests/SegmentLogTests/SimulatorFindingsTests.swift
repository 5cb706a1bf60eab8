import ByteCoding
import SimulationKit
import Synchronization
import SystemIO
import Testing

@testable import SegmentLog

/// What the simulator found, each as small as it can be told.
@Suite struct SimulatorFindingsTests {
    let disk = MemoryDisk()
    let time = ManualTime()

    private func open(
        _ limits: LogLimits = smallLimits(), _ state: MemoryStorage? = nil
    ) throws -> LogWriter {
        try LogWriter(state: state ?? disk.root, limits: limits, time: time)
    }

    @Test func `a reader that waits where a segment is sealed meets no damage`() throws {
        let log = try open()
        try log.store(request(1))
        // Nobody says how far the log is: the reader takes what the file holds.
        disk.remove("log/position")
        let reader = try LogReader(state: disk.root, at: .beginning)
        #expect(try readOn(reader).texts == ["1000/1/1"])
        log.rotate()
        try log.sync()
        #expect(try readOn(reader).damaged.isEmpty)
        try log.store(request(2))
        #expect(try readOn(reader).texts == ["1000/1/2"])
    }

    @Test func `a reader that waited at a footer reads what was written in its place`() throws {
        let limits = smallLimits(segment: 1 << 16)
        var log = try open(limits)
        try log.store(request(1))
        let reader = try LogReader(state: disk.root, at: .beginning)
        _ = try readOn(reader)
        try log.close()
        #expect(try readOn(reader).texts.isEmpty)
        disk.killProcess()
        log = try open(limits)
        let offset = try #require(try log.store(request(2)))
        #expect(offset.segment == 1)
        log.rotate()
        try log.store(request(3))
        #expect(try readOn(reader).texts == ["1000/1/2", "1000/1/3"])
    }

    @Test func `a sync during a job syncs what came after the job began`() throws {
        let log = try open()
        try log.store(request(1))
        let job = try #require(log.beginSync())
        try log.store(request(2))
        try log.sync()
        #expect(log.synced == log.committed)
        log.finishSync(job.perform())
        #expect(log.synced == log.committed)
    }

    @Test func `counts survive a death right after the last segment went`() throws {
        var log = try open()
        try log.store(request(1))
        // Cared for all the while: what passes at once is sleep.
        for _ in 0..<1200 {
            time.advance(599)
            log.maintain()
        }
        #expect(log.statistics.kept == LogOrdinal())
        disk.killProcess()
        log = try open()
        #expect(log.statistics.stored == LogOrdinal(batches: 1, records: 2))
    }

    private final class OneSyncFails: FaultPlan {
        let seed: UInt64
        // Guards whether it is still to come.
        let isToCome = Mutex(true)
        init(_ seed: UInt64) { self.seed = seed }

        func fault(at event: DiskEvent) -> DiskFault {
            guard event.operation == .sync, event.name.hasSuffix(".segment") else { return .none }
            return isToCome.withLock { isToCome in
                defer { isToCome = false }
                return isToCome ? .syncFails(seed: seed) : .none
            }
        }
    }

    @Test(arguments: 1...6 as ClosedRange<UInt64>)
    func `what a failed sync left in the page cache is not taken for synced by the next start`(
        _ seed: UInt64
    ) throws {
        let first = disk.startProcess()
        var log = try open(smallLimits(), first)
        try log.store(request(1))
        disk.setPlan(OneSyncFails(seed))
        #expect(throws: LogError.self) { try log.sync() }
        disk.kill(first.process)
        log = try open(smallLimits(), disk.startProcess())
        #expect(log.synced == log.committed)
        var generator = SeededGenerator(seed: seed)
        disk.powerFails(&generator, .nothing)
        log = try open(smallLimits(), disk.startProcess())
        #expect(try readAll(disk.root).texts == ["1000/1/1"])
    }

    @Test func `sequences in a segment that goes before any sync are remembered`() throws {
        let limits = smallLimits(cap: 8_000)
        var log = try open(limits)
        try log.store(request(9, producer: 7))
        for sequence in 1...100 { try log.store(request(UInt64(sequence), bytes: 200)) }
        #expect(log.statistics.expired.batches > 20)
        disk.killProcess()
        log = try open(limits)
        #expect(try log.store(request(9, producer: 7)) == nil)
    }

    @Test func `a header that was cut short by a death is no damage`() throws {
        let log = try open()
        try log.store(request(1))
        disk.killProcess()
        let header = try #require(disk.content("log/0000000001.segment")).prefix(65)
        disk.put("log/0000000002.segment", Array(header))
        let next = try open()
        #expect(next.recovery.damaged.isEmpty)
        #expect(next.recovery.tornTails.count == 1)
    }

    @Test func `an end that could not seal its segment says so`() throws {
        var limits = smallLimits()
        limits.reserveBytes = 0
        let log = try open(limits)
        try log.store(request(1))
        disk.setCapacity(disk.used)
        #expect(throws: LogError.self) { try log.close() }
    }

    @Test func `an offset that was lost with power is not used after an orderly end in between`()
        throws
    {
        var log = try open()
        try log.store(request(1))
        try log.sync()
        let lost = try #require(try log.store(request(2)))
        var generator = SeededGenerator(seed: 1)
        disk.powerFails(&generator, .nothing)
        // Nobody knows any more that it was given out.
        disk.remove("log/meta")
        disk.remove("log/position")
        log = try open()
        try log.close()
        disk.killProcess()
        log = try open()
        #expect(try #require(try log.store(request(3))).segment > lost.segment)
    }

    @Test func `a sync beside a job that failed does not succeed`() throws {
        let log = try open(smallLimits(), disk.startProcess())
        try log.store(request(1))
        let job = try #require(log.beginSync())
        disk.setPlan(OneSyncFails(1))
        let outcome = job.perform()
        // The job's thread has not told the writer yet, and the file system tells nobody twice.
        #expect(throws: LogError.self) { try log.sync() }
        #expect(log.synced < log.committed)
        log.finishSync(outcome)
    }

    @Test func `counts survive loss of power after all but an unsynced segment was deleted`() throws
    {
        var log = try open()
        try log.store(request(1))
        log.rotate()
        log.finishSync(try #require(log.beginSync(force: true)).perform())
        for minute in stride(from: 0, to: 7 * 1440 + 60, by: 10) {
            time.advance(600)
            if minute == 7 * 1440 - 60 { try log.store(request(2)) }
            log.maintain()
        }
        #expect(log.statistics.kept.batches == 1)
        // That the first is gone reached the device, what stands in the second did not.
        try disk.root.directory("log", create: false).syncNames()
        var generator = SeededGenerator(seed: 1)
        disk.powerFails(&generator, .nothing)
        log = try open()
        #expect(log.statistics.stored.batches >= 1)
    }

    @Test func `a sync that was on its way does not bring back what dedupe knew before`() throws {
        let limits = smallLimits(cap: 8_000)
        var log = try open(limits)
        try log.store(request(8, producer: 7))
        let job = try #require(log.beginSync(force: true))
        try log.store(request(9, producer: 7))
        for sequence in 1...100 where log.statistics.expired.batches < 3 {
            try log.store(request(UInt64(sequence), bytes: 200))
        }
        log.finishSync(job.perform())
        disk.killProcess()
        log = try open(limits)
        #expect(try log.store(request(9, producer: 7)) == nil)
    }

    private final class AtFirstList: FaultPlan {
        private let body: @Sendable () -> Void
        // Guards whether it is still to come.
        private let isToCome = Mutex(true)
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }

        func fault(at event: DiskEvent) -> DiskFault {
            guard event.operation == .list, event.name == "log" else { return .none }
            let isFirst = isToCome.withLock { isToCome in
                defer { isToCome = false }
                return isToCome
            }
            if isFirst { body() }
            return .none
        }
    }

    @Test func `a reader that goes on to the next segment has read all of the last`() throws {
        let log = try open()
        try log.store(request(1))
        // Nobody says how far the log is: the reader takes what the file holds.
        disk.remove("log/position")
        let reader = try LogReader(state: disk.startProcess(), at: .beginning)
        #expect(try readOn(reader).texts == ["1000/1/1"])
        nonisolated(unsafe) let writer = log
        disk.setPlan(
            AtFirstList {
                _ = writer.append([request(2)])
                writer.rotate()
                _ = writer.append([request(3)])
            })
        #expect(try readOn(reader).texts == ["1000/1/2", "1000/1/3"])
        disk.setPlan(nil)
    }

    private final class WritesFail: FaultPlan {
        func fault(at event: DiskEvent) -> DiskFault {
            event.operation == .write && event.name.hasSuffix(".segment")
                ? .short(0, errno: 28) : .none
        }
    }

    @Test func `what could not be written again for want of space does not count as synced`() throws
    {
        let first = disk.startProcess()
        var log = try open(smallLimits(), first)
        try log.store(request(1))
        disk.setPlan(OneSyncFails(1))
        #expect(throws: LogError.self) { try log.sync() }
        disk.kill(first.process)
        // A file system that copies on write, and is full.
        disk.setPlan(WritesFail())
        log = try open(smallLimits(), disk.startProcess())
        #expect(log.synced < log.committed)
        #expect(throws: LogError.self) { try log.sync() }
        disk.setPlan(nil)
        try log.sync()
        #expect(log.synced == log.committed)
        var generator = SeededGenerator(seed: 1)
        disk.powerFails(&generator, .nothing)
        log = try open(smallLimits(), disk.startProcess())
        #expect(try readAll(disk.root).texts == ["1000/1/1"])
    }

    @Test func `an end without a segment leaves no position in one that is gone`() throws {
        var log = try open()
        try log.store(request(1))
        for _ in 0..<(7 * 144) {
            time.advance(600)
            log.maintain()
        }
        // A segment that was made and got nothing, as when its first write fails.
        try log.openSegment(time.wall())
        for _ in 0..<20 {
            time.advance(600)
            log.maintain()
        }
        #expect(log.statistics.kept == LogOrdinal())
        try log.close()
        disk.killProcess()
        log = try open()
        #expect(log.recovery.damaged.isEmpty)
        #expect(log.statistics.stored.batches == 1)
    }

    @Test func `a footer of which two bytes were written is no damage`() throws {
        let log = try open()
        disk.remove("log/position")
        try log.store(request(1))
        let bytes = try #require(disk.content("log/0000000001.segment"))
        let end = Int(log.committed.position)
        disk.put("log/0000000001.segment", Array(bytes[..<end]) + [0x43, 0x58, 0, 0])
        disk.put("log/0000000002.segment", [])
        let reader = try LogReader(state: disk.root, at: .beginning)
        #expect(try readOn(reader).damaged.isEmpty)
    }

    @Test func `loss of power is not counted as retention`() throws {
        var log = try open()
        try log.store(request(1))
        try log.sync()
        for sequence in 2...20 { try log.store(request(UInt64(sequence), bytes: 300)) }
        // Everything was brought to the device but one segment.
        let gone = try #require(disk.names("log").first { $0.hasSuffix("03.segment") })
        disk.killProcess()
        disk.remove("log/" + gone)
        log = try open()
        let now = log.statistics
        #expect(now.expired == LogOrdinal())
        #expect(now.lost.batches > 0)
        #expect(now.stored.batches == now.kept.batches + now.lost.batches)
    }
}

@Suite struct NumbersTests {
    @Test func `no segment number is used again when a job writes meta late`() throws {
        let disk = MemoryDisk()
        let log = try LogWriter(state: disk.root, limits: smallLimits(), time: ManualTime())
        try log.store(request(1))
        let job = try #require(log.beginSync())
        for sequence in 2...200 { try log.store(request(UInt64(sequence), bytes: 900)) }
        let last = try #require(try readAll(disk.root).batches.last).offset
        log.finishSync(job.perform())
        #expect(try log.store(request(500)) != nil)
        var generator = SeededGenerator(seed: 1)
        disk.powerFails(&generator, .nothing)
        let next = try LogWriter(state: disk.root, limits: smallLimits(), time: ManualTime())
        let offset = try #require(try next.store(request(900)))
        #expect(offset.segment > last.segment)
    }
}
