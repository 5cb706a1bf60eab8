import ByteCoding
import SystemIO
import TelemetryBatch

/// One producer on one connection: sends ready frames as the agent's window allows, reads acks.
final class Connection {
    /// What the clock saw of one connection.
    struct Outcome: Sendable {
        var batches = 0
        var bytes = 0
        var lastAck: UInt64 = 0
        /// From the send of each batch to the ack that covers it, nanoseconds.
        var latencies: [UInt64] = []
        /// Why it ended early.
        var failure: String?
    }

    private struct Unacked {
        let sequence: UInt64
        let bytes: Int
        let sent: UInt64
    }

    private let socket: UnixSocket
    private var answers = FrameBuffer()
    private var unacked: [Unacked] = []
    private var firstUnacked = 0
    private var inFlightBytes = 0
    private var windowBytes = 0
    private var outcome = Outcome()

    /// Connects and greets; returns when the agent has said welcome.
    init(path: String, producer: ProducerID, windowBytesMax: Int) throws {
        socket = try UnixSocket.connect(path)
        let hello = Hello(
            producer: producer, readsAnswers: true,
            properties: [.init(key: "client.name", value: "batch-load")])
        try socket.sendAll(hello.frame.encoded.span.bytes)
        while windowBytes == 0 {
            try receive(wait: true)
            while let frame = try answers.next() {
                guard frame.type == .welcome else { throw Refused(frame) }
                let welcome = try Welcome(decoding: frame.body.span.bytes)
                windowBytes = min(Int(welcome.windowBytes), windowBytesMax)
            }
        }
    }

    /// Sends `count` batches out of `frames`, in a circle, each `interval` nanoseconds after the one
    /// before (0: as fast as the window allows), and waits until all are dealt with.
    func run(_ frames: [[UInt8]], count: Int, interval: UInt64) -> Outcome {
        var frames = frames
        outcome.latencies.reserveCapacity(count)
        do {
            let start = Clocks.monotonic()
            for number in 0..<count {
                if interval > 0 { try waitUntil(start + UInt64(number) * interval) }
                let which = number % frames.count
                frames[which].stamp(sequence: UInt64(number) + 1, time: Clocks.wall())
                try send(frames[which], sequence: UInt64(number) + 1)
            }
            while firstUnacked < unacked.count { try settle(wait: true) }
            try socket.sendAll(Frame(type: .goodbye, body: []).encoded.span.bytes)
        } catch {
            outcome.failure = "\(error)"
        }
        return outcome
    }

    private func send(_ frame: [UInt8], sequence: UInt64) throws {
        // One batch may always be under way, however large.
        while inFlightBytes > 0 && inFlightBytes + frame.count > windowBytes {
            try settle(wait: true)
        }
        unacked.append(Unacked(sequence: sequence, bytes: frame.count, sent: Clocks.monotonic()))
        inFlightBytes += frame.count
        try socket.sendAll(frame.span.bytes)
        outcome.batches += 1
        outcome.bytes += frame.count
        if sequence % 8 == 0 { try settle(wait: false) }
    }

    /// Reads acks while there is time.
    private func waitUntil(_ due: UInt64) throws {
        while true {
            let now = Clocks.monotonic()
            if now >= due { return }
            let milliseconds = Int32(clamping: (due - now + 999_999) / 1_000_000)
            if firstUnacked < unacked.count {
                if try socket.wait(for: .readable, milliseconds: milliseconds) {
                    try settle(wait: false)
                }
            } else {
                _ = try Readiness.wait(forAnyOf: [], milliseconds: milliseconds)
            }
        }
    }

    private func settle(wait: Bool) throws {
        guard try receive(wait: wait) else { return }
        while let frame = try answers.next() {
            guard frame.type == .ack else { throw Refused(frame) }
            let ack = try Ack(decoding: frame.body.span.bytes)
            let now = Clocks.monotonic()
            outcome.lastAck = now
            while firstUnacked < unacked.count, unacked[firstUnacked].sequence <= ack.sequence {
                inFlightBytes -= unacked[firstUnacked].bytes
                outcome.latencies.append(now - unacked[firstUnacked].sent)
                firstUnacked += 1
            }
        }
        if firstUnacked > 4096 {
            unacked.removeFirst(firstUnacked)
            firstUnacked = 0
        }
    }

    @discardableResult
    private func receive(wait: Bool) throws -> Bool {
        var bytes: [UInt8] = []
        do throws(SystemError) {
            guard try socket.receive(appendingTo: &bytes, limit: 4096, wait: wait) > 0 else {
                throw SystemError(errno: 104, operation: .receive)
            }
        } catch {
            if error.wouldBlock { return false }
            throw error
        }
        answers.append(bytes)
        return true
    }
}

/// The agent answered with something else than an ack.
struct Refused: Error, CustomStringConvertible {
    let description: String

    init(_ frame: Frame) {
        do {
            switch frame.type {
            case .throttle:
                let throttle = try Throttle(decoding: frame.body.span.bytes)
                description = "throttled, reason \(throttle.reason)"
            case .error:
                let error = try ErrorFrame(decoding: frame.body.span.bytes)
                description = "error \(error.code) for \(error.sequence): \(error.message)"
            default: description = "a frame of type \(frame.type.rawValue)"
            }
        } catch { description = "an answer that cannot be read: \(error)" }
    }
}
