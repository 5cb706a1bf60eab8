import ByteCoding
import Foundation
import Logging
import SegmentLog
import ServiceLifecycle
import SimulationKit
import Synchronization
import SystemIO
import TelemetryBatch
import Testing

@testable import Receive

/// A server on a socket of its own, over a log in a directory of its own.
final class Intaking: Sendable {
    let directory: String
    let log: GroupCommit
    let ledger = IntakeLedger()
    let admission: Admission
    private let server: IngestServer
    private let group: ServiceGroup
    private let running: Task<Void, any Error>

    var socket: String { directory + "/ingest.sock" }

    init(limits: IntakeLimits = IntakeLimits(), failpoints: Failpoints? = nil) async throws {
        directory = "/tmp/receive-tests-\(ThisProcess.pid)-\(UInt32.random(in: 0 ... .max))"
        try Files.makeDirectory(directory, mode: 0o700)
        log = try GroupCommit(state: DirectoryStorage(creating: directory + "/state"))
        admission = Admission(limits: limits)
        let open = AsyncStream<Void>.makeStream()
        var quiet = Logger(label: "test")
        quiet.logLevel = .critical
        server = IngestServer(
            listener: .path(directory + "/ingest.sock", mode: 0o600), log: log,
            admission: admission, ledger: ledger, logger: quiet,
            failpoints: failpoints, whenOpen: { open.continuation.finish() })
        group = ServiceGroup(
            configuration: ServiceGroupConfiguration(services: [server], logger: quiet))
        let group = self.group
        running = Task { try await group.run() }
        for await _ in open.stream {}
    }

    /// Ends in order and says how many batches the log has.
    func end() async throws -> UInt64 {
        await group.triggerGracefulShutdown()
        try await running.value
        log.shutdown()
        let stored = log.statistics.stored.batches
        try FileManager.default.removeItem(atPath: directory)
        return stored
    }

    func client() throws -> TestClient { try TestClient(socket: socket) }
}

/// The other end, blocking, with a time limit so that a test that hangs fails.
final class TestClient {
    private let socket: UnixSocket
    private var frames = FrameBuffer()

    init(socket path: String) throws {
        socket = try UnixSocket.connect(path)
        try socket.setTimeLimits(sendMilliseconds: 10_000, receiveMilliseconds: 10_000)
    }

    func send(_ bytes: [UInt8]) throws { try socket.sendAll(bytes.span.bytes) }
    func finish() { socket.finishSending() }

    /// The next frame, nil when the agent has closed.
    func next() throws -> Frame? {
        while true {
            if let frame = try frames.next() { return frame }
            var bytes: [UInt8] = []
            guard try receive(&bytes) else { return nil }
            frames.append(bytes)
        }
    }

    private func receive(_ bytes: inout [UInt8]) throws(SystemError) -> Bool {
        do {
            return try socket.receive(appendingTo: &bytes, limit: 65_536) > 0
        } catch {
            if error.isDisconnected { return false }
            throw error
        }
    }

    func welcome(_ producer: ProducerID) throws -> Welcome {
        try send(Hello(producer: producer, readsAnswers: true).frame.encoded)
        let frame = try #require(try next())
        #expect(frame.type == .welcome)
        return try Welcome(decoding: frame.body.span.bytes)
    }

    func error() throws -> ErrorFrame {
        let frame = try #require(try next())
        #expect(frame.type == .error)
        return try ErrorFrame(decoding: frame.body.span.bytes)
    }

    /// Reads until everything up to `sequence` is acknowledged.
    func acked(_ sequence: UInt64) throws -> Ack {
        while true {
            let frame = try #require(try next())
            guard frame.type == .ack else { continue }
            let ack = try Ack(decoding: frame.body.span.bytes)
            if ack.sequence >= sequence { return ack }
        }
    }
}

func batchFrame(_ producer: ProducerID, _ sequence: UInt64, flip: Bool = false) -> [UInt8] {
    var builder = BatchBuilder(producer: producer)
    builder.begin(baseTime: 1_000)
    var body = builder.finish(sequence: sequence)
    if flip { body[60] = 1 }
    return Frame(type: .batch, body: body).encoded
}

