import ByteCoding
import SystemIO
import TelemetryBatch
import Testing

@testable import Receive

@Suite(.timeLimit(.minutes(1))) struct `A peer that would harm` {
    let producer = ProducerID(high: 7, low: 8)

    @Test func `a connection that is never between two frames lives on past a frame's time limit`()
        async throws
    {
        var limits = IntakeLimits()
        limits.frameDeadline = .milliseconds(700)
        let intake = try await Intaking(limits: limits)
        let client = try intake.client()
        _ = try client.welcome(producer)
        let end = Clocks.monotonic() + 1_500_000_000
        var sequence: UInt64 = 0
        var rest: [UInt8] = []
        while Clocks.monotonic() < end {
            sequence += 1
            let frame = batchFrame(producer, sequence)
            try client.send(rest + frame.prefix(40))
            rest = Array(frame.dropFirst(40))
            if sequence > 1 { _ = try client.acked(sequence - 1) }
        }
        try client.send(rest)
        _ = try client.acked(sequence)
        #expect(intake.ledger.snapshot.connectionsClosed.isEmpty)
        #expect(try await intake.end() == sequence)
    }

    @Test func `a peer that reads no errors is not read until it does`() async throws {
        let intake = try await Intaking()
        let socket = try UnixSocket.connect(intake.socket)
        try socket.setTimeLimits(sendMilliseconds: 500, receiveMilliseconds: 10_000)
        try socket.sendAll(
            Hello(producer: producer, readsAnswers: true).frame.encoded.span.bytes)
        let foreign = batchFrame(ProducerID(high: 9, low: 9), 1)
        let block = Array(repeatElement(foreign, count: 500).joined())
        var sent = 0
        var isBlocked = false
        // A hundred times what the sockets' own buffers hold.
        while sent < 400_000, !isBlocked {
            do {
                try socket.sendAll(block.span.bytes)
                sent += 500
            } catch {
                isBlocked = error.wouldBlock
            }
        }
        #expect(isBlocked)
        let before = intake.ledger.snapshot.received.batches
        var bytes: [UInt8] = []
        while intake.ledger.snapshot.received.batches == before {
            bytes.removeAll(keepingCapacity: true)
            #expect(try socket.receive(appendingTo: &bytes, limit: 65_536) > 0)
        }
        let client = try intake.client()
        _ = try client.welcome(producer)
        try client.send(batchFrame(producer, 1))
        _ = try client.acked(1)
        _ = consume socket
        #expect(try await intake.end() == 1)
    }

    @Test func `many large frames that are never completed are let go of`() async throws {
        var limits = IntakeLimits()
        limits.partialBytesPerUserMax = 100_000
        let intake = try await Intaking(limits: limits)
        // The header of a batch of 1 MiB.
        var begun: [UInt8] = [0, 0, 0x10, 0, FrameType.batch.rawValue, 0, 0, 0, 0, 0, 0, 0]
        begun += [UInt8](repeating: 0, count: 60_000)
        let first = try intake.client()
        _ = try first.welcome(ProducerID(high: 9, low: 1))
        try first.send(begun)
        while intake.admission.partialBytes < 60_000 { await Task.yield() }
        let second = try intake.client()
        _ = try second.welcome(ProducerID(high: 9, low: 2))
        try second.send(begun)
        let frame = try #require(try second.next())
        #expect(frame.type == .throttle)
        #expect(try second.next() == nil)
        let third = try intake.client()
        _ = try third.welcome(producer)
        try third.send(batchFrame(producer, 1))
        _ = try third.acked(1)
        #expect(try await intake.end() == 1)
        #expect(intake.admission.partialBytes == 0)
    }
}
