import ByteCoding
import Receive
import SimulationKit
import TelemetryBatch

/// A stream of frames as it arrives: cut, decoded, answered.
///
/// Input: a byte of flags, a byte for where the stream is cut, then the stream.
enum FrameFuzz {
    private static let repairsChecksums: UInt8 = 1

    static func seeds(_ folder: SeedFolder) throws -> [(name: String, bytes: [UInt8])] {
        let streams =
            try folder.hex("frames/valid") + folder.hex("frames/invalid") + folder.hex("spool")
        return streams.map { ($0.name, [0, 7] + $0.bytes) }
    }

    static func run(_ bytes: [UInt8]) {
        var input = FuzzInput(bytes)
        let flags = input.byte()
        let seed = input.byte()
        var stream = Array(input.rest)
        if flags & repairsChecksums != 0 { repair(&stream) }
        let whole = cut(stream, pieces: [stream.count])
        var random = SeededGenerator(seed: UInt64(seed))
        var pieces: [Int] = []
        while pieces.reduce(0, +) < stream.count {
            pieces.append(Int.random(in: 1...(1 + Int(seed)), using: &random))
        }
        let inPieces = cut(stream, pieces: pieces)
        promise(whole == inPieces, "frames depend on how the stream arrives")
        for frame in whole.frames { decode(frame) }
        let spoken = Conversation(stream, pieces: [stream.count])
        promise(
            spoken == Conversation(stream, pieces: pieces),
            "the conversation depends on how the stream arrives")
    }

    /// Gives every frame that is complete the checksum of its body.
    static func repair(_ stream: inout [UInt8]) {
        var at = 0
        while let length = stream.little(UInt32.self, at: at),
            at + FrameHeader.byteCount + Int(length) <= stream.count
        {
            let body = (at + FrameHeader.byteCount)..<(at + FrameHeader.byteCount + Int(length))
            stream.put(stream.checksum(body), at: at + 8)
            at = body.upperBound
        }
    }

    private struct Cut: Equatable {
        var frames: [Frame] = []
        var error: BatchError?
        var pending = 0
    }

    private static func cut(_ stream: [UInt8], pieces: [Int]) -> Cut {
        var buffer = FrameBuffer()
        var result = Cut()
        var rest = stream[...]
        for piece in pieces {
            buffer.append(rest.prefix(piece))
            rest = rest.dropFirst(piece)
            do throws(BatchError) {
                while let frame = try buffer.next() { result.frames.append(frame) }
            } catch {
                result.error = error
                return result
            }
        }
        result.pending = buffer.pendingBytes
        return result
    }

    /// What can be decoded is written again as it is read.
    private static func decode(_ frame: Frame) {
        let body = frame.body.span.bytes
        do throws(BatchError) {
            switch frame.type {
            case .hello:
                let hello = try Hello(decoding: body)
                promise(
                    try Hello(decoding: hello.frame.body.span.bytes) == hello, "hello: \(hello)")
            case .welcome:
                let welcome = try Welcome(decoding: body)
                promise(
                    try Welcome(decoding: welcome.frame.body.span.bytes) == welcome, "welcome")
            case .ack:
                let ack = try Ack(decoding: body)
                promise(try Ack(decoding: ack.frame.body.span.bytes) == ack, "ack")
            case .throttle:
                let throttle = try Throttle(decoding: body)
                promise(
                    try Throttle(decoding: throttle.frame.body.span.bytes) == throttle, "throttle")
            case .error:
                let error = try ErrorFrame(decoding: body)
                promise(try ErrorFrame(decoding: error.frame.body.span.bytes) == error, "error")
            default: break
            }
        } catch {
            promise(error.position <= max(body.byteCount, 8), "an error outside its body: \(error)")
        }
    }
}

/// The agent's side of a connection, without its socket: what `PeerHandler` does with a stream.
private struct Conversation: Equatable {
    private var machine = ConnectionMachine()
    private var buffer: [UInt8] = []
    private var actions: [ConnectionMachine.Action] = []
    private var submitted: [UInt64] = []
    private var hasEnded = false
    private var acknowledged: UInt64 = 0

