import ByteCoding
import SimulationKit
import TelemetryBatch
import Testing

@testable import CodexTelemetry

private let ms: UInt64 = 1_000_000

/// A machine, its clock and the batches it was given.
private final class Bench {
    var machine: DeliveryStateMachine
    var now: UInt64 = 1_000 * ms

    init(_ change: (inout DeliveryStateMachine.Limits) -> Void = { _ in }) {
        var limits = DeliveryStateMachine.Limits()
        change(&limits)
        let ids = IDs()
        machine = DeliveryStateMachine(limits: limits, seed: 7) { ids.next() }
    }

    final class IDs {
        var last: UInt64 = 0
        func next() -> ID128 {
            last += 1
            return ID128(high: 0, low: last)
        }
    }

    func enqueue(bytes: Int = 100) -> Bool {
        machine.enqueue(
            OutgoingBatch(
                sequence: machine.sequence, frame: [UInt8](repeating: 1, count: bytes),
                records: RecordCounts(spans: 1)))
    }

    func next() -> DeliveryStateMachine.Action { machine.next(now: now) }

    /// Does as told until there is nothing to do; the sequences that were written.
    func send() -> [UInt64] {
        var sent: [UInt64] = []
        while case .send(let sequence, let from) = next() {
            let frame = machine.batch(sequence)!.frame
            machine.sent(bytes: frame.count - from, now: now)
            sent.append(sequence)
        }
        return sent
    }

    func connect() {
        #expect(next() == .connect)
        machine.connected(now: now)
    }

    func welcome(stored: UInt64 = 0, window: UInt64 = 1 << 20) {
        machine.welcomed(stored: stored, windowBytes: window, now: now)
    }
}

@Suite struct `Delivery of batches` {
    @Test func `what is not acked to one who shares the id goes under a new one`() throws {
        let bench = Bench()
        var sent: [[UInt8]] = []
        for sequence in 1...3 as ClosedRange<UInt64> {
            var builder = BatchBuilder(producer: bench.machine.producer)
            builder.begin(baseTime: 1_000)
            sent.append(Frame(type: .batch, body: builder.finish(sequence: sequence)).encoded)
            let batch = OutgoingBatch(
                sequence: sequence, frame: sent[Int(sequence) - 1], records: RecordCounts(spans: 1))
            let isTaken = bench.machine.enqueue(batch)
            #expect(isTaken)
        }
        bench.connect()
        bench.welcome()
        #expect(bench.send() == [1, 2, 3])
        bench.machine.acked(upTo: 1, now: bench.now)
        bench.machine.superseded(now: bench.now)
        #expect(bench.next() == .close)
        #expect(bench.machine.producer == ID128(high: 0, low: 2))
        #expect(bench.machine.sequence == 3)
        #expect(bench.machine.queueBytes == bench.machine.queue.reduce(0) { $0 + $1.frame.count })
        for (batch, old) in zip(bench.machine.queue, sent.dropFirst()) {
            let header = try Batch(Array(batch.frame.dropFirst(12))).header
            #expect(header.producer == bench.machine.producer && header.sequence == batch.sequence)
            #expect(batch.frame.count == old.count)
        }
        bench.now += 900 * ms
        bench.connect()
        #expect(bench.send() == [1, 2])
        #expect(bench.machine.acked.spans == 1)
    }

    @Test func `before a welcome nothing is known of what an earlier connection sent`() {
        let bench = Bench()
        #expect(bench.enqueue())
        bench.connect()
        #expect(bench.send() == [1])
        bench.machine.superseded(now: bench.now)
        #expect(bench.next() == .close)
        #expect(bench.machine.producer == ID128(high: 0, low: 1))
        bench.now += 900 * ms
        bench.connect()
        #expect(bench.send() == [])
        bench.welcome(stored: 1)
        #expect(bench.machine.queue.isEmpty)
    }

    @Test func `a first batch connects and is sent without waiting for the welcome`() {
        let bench = Bench()
        #expect(bench.next() == .wait(until: nil))
        #expect(bench.enqueue())
        bench.connect()
        #expect(bench.send() == [1])
        bench.welcome()
        bench.machine.acked(upTo: 1, now: bench.now)
        #expect(bench.machine.queue.isEmpty)
        #expect(bench.machine.acked.spans == 1)
        #expect(bench.next() == .wait(until: nil))
    }

