package import TelemetryBatch

/// The conversation of one connection, without its socket: frames and outcomes go in, what to do
/// comes out. `wire.md` fixes every rule.
///
/// ```
/// awaitingHello ──hello──▶ streaming ──goodbye, end──▶ ended
///       └────────────── fatal error, throttle ──────────▶ ended
/// ```
package struct ConnectionMachine: Sendable {
    /// What the shell does next.
    package enum Action: Sendable, Equatable {
        /// Nothing.
        case none
        /// Greet; the shell fills in what the log knows of this producer.
        case welcome(ProducerID)
        /// Hand the batch to the log.
        case submit
        /// Send an error; the connection goes on.
        case refuse(ErrorFrame)
        /// Send an error, then close.
        case fail(ErrorFrame)
        /// Close: the peer said that nothing follows.
        case finish
    }

    private enum State: Sendable {
        case awaitingHello
        case streaming(producer: ProducerID)
        case ended
    }

    private var state = State.awaitingHello
    /// Whether the peer reads what we send.
    package private(set) var answers = false
    /// The names of variables that the peer's environment has set.
    package private(set) var environment: [String] = []
    /// The highest sequence that is dealt with, and its offset (0: duplicate or refused).
    private var settled: (sequence: UInt64, offset: UInt64) = (0, 0)
    private var acknowledged: UInt64 = 0

    /// A connection that has said nothing.
    package init() {}

    /// The producer, once it said hello.
    package var producer: ProducerID? {
        if case .streaming(let producer) = state { return producer }
        return nil
    }

    /// Whether a frame of this type and length may follow; checked before its body is read.
    package mutating func header(_ header: FrameHeader) -> Action {
        guard header.version == 0 else {
            return end(
                .unsupportedVersion,
                "frame of version \(header.version); this agent speaks version 0")
        }
        switch state {
        case .ended: return .finish
        case .awaitingHello where header.type != .hello:
            return end(.badMagic, "the first frame must be a hello")
        case .streaming where header.type == .hello:
            return end(.unexpectedFrame, "a second hello on one connection")
        case .streaming where header.type.isFromAgent:
            return end(.unexpectedFrame, "a frame that only an agent may send")
        case .awaitingHello, .streaming: break
        }
        guard Int(header.length) > header.type.bodyBytesMax else { return .none }
        return end(
            .frameTooLarge,
            "a body of \(header.length) bytes; at most \(header.type.bodyBytesMax) are taken")
    }

    /// A body's checksum differs.
    package mutating func corrupt() -> Action {
        end(.badChecksum, "the checksum of a frame's body differs; the stream cannot be trusted")
    }

    /// A hello, or the rest of a frame, did not come in time.
    package mutating func late() -> Action {
        end(
            .frameDeadline,
            "no whole frame came in time; send frames whole, or connect when there is one")
    }

    /// A newer connection of this peer's uid said hello with this producer id.
    package mutating func superseded() -> Action {
        end(
            .superseded,
            "a newer connection of this producer took over; what is not acked was not read: send it "
                + "under a new producer id")
    }

    /// A hello arrived, or what should have been one.
    package mutating func hello(_ result: Result<Hello, BatchError>) -> Action {
        switch result {
        case .failure(let error):
            return end(error.code, "hello: \(error.what) at byte \(error.position)")
        case .success(let hello):
            state = .streaming(producer: hello.producer)
            answers = hello.readsAnswers
            environment = Self.names(
                in: hello.properties.first { $0.key == "environment" }?.value)
            return answers ? .welcome(hello.producer) : .none
        }
    }

    /// A batch was checked and is right.
    package mutating func batch(_ header: BatchHeader) -> Action {
        guard case .streaming(let producer) = state else { return .none }
        guard header.producer == producer else {
            return .refuse(
                ErrorFrame(
                    .wrongProducer, isFatal: false, sequence: header.sequence,
                    message: "the batch's producer id is not the hello's"))
        }
        return .submit
    }

    /// A batch was checked and is refused; `sequence` is what its header claims. The error settles it;
    /// an ack would also settle earlier batches that are still on their way to the log.
    package mutating func refused(_ error: BatchError, sequence: UInt64) -> Action {
        .refuse(
            ErrorFrame(
                error.code, isFatal: false, sequence: sequence,
                message: "\(error.what) at byte \(error.position) of the batch"))
    }

    /// The peer said that nothing follows.
    package mutating func goodbye() -> Action {
        state = .ended
        return .finish
    }

    /// A batch is in the log, or was there (offset 0). The log settles in the order of submission.
    package mutating func settle(_ sequence: UInt64, offset: UInt64) {
        if sequence >= settled.sequence { settled = (sequence, offset) }
    }

    /// An ack that is due, all merged into one; nil if there is none or nobody reads it.
    package mutating func takeAck(synced: UInt64) -> Ack? {
        guard answers, settled.sequence > acknowledged else { return nil }
        acknowledged = settled.sequence
        return Ack(sequence: settled.sequence, offset: settled.offset, synced: synced)
    }

    private mutating func end(_ code: WireError, _ message: String) -> Action {
        state = .ended
        return .fail(ErrorFrame(code, isFatal: true, sequence: 0, message: message))
    }

    /// Variable names from a peer's list: upper case, digits, underscore; at most 32 of them.
    private static func names(in untrusted: String?) -> [String] {
        guard let untrusted else { return [] }
        let known = ["CODEX_OTEL_", "CODEX_OTLP_", "OTEL_EXPORTER_OTLP_"]
        return untrusted.split(separator: ",").prefix(32).compactMap { part in
            let name = String(part)
            let plain = name.utf8.allSatisfy {
                (65...90).contains($0) || (48...57).contains($0) || $0 == 95
            }
            return plain && name.utf8.count <= 64 && known.contains(where: name.hasPrefix)
                ? name : nil
        }
    }
}