    static func == (left: Conversation, right: Conversation) -> Bool {
        left.actions == right.actions && left.submitted == right.submitted
            && left.hasEnded == right.hasEnded && left.machine.producer == right.machine.producer
            && left.machine.environment == right.machine.environment
    }

    init(_ stream: [UInt8], pieces: [Int]) {
        var rest = stream[...]
        for piece in pieces where !hasEnded {
            buffer += rest.prefix(piece)
            rest = rest.dropFirst(piece)
            while !hasEnded, takeFrame() {}
        }
        promise(machine.environment.count <= 32, "more variables than are taken")
        if hasEnded {
            var header = FrameHeader(type: .batch, body: [UInt8]().span.bytes)
            header.length = 100
            promise(machine.header(header) != .none, "a connection that has ended goes on")
            promise(machine.producer == nil, "a connection that has ended has a producer")
        }
    }

    private mutating func takeFrame() -> Bool {
        guard buffer.count >= FrameHeader.byteCount, let header = decodeHeader() else {
            return false
        }
        guard perform(machine.header(header)) else { return false }
        promise(Int(header.length) <= header.type.bodyBytesMax, "a giant body is waited for")
        let total = FrameHeader.byteCount + Int(header.length)
        guard buffer.count >= total else { return false }
        let body = Array(buffer[FrameHeader.byteCount..<total])
        buffer.removeFirst(total)
        if header.type.isKnown, crc32c(body.span.bytes) != header.checksum {
            return perform(machine.corrupt())
        }
        switch header.type {
        case .hello: return perform(machine.hello(hello(body)))
        case .batch: return takeBatch(body)
        case .goodbye: return perform(machine.goodbye())
        default: return true
        }
    }

    private func decodeHeader() -> FrameHeader? {
        do { return try FrameHeader(decoding: buffer.span.bytes) } catch { return nil }
    }

    private func hello(_ body: [UInt8]) -> Result<Hello, BatchError> {
        do throws(BatchError) {
            return .success(try Hello(decoding: body.span.bytes))
        } catch { return .failure(error) }
    }

    private mutating func takeBatch(_ body: [UInt8]) -> Bool {
        let producer = machine.producer
        promise(producer != nil, "a batch before its hello")
        do throws(BatchError) {
            let summary = try BatchValidator.validate(body.span.bytes)
            let action = machine.batch(summary.header)
            if action == .submit {
                promise(summary.header.producer == producer, "another producer's batch is taken")
                submitted.append(summary.header.sequence)
                settle(summary.header.sequence)
            }
            return perform(action)
        } catch {
            return perform(machine.refused(error, sequence: 1))
        }
    }

    /// The log has it: an ack is due, once, and it never falls back.
    private mutating func settle(_ sequence: UInt64) {
        machine.settle(sequence, offset: sequence)
        let ack = machine.takeAck(synced: 0)
        promise(ack == nil || machine.answers, "an ack that nobody reads")
        if let ack {
            promise(ack.sequence > acknowledged && ack.sequence >= sequence, "an ack falls back")
            acknowledged = ack.sequence
        }
        promise(machine.takeAck(synced: 0) == nil, "an ack twice")
    }

    private mutating func perform(_ action: ConnectionMachine.Action) -> Bool {
        // A header is looked at again whenever more of its frame arrives.
        if action != .none { actions.append(action) }
        switch action {
        case .fail(let error), .refuse(let error):
            promise(error.message.utf8.count <= WireLimits.messageBytesMax, "a long message")
            promise(
                error.frame.body.count <= WireLimits.smallBodyBytesMax, "an answer that is too long"
            )
        case .none, .submit, .welcome, .finish: break
        }
        switch action {
        case .none, .submit, .welcome, .refuse: return true
        case .fail, .finish:
            hasEnded = true
            return false
        }
    }
}