    @Test func `after a reconnect the welcome decides what is sent again, in order`() {
        let bench = Bench()
        for _ in 0..<3 { #expect(bench.enqueue()) }
        bench.connect()
        bench.welcome()
        #expect(bench.send() == [1, 2, 3])
        bench.machine.disconnected(now: bench.now)
        #expect(bench.next() == .close)
        bench.now += 200 * ms
        bench.connect()
        #expect(bench.send() == [], "in doubt: nothing before the welcome")
        bench.welcome(stored: 1)
        #expect(bench.enqueue())
        #expect(bench.send() == [2, 3, 4])
        bench.machine.acked(upTo: 4, now: bench.now)
        #expect(bench.machine.acked.spans == 4)
        #expect(bench.machine.reconnects == 1)
    }

    @Test func `the window bounds what is in flight, but never below one batch`() {
        let bench = Bench()
        for _ in 0..<3 { #expect(bench.enqueue(bytes: 100)) }
        bench.connect()
        bench.welcome(window: 150)
        #expect(bench.send() == [1])
        bench.machine.acked(upTo: 1, now: bench.now)
        #expect(bench.send() == [2])
    }

    @Test func `a throttle is waited for, and nothing is lost`() {
        let bench = Bench()
        #expect(bench.enqueue())
        bench.connect()
        bench.welcome()
        #expect(bench.send() == [1])
        bench.machine.throttled(milliseconds: 500, now: bench.now)
        #expect(bench.next() == .close)
        bench.now += 499 * ms
        guard case .wait = bench.next() else {
            Issue.record("came back too early")
            return
        }
        bench.now += 200 * ms
        bench.connect()
        bench.welcome()
        #expect(bench.send() == [1])
    }

    @Test func `a refused batch is counted and not sent again`() {
        let bench = Bench()
        for _ in 0..<2 { #expect(bench.enqueue()) }
        bench.connect()
        bench.welcome()
        #expect(bench.send() == [1, 2])
        let isOurs = bench.machine.refused(sequence: 1, now: bench.now)
        #expect(isOurs)
        let isForeign = !bench.machine.refused(sequence: 9, now: bench.now)
        #expect(isForeign)
        bench.machine.acked(upTo: 2, now: bench.now)
        #expect(bench.machine.refused.spans == 1)
        #expect(bench.machine.acked.spans == 1)
        #expect(bench.machine.queueBytes == 0)
    }

    @Test func `with nobody there batches go to the spool at once, and stay with it`() {
        let bench = Bench()
        #expect(bench.enqueue())
        #expect(bench.next() == .connect)
        bench.machine.connectFailed(now: bench.now)
        #expect(bench.next() == .spool(sequence: 1))
        bench.machine.spooled()
        #expect(bench.enqueue())
        #expect(bench.next() == .spool(sequence: 2))
        bench.machine.spooled()
        let spooling = bench.machine.producer
        bench.now += 6_000 * ms
        bench.connect()
        #expect(bench.machine.producer != spooling, "one producer id, one way out")
        #expect(bench.machine.sequence == 1)
        #expect(bench.enqueue())
        #expect(bench.send() == [1])
    }

    @Test func `an agent that goes away is waited for a second before the spool`() {
        let bench = Bench()
        for _ in 0..<2 { #expect(bench.enqueue()) }
        bench.connect()
        bench.welcome()
        #expect(bench.send() == [1, 2])
        bench.machine.disconnected(now: bench.now)
        #expect(bench.next() == .close)
        var spooled: [UInt64] = []
        let start = bench.now
        while spooled.count < 2, bench.now < start + 3_000 * ms {
            switch bench.next() {
            case .connect: bench.machine.connectFailed(now: bench.now)
            case .spool(let sequence):
                spooled.append(sequence)
                bench.machine.spooled()
            case .wait: bench.now += 10 * ms
            default: Issue.record("unexpected")
            }
        }
        #expect(spooled == [1, 2], "in doubt first, in order")
        #expect(bench.now >= start + 1_000 * ms)
        #expect(bench.now <= start + 1_100 * ms)
    }

    @Test func `much to send is no reason for the spool before a connection was tried`() {
        let bench = Bench { $0.spoolBytes = 100 }
        for _ in 0..<3 { #expect(bench.enqueue()) }
        bench.connect()
        #expect(bench.send() == [1, 2, 3])
        bench.machine.disconnected(now: bench.now)
        #expect(bench.next() == .close)
        #expect(bench.next() == .spool(sequence: 1), "more than may wait in memory")
    }

    @Test func `an agent that never answers counts as stalled`() {
        let bench = Bench()
        #expect(bench.enqueue())
        bench.connect()
        #expect(bench.send() == [1])
        bench.now += 4_999 * ms
        guard case .wait = bench.next() else {
            Issue.record("too early")
            return
        }
        bench.now += 2 * ms
        #expect(bench.next() == .close)
        guard case .away = bench.machine.connection else {
            Issue.record("not away")
            return
        }
    }

    @Test func `a batch that is half written is written to its end`() {
        let bench = Bench()
        #expect(bench.enqueue(bytes: 100))
        bench.connect()
        #expect(bench.next() == .send(sequence: 1, from: 0))
        bench.machine.sent(bytes: 40, now: bench.now)
        bench.machine.sendBlocked()
        guard case .wait = bench.next() else {
            Issue.record("blocked")
            return
        }
        bench.machine.writable()
        bench.welcome(stored: 7)
        #expect(bench.next() == .send(sequence: 1, from: 40))
    }

    @Test func `past its cap the newest batch is dropped, and its sequence is not used up`() {
        let bench = Bench { $0.queueBytesMax = 250 }
        #expect(bench.enqueue(bytes: 100))
        #expect(bench.enqueue(bytes: 100))
        #expect(!bench.enqueue(bytes: 100))
        #expect(bench.machine.sequence == 3)
        #expect(bench.machine.dropped.spans == 1)
    }

    @Test func `a spool that refuses leaves batches in memory while they may still be sent`() {
        let bench = Bench()
        #expect(bench.enqueue())
        #expect(bench.next() == .connect)
        bench.machine.connectFailed(now: bench.now)
        #expect(bench.next() == .spool(sequence: 1))
        bench.machine.spoolRefused(now: bench.now)
        bench.now += 500 * ms
        bench.connect()
        #expect(bench.send() == [1])
    }

    @Test func `at the end what is not acked goes to the spool`() {
        let bench = Bench()
        for _ in 0..<2 { #expect(bench.enqueue()) }
        bench.connect()
        bench.welcome()
        #expect(bench.send() == [1, 2])
        bench.machine.acked(upTo: 1, now: bench.now)
        bench.machine.end()
        #expect(bench.next() == .spool(sequence: 2))
        bench.machine.spooled()
        #expect(bench.next() == .wait(until: nil))
    }

    @Test func `at the end what the spool refuses is counted`() {
        let bench = Bench()
        for _ in 0..<2 { #expect(bench.enqueue()) }
        bench.machine.end()
        #expect(bench.next() == .spool(sequence: 1))
        bench.machine.spoolRefused(now: bench.now)
        #expect(bench.machine.queue.isEmpty)
        #expect(bench.machine.dropped.spans == 2)
    }

    @Test func `pauses grow to their cap and differ between clients`() {
        var pauses: Set<UInt64> = []
        for seed in 1...20 as ClosedRange<UInt64> {
            var machine = DeliveryStateMachine(seed: seed) { ID128(high: 0, low: seed) }
            var now: UInt64 = 0
            for _ in 0..<12 {
                machine.connectFailed(now: now)
                guard case .away(let until) = machine.connection else { return }
                #expect(until - now <= machine.limits.backoffMax)
                now = until
            }
            pauses.insert(now)
        }
        #expect(pauses.count > 15)
    }

    @Test(arguments: 1...40 as ClosedRange<UInt64>)
    func `whatever happens, each batch ends in exactly one place`(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let bench = Bench { $0.queueBytesMax = 2_000 }
        // The agent's side of the story: what it has stored of the current producer.
        var stored: UInt64 = 0
        var sentNow: [UInt64] = []
        var spooled = 0
        var sealed = 0
        var producer = bench.machine.producer
        for _ in 0..<2_000 {
            bench.now += UInt64.random(in: 0...300, using: &random) * ms
            if bench.machine.producer != producer {
                producer = bench.machine.producer
                stored = 0
            }
            if Int.random(in: 0..<3, using: &random) == 0, bench.enqueue() { sealed += 1 }
            switch bench.next() {
            case .connect:
                if Bool.random(using: &random) {
                    bench.machine.connected(now: bench.now)
                    sentNow = []
                } else {
                    bench.machine.connectFailed(now: bench.now)
                }
            case .send(let sequence, let from):
                #expect(sequence > stored || bench.machine.producer == producer)
                let whole = bench.machine.batch(sequence)!.frame.count - from
                let part = Int.random(in: 1...whole, using: &random)
                bench.machine.sent(bytes: part, now: bench.now)
                if part == whole {
                    #expect(sentNow.last.map { $0 < sequence } ?? true, "in order")
                    sentNow.append(sequence)
                    if Int.random(in: 0..<4, using: &random) > 0 { stored = max(stored, sequence) }
                }
            case .spool:
                bench.machine.spooled()
                spooled += 1
            case .close, .wait: break
            }
            guard bench.machine.connection != .greeting || Bool.random(using: &random) else {
                bench.welcome(stored: bench.machine.producer == producer ? stored : 0)
                continue
            }
            if bench.machine.connection == .ready {
                switch Int.random(in: 0..<12, using: &random) {
                case 0: bench.machine.disconnected(now: bench.now)
                case 1: bench.machine.throttled(milliseconds: 100, now: bench.now)
                case 2...6: bench.machine.acked(upTo: stored, now: bench.now)
                default: break
                }
            }
        }
        let machine = bench.machine
        #expect(
            machine.acked.total + machine.refused.total + spooled + machine.queue.count == sealed)
        #expect(machine.queueBytes == machine.queue.reduce(0) { $0 + $1.frame.count })
    }
}
