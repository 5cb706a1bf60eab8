internal import ByteCoding
package import SystemIO

/// One message as it arrived.
package struct ControlMessage: Sendable, Equatable {
    /// Its kind.
    package let kind: ControlKind
    /// Its body.
    package let body: [UInt8]
}

/// Cuts what arrives on the control socket into messages. Holds at most one body of the largest size and
/// what was received with it.
package struct ControlBuffer: Sendable {
    private static let receiveBytesMax = 65_536

    private let bodyBytesMax: Int
    private var bytes: [UInt8] = []
    private var start = 0

    /// A buffer for messages with bodies of at most `bodyBytesMax` bytes.
    package init(bodyBytesMax: Int) { self.bodyBytesMax = bodyBytesMax }

    /// Takes bytes as they came.
    package mutating func append(_ received: some Sequence<UInt8>) {
        forgetTaken()
        bytes.append(contentsOf: received)
    }

    /// Takes what the socket has, waiting for it as the socket is set to; the number of bytes, 0 at the end.
    package mutating func receive(from socket: borrowing UnixSocket) throws(SystemError) -> Int {
        forgetTaken()
        return try socket.receive(appendingTo: &bytes, limit: Self.receiveBytesMax)
    }

    /// The next complete message; nil if more bytes are needed. After a throw the stream cannot be
    /// followed any more.
    package mutating func next() throws(ControlError) -> ControlMessage? {
        guard bytes.count - start >= ControlLimits.headerBytes else { return nil }
        var reader = ByteReader(bytes.span.bytes, in: start..<bytes.count)
        let length: Int
        let raw: UInt8
        do {
            length = Int(try reader.readUInt32())
            raw = try reader.readUInt8()
        } catch { return nil }
        guard length <= bodyBytesMax, let kind = ControlKind(rawValue: raw) else {
            throw .protocolMismatch
        }
        let from = start + ControlLimits.headerBytes
        guard bytes.count - from >= length else { return nil }
        start = from + length
        return ControlMessage(kind: kind, body: Array(bytes[from..<from + length]))
    }

    private mutating func forgetTaken() {
        if start > 0 {
            bytes.removeFirst(start)
            start = 0
        }
    }
}
