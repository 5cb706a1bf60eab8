import ByteCoding
import SegmentLog
import SystemIO
import TelemetryBatch
import Testing

@testable import Receive

/// Several connections with one producer id: no batch that was never stored may be taken for a duplicate.
@Suite(.timeLimit(.minutes(1))) struct `A newer connection of a producer` {
    let producer = ProducerID(high: 5, low: 6)

    func batches(_ range: ClosedRange<UInt64>) -> [UInt8] {
        range.flatMap { batchFrame(producer, $0) }
    }

    @Test func `takes over, and the older one is told what was stored`() async throws {
        let intake = try await Intaking()
        let old = try intake.client()
        #expect(try old.welcome(producer).storedSequence == 0)
        try old.send(batches(1...20))
        let new = try intake.client()
        // All that had arrived is stored before the welcome.
        #expect(try new.welcome(producer).storedSequence == 20)
        #expect(try old.acked(20).sequence == 20)
        let error = try old.error()
        #expect(error.code == WireError.superseded.rawValue && error.isFatal)
        #expect(try old.next() == nil)
        try new.send(batches(21...30))
        #expect(try new.acked(30).sequence == 30)
        let counts = intake.ledger.snapshot
        #expect(counts.duplicate.batches == 0)
        #expect(counts.connectionsClosed == ["superseded": 1])
        #expect(try await intake.end() == 30)
    }

    @Test func `need not wait for one that hangs in the middle of a frame`() async throws {
        let intake = try await Intaking()
        let old = try intake.client()
        _ = try old.welcome(producer)
        try old.send(batches(1...3) + batchFrame(producer, 4).dropLast(5))
        let new = try intake.client()
        #expect(try new.welcome(producer).storedSequence == 3)
        try new.send(batches(4...5))
        _ = try new.acked(5)
        #expect(try await intake.end() == 5)
    }

    @Test func `gets its turn though the older one never stops sending`() async throws {
        var limits = IntakeLimits()
        limits.takeoverDeadline = .milliseconds(200)
        let intake = try await Intaking(limits: limits)
        let old = try intake.client()
        _ = try old.welcome(producer)
        let sending = Task.detached { () -> UInt64 in
            var sequence: UInt64 = 0
            // Ends when the agent has closed; its answers are read after that.
            while true {
                do { try old.send(batchFrame(ProducerID(high: 5, low: 6), sequence + 1)) } catch {
                    return sequence
                }
                sequence += 1
            }
        }
        let new = try intake.client()
        let stored = try new.welcome(producer).storedSequence
        #expect(await sending.value >= stored)
        try new.send(batches(stored + 1...stored + 2))
        _ = try new.acked(stored + 2)
        #expect(intake.ledger.snapshot.duplicate.batches == 0)
        #expect(try await intake.end() == stored + 2)
    }

    /// Clients that read nothing connect one after another, each with the next sequences, and go before the
    /// agent has read them: the order of their hellos is the order in the log.
    @Test func `loses nothing of what the one before has sent and gone`() async throws {
        let intake = try await Intaking()
        for turn in 0..<40 as Range<UInt64> {
            let client = try intake.client()
            let first = turn * 25 + 1
            try client.send(Hello(producer: producer).frame.encoded + batches(first...first + 24))
        }
        let last = try intake.client()
        #expect(try last.welcome(producer).storedSequence == 1_000)
        #expect(intake.ledger.snapshot.duplicate.batches == 0)
        #expect(try await intake.end() == 1_000)
    }

    /// Two that share an id and never let go: what is acked to either was stored, and once.
    @Test(arguments: [UInt64(1), 2, 3])
    func `makes two rivals store each batch once, and nothing twice`(_ seed: UInt64) async throws {
        let intake = try await Intaking()
        var clients: [TestClient?] = [nil, nil]
        var sequence: UInt64 = 0
        for turn in 0..<40 as Range<UInt64> {
            let who = Int((turn &* seed &+ turn / 3) % 2)
            if clients[who] == nil {
                let client = try intake.client()
                let stored = try client.welcome(producer).storedSequence
                #expect(stored == sequence)
                clients = [nil, nil]
                clients[who] = client
            }
            sequence += 1
            try clients[who]?.send(batchFrame(producer, sequence))
            if turn % 3 != 0 {
                #expect(try clients[who]?.acked(sequence).offset != 0)
            }
        }
        #expect(try intake.client().welcome(producer).storedSequence == sequence)
        #expect(intake.ledger.snapshot.duplicate.batches == 0)
        #expect(try await intake.end() == sequence)
    }

    /// The one in the middle waits longer than the time that it has: that begins with its turn.
    @Test func `loses nothing of what one has sent that waited itself`() async throws {
        var limits = IntakeLimits()
        limits.takeoverDeadline = .milliseconds(300)
        let intake = try await Intaking(limits: limits)
        let old = try intake.client()
        _ = try old.welcome(producer)
        let sending = Task.detached {
            var sequence: UInt64 = 0
            while true {
                sequence += 1
                do { try old.send(batchFrame(ProducerID(high: 5, low: 6), sequence)) } catch {
                    return
                }
            }
        }
        let waiting = try intake.client()
        // More than is read with the hello.
        try waiting.send(
            Hello(producer: producer).frame.encoded + batches(1_000_000_001...1_000_000_600))
        let new = try intake.client()
        try new.send(Hello(producer: producer, readsAnswers: true).frame.encoded)
        let welcome = try #require(try new.next())
        #expect(try Welcome(decoding: welcome.body.span.bytes).storedSequence == 1_000_000_600)
        await sending.value
        let counts = intake.ledger.snapshot
        #expect(counts.duplicate.batches == 0)
        #expect(counts.stored.batches == counts.received.batches)
        #expect(counts.connectionsClosed == ["superseded": 2])
        _ = try await intake.end()
    }

    /// Each connects again as soon as it is told to go, and nobody keeps the others from their turn.
    @Test func `cannot be locked out by a crowd`() async throws {
        var limits = IntakeLimits()
        limits.takeoverDeadline = .milliseconds(50)
        let intake = try await Intaking(limits: limits)
        var crowd: [TestClient] = []
        for _ in 0..<30 {
            let client = try intake.client()
            try client.send(Hello(producer: producer, readsAnswers: true).frame.encoded)
            crowd.append(client)
        }
        let honest = try intake.client()
        #expect(try honest.welcome(producer).storedSequence == 0)
        try honest.send(batches(1...10))
        _ = try honest.acked(10)
        for client in crowd {
            #expect(try client.next()?.type == .welcome)
            #expect(try client.error().code == WireError.superseded.rawValue)
        }
        // Another producer of the same user has not met any of it.
        let other = try intake.client()
        #expect(try other.welcome(ProducerID(high: 5, low: 7)).storedSequence == 0)
        #expect(try await intake.end() == 10)
    }
}
