import ByteCoding
import SimulationKit
import SystemIO
import Testing

@testable import SegmentLog

/// What is appended on the caller's thread, beside what is queued.
@Suite struct AppendNowTests {
    let disk = MemoryDisk()
    private static let long: UInt64 = 20_000_000_000

    private func open(
        _ durability: GroupCommit.Durability = .written, allocation: Int = 1 << 20,
        syncDelay: Duration = .milliseconds(5), syncBytes: Int = 8 << 20
    ) throws -> GroupCommit {
        var limits = smallLimits(cap: 64 << 20, segment: 1 << 20)
        limits.allocationBytes = allocation
        limits.syncDelay = syncDelay
        limits.syncBytes = syncBytes
        return try GroupCommit(state: disk.root, limits: limits, durability: durability)
    }

    /// Hands one over and waits for it; nil if the log takes no more or has failed.
    private func store(_ log: GroupCommit, _ request: AppendRequest) -> AppendOutcome? {
        let done = Monitor<Result<AppendOutcome, LogError>?>(nil)
        while true {
            let submission = log.submit(request) { result in done.update { $0 = result } }
            if submission == .closed { return nil }
            if submission == .accepted { break }
        }
        return done.wait { $0 }?.outcome
    }

    /// Tries until nothing is in its way: a sync may run. Nil if the log has failed.
    private func appendNow(_ log: GroupCommit, _ request: AppendRequest) -> AppendOutcome? {
        let end = Clocks.monotonic() + Self.long
        while Clocks.monotonic() < end {
            if let results = log.appendNow([request]) { return results[0].outcome }
        }
        return nil
    }

    @Test func `it needs a segment with room, and then follows what was queued`() throws {
        let log = try open()
        #expect(log.appendNow([request(1)]) == nil)
        guard case .stored(let first)? = store(log, request(1)),
            case .stored(let second)? = appendNow(log, request(2))
        else { throw SystemError(errno: 0, operation: .write) }
        #expect(second > first)
        #expect(appendNow(log, request(2)) == .duplicate)
        #expect(store(log, request(2)) == .duplicate)
        #expect(log.highestSequence(uid: 1000, producer: request(2).producer) == 2)
        #expect(try readAll(disk.root).texts == ["1000/1/1", "1000/1/2"])
        #expect(log.statistics.stored.batches == 2)
        log.shutdown()
        #expect(log.appendNow([request(3)]) == nil)
    }

    @Test func `nobody has to ask for its sync`() throws {
        let log = try open()
        #expect(store(log, request(1)) != nil)
        try log.sync()
        #expect(appendNow(log, request(2)) != nil)
        #expect(log.waitForSync(upTo: log.committed, until: Clocks.monotonic() + Self.long))
        log.shutdown()
    }

    @Test func `it wakes who waits for the log to grow`() throws {
        let log = try open()
        #expect(store(log, request(1)) != nil)
        let start = log.committed
        let thread = try SystemThread.start(name: "producer") {
            while log.appendNow([request(2)]) == nil {}
        }
        #expect(log.waitForCommit(beyond: start, until: Clocks.monotonic() + Self.long))
        thread.join()
        log.shutdown()
    }

    @Test func `with every commit synced nothing is appended beside the writer's thread`() throws {
        let log = try open(.synced)
        #expect(store(log, request(1)) != nil)
        #expect(log.appendNow([request(2)]) == nil)
        log.shutdown()
    }

    @Test func `a segment's end is the writer's thread's`() throws {
        let log = try open()
        #expect(store(log, request(1)) != nil)
        #expect(appendNow(log, request(2, bytes: 600 << 10)) != nil)
        try log.sync()
        for _ in 0..<1000 { #expect(log.appendNow([request(3, bytes: 600 << 10)]) == nil) }
        #expect(store(log, request(3, bytes: 600 << 10)) != nil)
        log.shutdown()
    }

    @Test func `so is the end of the space that is allocated`() throws {
        let log = try open(allocation: 4096)
        #expect(store(log, request(1)) != nil)
        try log.sync()
        for _ in 0..<1000 { #expect(log.appendNow([request(2, bytes: 64 << 10)]) == nil) }
        log.shutdown()
    }

    @Test func `so much that a sync is due at once is synced at once`() throws {
        let log = try open(syncDelay: .seconds(3600), syncBytes: 64 << 10)
        #expect(store(log, request(1)) != nil)
        try log.sync()
        #expect(appendNow(log, request(2)) != nil)
        #expect(appendNow(log, request(3, bytes: 65 << 10)) != nil)
        #expect(log.waitForSync(upTo: log.committed, until: Clocks.monotonic() + Self.long))
        log.shutdown()
    }

    @Test func `a device that fails closes the log`() throws {
        let log = try open()
        #expect(store(log, request(1)) != nil)
        try log.sync()
        disk.fail([.write])
        let end = Clocks.monotonic() + Self.long
        var found: [Result<AppendOutcome, LogError>]?
        while found == nil, Clocks.monotonic() < end { found = log.appendNow([request(2)]) }
        #expect(found.map { $0[0].outcome == nil } == true)
        #expect(store(log, request(3)) == nil)
        disk.fail([])
        log.shutdown()
        #expect(log.statistics.failure != nil)
        #expect(try readAll(disk.root).texts == ["1000/1/1"])
    }

    @Test func `beside a busy queue each is stored once, in each one's order`() throws {
        let log = try open()
        #expect(store(log, request(1, producer: 9)) != nil)
        #expect(appendNow(log, request(2, producer: 9)) != nil)
        let threads = try (1...4).map { producer in
            try SystemThread.start(name: "producer") {
                for sequence in 1...300 {
                    let one = request(UInt64(sequence), producer: UInt64(producer))
                    // What one thread has queued before must be done: only then may it append by itself.
                    if log.appendNow([one]) == nil { _ = store(log, one) }
                }
            }
        }
        for thread in threads { thread.join() }
        let texts = try readAll(disk.root).texts
        #expect(texts.count == 1202)
        for producer in 1...4 {
            let own = texts.filter { $0.hasPrefix("1000/\(producer)/") }
            #expect(own == (1...300).map { "1000/\(producer)/\($0)" })
        }
        try log.sync()
        #expect(log.synced == log.committed)
        log.shutdown()
    }
}

extension Result<AppendOutcome, LogError> {
    /// Nil for a failure.
    fileprivate var outcome: AppendOutcome? {
        if case .success(let outcome) = self { outcome } else { nil }
    }
}
