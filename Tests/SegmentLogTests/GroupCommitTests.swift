import ByteCoding
import SimulationKit
import Synchronization
import SystemIO
import Testing

@testable import SegmentLog

@Suite struct GroupCommitTests {
    let disk = MemoryDisk()

    private func open(_ durability: GroupCommit.Durability = .written) throws -> GroupCommit {
        var limits = smallLimits(cap: 64 << 20, segment: 1 << 20)
        limits.syncDelay = .milliseconds(5)
        return try GroupCommit(state: disk.root, limits: limits, durability: durability)
    }

    /// Waits for a number of completions.
    private func submit(_ log: GroupCommit, _ requests: [AppendRequest]) -> [Bool] {
        let done = Monitor<[Bool]>([])
        for request in requests {
            while true {
                let submission = log.submit(request) { result in
                    done.update { list in
                        if case .success(.stored) = result {
                            list.append(true)
                        } else {
                            list.append(false)
                        }
                    }
                }
                if submission == .accepted { break }
            }
        }
        return done.wait { $0.count == requests.count ? $0 : nil } ?? []
    }

    @Test func `what many threads submit is stored once each, in each one's order`() throws {
        let log = try open()
        let threads = try (1...4).map { producer in
            try SystemThread.start(name: "producer") {
                for sequence in 1...200 {
                    _ = log.submit(request(UInt64(sequence), producer: UInt64(producer))) { _ in }
                }
            }
        }
        for thread in threads { thread.join() }
        #expect(submit(log, [request(201, producer: 1)]) == [true])
        try log.sync()
        #expect(log.synced == log.committed)
        #expect(log.highestSequence(uid: 1000, producer: ID128(high: 9, low: 2)) == 200)
        let texts = try readAll(disk.root).texts
        #expect(texts.count == 801)
        for producer in 1...4 {
            let own = texts.filter { $0.hasPrefix("1000/\(producer)/") }
            #expect(own.prefix(200) == (1...200).map { "1000/\(producer)/\($0)" }[...])
        }
        log.shutdown()
        #expect(log.submit(request(1)) { _ in } == .closed)
        #expect(log.statistics.stored.batches == 801)
    }

    @Test func `synced before the answer: without descriptors for a sync nothing is confirmed`()
        throws
    {
        let log = try open(.synced)
        disk.fail([.sync], errno: 24)
        #expect(submit(log, [request(1), request(2, producer: 2)]) == [false, false])
        #expect(log.synced < log.committed)
        disk.fail([])
        // Sent again, as a client does: stored before, and now on the device.
        let isDuplicate = Monitor<Bool?>(nil)
        _ = log.submit(request(1)) { result in
            isDuplicate.update {
                if case .success(.duplicate) = result { $0 = true } else { $0 = false }
            }
        }
        #expect(isDuplicate.wait { $0 } == true)
        #expect(log.synced == log.committed)
        log.shutdown()
    }

    @Test func `an orderly end needs no recovery`() throws {
        var log = try open()
        #expect(submit(log, (1...10).map { request($0) }).allSatisfy { $0 })
        log.shutdown()
        disk.killProcess()
        log = try open()
        #expect(log.recovery.clean)
        #expect(submit(log, [request(10), request(11)]) == [false, true])
        log.shutdown()
    }

    @Test func `a reader waits for what comes`() throws {
        let log = try open()
        let reader = try LogReader(state: disk.root, at: .end, committed: log.committedSource)
        let start = log.committed
        #expect(!log.waitForCommit(beyond: start, until: Clocks.monotonic() + 1_000_000))
        let thread = try SystemThread.start(name: "producer") {
            _ = log.submit(request(1)) { _ in }
        }
        #expect(
            log.waitForCommit(beyond: start, until: Clocks.monotonic() + 10_000_000_000))
        thread.join()
        #expect(try readOn(reader).texts == ["1000/1/1"])
        #expect(log.waitForSync(upTo: log.committed, until: Clocks.monotonic() + 10_000_000_000))
        log.shutdown()
    }

    @Test func `with every commit synced an acknowledgement survives loss of power`() throws {
        let log = try open(.synced)
        #expect(submit(log, (1...5).map { request($0) }).allSatisfy { $0 })
        #expect(log.synced == log.committed)
        var generator = SeededGenerator(seed: 1)
        let lost = disk.copy()
        lost.powerFails(&generator)
        let again = try LogWriter(state: lost.root, limits: smallLimits())
        #expect(again.statistics.stored.batches == 5)
        log.shutdown()
    }

    @Test func `a failed device closes the log and answers everyone`() throws {
        let log = try open()
        #expect(submit(log, [request(1)]) == [true])
        disk.fail([.write])
        #expect(submit(log, [request(2)]) == [false])
        // That the first was synced meanwhile changes nothing: no more is taken.
        #expect(log.submit(request(3)) { _ in } == .closed)
        disk.fail([])
        log.shutdown()
        #expect(log.statistics.failure != nil)
    }

    @Test func `a full disk refuses until there is space`() throws {
        let log = try open()
        #expect(submit(log, [request(1)]) == [true])
        disk.fail([.allocate])
        disk.setCapacity(0)
        #expect(submit(log, [request(2, bytes: 1 << 20)]) == [false])
        #expect(log.statistics.isFull)
        disk.setCapacity(.max)
        #expect(submit(log, [request(2)]) == [true])
        log.shutdown()
    }
}
