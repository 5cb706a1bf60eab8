import ByteCoding
import Logging
import SegmentLog
import SystemIO
import TelemetryBatch
import Testing

@testable import Receive

@Suite struct FailpointTests {
    private static let here: Set<Failpoint.Step> = [.batchSubmit, .ackSend, .spoolRemove]

    @Test func `a batch, its ack and a spool file reach their places`() async throws {
        let points = Failpoints()
        let agent = try await Intaking(failpoints: points)
        let client = try agent.client()
        let producer = ProducerID.random()
        _ = try client.welcome(producer)
        try client.send(batchFrame(producer, 1))
        #expect(try client.acked(1).sequence == 1)

        let spooling = ProducerID.random()
        let spool = agent.directory + "/spool"
        try Files.makeDirectory(spool, mode: 0o700)
        let path = spool + "/\(spooling.hex).spool"
        let hello = Hello(producer: spooling, readsAnswers: false).frame.encoded
        try Files.replace(path, with: hello + batchFrame(spooling, 1))
        var quiet = Logger(label: "test")
        quiet.logLevel = .critical
        let drainer = SpoolDrainer(
            directories: [spool], log: agent.log, ledger: agent.ledger, logger: quiet,
            failpoints: points)
        var notes = SpoolDrainer.Notes()
        #expect(drainer.drain(&notes) == 1)
        #expect(try await agent.end() == 2)

        let missing = Failpoint.Place.all.filter {
            Self.here.contains($0.step) && !points.reached.contains($0)
        }
        #expect(missing.map(\.description) == [])
    }

    @Test func `a spool file that cannot be removed is read once`() async throws {
        let agent = try await Intaking()
        let spool = agent.directory + "/spool"
        try Files.makeDirectory(spool, mode: 0o700)
        let producer = ProducerID.random()
        let path = spool + "/\(producer.hex).spool"
        let hello = Hello(producer: producer, readsAnswers: false).frame.encoded
        try Files.replace(path, with: hello + batchFrame(producer, 1))
        var quiet = Logger(label: "test")
        quiet.logLevel = .critical
        let plans = [1, 2].map {
            Failpoint.Plan(.init(.spoolRemove, .before), .fail, turn: $0)
        }
        let drainer = SpoolDrainer(
            directories: [spool], log: agent.log, ledger: agent.ledger, logger: quiet,
            failpoints: Failpoints(plans))
        var notes = SpoolDrainer.Notes()
        #expect(drainer.drain(&notes) == 0)
        #expect(drainer.drain(&notes) == 0)
        #expect(agent.ledger.snapshot.received.batches == 1)
        // Its writer's successor has the same name.
        try Files.replace(path, with: hello + batchFrame(producer, 1) + batchFrame(producer, 2))
        #expect(drainer.drain(&notes) == 1)
        #expect(!Files.exists(path))
        let counts = agent.ledger.snapshot
        #expect([counts.received.batches, counts.duplicate.batches] == [3, 1])
        #expect(try await agent.end() == 2)
    }

    @Test func `a dropped batch is counted nowhere, and the next ack covers it`() async throws {
        let plan = Failpoint.Plan(.init(.batchSubmit, .before), .drop, turn: 2)
        let agent = try await Intaking(failpoints: Failpoints([plan]))
        let client = try agent.client()
        let producer = ProducerID.random()
        _ = try client.welcome(producer)
        for sequence in 1...3 { try client.send(batchFrame(producer, UInt64(sequence))) }
        #expect(try client.acked(3).sequence == 3)
        #expect(agent.ledger.snapshot.received.batches == 2)
        #expect(try await agent.end() == 2)
    }
}