@Suite(.timeLimit(.minutes(1))) struct `The ingest socket` {
    let producer = ProducerID(high: 7, low: 8)

    @Test func `a batch is acknowledged with its offset once it is in the log`() async throws {
        let intake = try await Intaking()
        let client = try intake.client()
        #expect(try client.welcome(producer).storedSequence == 0)
        try client.send(batchFrame(producer, 1))
        let ack = try client.acked(1)
        #expect(LogOffset(rawValue: ack.offset).position >= 64)
        #expect(try await intake.end() == 1)
    }

    @Test func `what is sent again after a reconnect is stored once`() async throws {
        let intake = try await Intaking()
        do {
            let client = try intake.client()
            _ = try client.welcome(producer)
            try client.send(batchFrame(producer, 1) + batchFrame(producer, 2))
            _ = try client.acked(2)
        }
        let again = try intake.client()
        #expect(try again.welcome(producer).storedSequence == 2)
        try again.send(batchFrame(producer, 2) + batchFrame(producer, 3))
        _ = try again.acked(3)
        #expect(intake.ledger.snapshot.duplicate.batches == 1)
        #expect(try await intake.end() == 3)
    }

    @Test func `a client that only writes hello, batches and closes is valid`() async throws {
        let intake = try await Intaking()
        do {
            let client = try intake.client()
            try client.send(Hello(producer: producer).frame.encoded)
            for sequence in 1...50 as ClosedRange<UInt64> {
                try client.send(batchFrame(producer, sequence))
            }
        }
        // The end takes what has arrived, and every batch has its outcome though its connection is gone.
        let stored = try await intake.end()
        let counts = intake.ledger.snapshot
        #expect(stored == 50)
        #expect(counts.stored.batches == 50)
        #expect(counts.inFlight.batches == 0)
    }

    @Test func `frames may come byte by byte`() async throws {
        let intake = try await Intaking()
        let client = try intake.client()
        let hello = Hello(producer: producer, readsAnswers: true).frame.encoded
        for byte in hello + batchFrame(producer, 1) { try client.send([byte]) }
        _ = try client.acked(1)
        #expect(try await intake.end() == 1)
    }

    @Test func `garbage costs its own connection only`() async throws {
        let intake = try await Intaking()
        let good = try intake.client()
        _ = try good.welcome(producer)
        for seed in 0..<20 as Range<UInt64> {
            let bad = try intake.client()
            var random = SeededGenerator(seed: seed)
            let noise = (0..<300).map { _ in UInt8(truncatingIfNeeded: random.next()) }
            do { try bad.send(noise) } catch {}
            bad.finish()
            while let frame = try bad.next() { #expect(frame.type == .error) }
        }
        try good.send(batchFrame(producer, 1))
        _ = try good.acked(1)
        #expect(try await intake.end() == 1)
    }

    @Test func `a wrong checksum ends the connection with its error`() async throws {
        let intake = try await Intaking()
        let client = try intake.client()
        _ = try client.welcome(producer)
        var frame = batchFrame(producer, 1)
        frame[8] ^= 1
        try client.send(frame)
        let error = try client.error()
        #expect(error.code == WireError.badChecksum.rawValue)
        #expect(error.isFatal)
        #expect(try client.next() == nil)
        #expect(try await intake.end() == 0)
    }

    @Test func `a bad batch is refused by its sequence and the next one is stored`() async throws {
        let intake = try await Intaking()
        let client = try intake.client()
        _ = try client.welcome(producer)
        try client.send(batchFrame(producer, 1, flip: true) + batchFrame(producer, 2))
        let error = try client.error()
        #expect(error.code == WireError.badValue.rawValue)
        #expect(!error.isFatal)
        #expect(error.sequence == 1)
        _ = try client.acked(2)
        let counts = intake.ledger.snapshot
        #expect(counts.refused["bad_value"]?.batches == 1)
        #expect(counts.inFlight.batches == 0)
        #expect(try await intake.end() == 1)
    }

    @Test func `a peer that never reads its acks loses nothing and stops nobody`() async throws {
        let intake = try await Intaking()
        let deaf = try intake.client()
        try deaf.send(Hello(producer: producer, readsAnswers: true).frame.encoded)
        for sequence in 1...20_000 as ClosedRange<UInt64> {
            try deaf.send(batchFrame(producer, sequence))
        }
        let other = ProducerID(high: 1, low: 1)
        let client = try intake.client()
        _ = try client.welcome(other)
        try client.send(batchFrame(other, 1))
        _ = try client.acked(1)
        #expect(try await intake.end() == 20_001)
    }

    @Test func `one connection more than a user may have is told so`() async throws {
        var limits = IntakeLimits()
        limits.connectionsPerUserMax = 1
        let intake = try await Intaking(limits: limits)
        let first = try intake.client()
        _ = try first.welcome(producer)
        let second = try intake.client()
        let frame = try #require(try second.next())
        #expect(frame.type == .throttle)
        let throttle = try Throttle(decoding: frame.body.span.bytes)
        #expect(throttle.reason == WireError.tooManyConnections.rawValue)
        try first.send(batchFrame(producer, 1))
        _ = try first.acked(1)
        #expect(try await intake.end() == 1)
    }

    @Test func `a connection that says nothing is closed at its deadline`() async throws {
        var limits = IntakeLimits()
        limits.frameDeadline = .milliseconds(50)
        let intake = try await Intaking(limits: limits)
        let silent = try intake.client()
        let frame = try #require(try silent.next())
        let error = try ErrorFrame(decoding: frame.body.span.bytes)
        #expect(error.code == WireError.frameDeadline.rawValue && error.isFatal)
        #expect(try silent.next() == nil)
        #expect(intake.ledger.snapshot.connectionsClosed["frame_deadline"] == 1)
        #expect(try await intake.end() == 0)
    }

    @Test func `a second server takes a stale socket's place and never a live one's`() async throws
    {
        let intake = try await Intaking()
        #expect(try UnixSocket.removeStale(intake.socket) == false)
        #expect(Files.exists(intake.socket))
        _ = try await intake.end()
        let path = "/tmp/receive-tests-stale-\(ThisProcess.pid).sock"
        do { _ = try UnixSocket.listen(path, mode: 0o600) }
        #expect(Files.exists(path))
        #expect(try UnixSocket.removeStale(path))
    }
}
