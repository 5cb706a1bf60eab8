import NIOCore
import NIOHPACK
import OTLPCodec
import SystemIO

/// The other end of an HTTP/2 connection, blocking, frame by frame, so that a test can break each rule.
final class GRPCClient {
    /// What became of a call.
    struct Answer: Equatable {
        var httpStatus = 0
        /// `grpc-status`, -1 if there was none.
        var code = -1
        var message = ""
        /// Of `RetryInfo`, in `grpc-status-details-bin`.
        var retrySeconds: UInt64?
        var body: [UInt8] = []
        /// The code of RST_STREAM, if the stream ended so.
        var reset: UInt32?
    }

    enum Kind: UInt8 {
        case data, headers, priority, reset, settings, push, ping, goodbye, window, continuation
    }

    static let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)

    private let socket: UnixSocket
    private var received: [UInt8] = []
    private var encoder = HPACKEncoder(allocator: ByteBufferAllocator())
    private var decoder = HPACKDecoder(allocator: ByteBufferAllocator())
    private var answers: [UInt32: Answer] = [:]
    private var ended: Set<UInt32> = []
    private var nextStream: UInt32 = 1
    private var hasSettings = false
    /// The code of the last GOAWAY.
    private(set) var goodbye: UInt32?

    /// Connects and says what HTTP/2 begins with.
    init(socket path: String, settings: [(UInt16, UInt32)] = []) throws {
        socket = try UnixSocket.connect(path)
        try socket.setTimeLimits(sendMilliseconds: 20_000, receiveMilliseconds: 20_000)
        let content = settings.flatMap { Self.bytes($0.0) + Self.bytes($0.1) }
        try send(Self.preface + Self.frame(.settings, content))
        // The agent's windows are the larger ones from its settings on.
        while !hasSettings { guard try readFrame() else { return } }
    }

    static func bytes<Word: FixedWidthInteger>(_ word: Word) -> [UInt8] {
        withUnsafeBytes(of: word.bigEndian) { Array($0) }
    }

    static func frame(
        _ kind: Kind, _ content: [UInt8] = [], flags: UInt8 = 0, stream: UInt32 = 0
    ) -> [UInt8] {
        Array(bytes(UInt32(content.count)).dropFirst()) + [kind.rawValue, flags] + bytes(stream)
            + content
    }

    func send(_ bytes: [UInt8]) throws { try socket.sendAll(bytes.span.bytes) }

    /// A message as gRPC frames it.
    static func message(_ body: [UInt8], flag: UInt8 = 0) -> [UInt8] {
        [flag] + bytes(UInt32(body.count)) + body
    }

    /// The frame that begins a call, and its stream.
    func head(
        _ signal: OTLPSignal = .traces, _ changes: [String: String] = [:], ends: Bool = false
    ) throws -> (frame: [UInt8], stream: UInt32) {
        var fields = [
            (":method", "POST"), (":scheme", "http"), (":path", signal.grpcPath),
            (":authority", "localhost"), ("content-type", "application/grpc"), ("te", "trailers"),
        ]
        for (name, value) in changes.sorted(by: { $0.key < $1.key }) {
            if let place = fields.firstIndex(where: { $0.0 == name }) {
                fields[place].1 = value
            } else {
                fields.append((name, value))
            }
        }
        try encoder.beginEncoding(allocator: ByteBufferAllocator())
        try encoder.append(headers: HPACKHeaders(fields))
        let block = try encoder.endEncoding()
        defer { nextStream += 2 }
        return (
            Self.frame(
                .headers, Array(block.readableBytesView), flags: ends ? 5 : 4, stream: nextStream),
            nextStream
        )
    }

    /// A call with what follows its headers, in frames of 16 KB; its stream.
    @discardableResult func call(
        _ content: [UInt8], _ signal: OTLPSignal = .traces, _ changes: [String: String] = [:],
        ends: Bool = true
    ) throws -> UInt32 {
        let (head, stream) = try head(signal, changes)
        try send(head)
        var rest = content[...]
        while !rest.isEmpty || ends {
            let piece = Array(rest.prefix(16_384))
            rest = rest.dropFirst(16_384)
            let isLast = rest.isEmpty
            try send(Self.frame(.data, piece, flags: isLast && ends ? 1 : 0, stream: stream))
            if isLast { break }
        }
        return stream
    }

    /// The answer to a whole message.
    func answer(
        to body: [UInt8], _ signal: OTLPSignal = .traces, _ changes: [String: String] = [:],
        flag: UInt8 = 0
    ) throws -> Answer? {
        try answer(try call(Self.message(body, flag: flag), signal, changes))
    }

    /// The answer on a stream; nil when the agent has closed the connection before.
    func answer(_ stream: UInt32) throws -> Answer? {
        while !ended.contains(stream) { guard try readFrame() else { return nil } }
        return answers[stream]
    }

    /// Reads until the agent closes.
    func waitForEnd() throws { while try readFrame() {} }

    private func readFrame() throws -> Bool {
        while received.count < 9 || received.count < 9 + length {
            guard try receive() else { return false }
        }
        let kind = Kind(rawValue: received[3])
        let flags = received[4]
        let stream = Self.word(received[5..<9])
        let content = Array(received[9..<(9 + length)])
        received.removeFirst(9 + length)
        switch kind {
        case .settings where flags & 1 == 0: try acknowledge()
        case .headers: try note(content, stream)
        case .data: answers[stream, default: Answer()].body += content
        case .reset:
            answers[stream, default: Answer()].reset = Self.word(content[...])
            ended.insert(stream)
        case .goodbye: goodbye = Self.word(content[4..<8])
        default: break
        }
        if kind == .headers || kind == .data, flags & 1 == 1 { ended.insert(stream) }
        return true
    }

    /// The agent may have closed behind its settings.
    private func acknowledge() throws {
        hasSettings = true
        do throws(SystemError) {
            try socket.sendAll(Self.frame(.settings, flags: 1).span.bytes)
        } catch {
            guard error.isDisconnected else { throw error }
        }
    }

    private var length: Int { Int(Self.word([0] + received[..<3])) }

    private static func word(_ bytes: some Sequence<UInt8>) -> UInt32 {
        bytes.reduce(0) { $0 << 8 | UInt32($1) }
    }

    private func note(_ block: [UInt8], _ stream: UInt32) throws {
        var buffer = ByteBuffer(bytes: block)
        var answer = answers[stream] ?? Answer()
        for (name, value, _) in try decoder.decodeHeaders(from: &buffer) {
            switch name {
            case ":status": answer.httpStatus = Int(value) ?? -1
            case "grpc-status": answer.code = Int(value) ?? -1
            case "grpc-message": answer.message = GRPCFormat.percentDecoded(value)
            case "grpc-status-details-bin":
                answer.retrySeconds = RPCStatus(grpcDetails: value)?.retryNanoseconds.map {
                    $0 / 1_000_000_000
                }
            default: break
            }
        }
        answers[stream] = answer
    }

    private func receive() throws -> Bool {
        do throws(SystemError) {
            return try socket.receive(appendingTo: &received, limit: 65_536) > 0
        } catch {
            if error.isDisconnected { return false }
            throw error
        }
    }
}
