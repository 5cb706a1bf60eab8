internal import NIOCore
internal import OTLPCodec

/// The one message of a unary call while it arrives (grpc `doc/PROTOCOL-HTTP2.md`, Length-Prefixed-Message).
struct GRPCMessage {
    /// Prefix and message, as far as they are here.
    private var bytes = ByteBuffer()
    private let bytesMax: Int
    private let isGzip: Bool

    /// `bytesMax`: of the message, as it is sent.
    init(bytesMax: Int, isGzip: Bool) {
        self.bytesMax = bytesMax
        self.isGzip = isGzip
    }

    /// What is here, in bytes.
    var byteCount: Int { bytes.readableBytes }

    /// Takes what came; throws as soon as it can be said that this is no message that will be taken.
    mutating func append(_ more: ByteBuffer) throws(GRPCRefusal) {
        // A copy: a byte of the peer's must not keep the buffer alive in which it was read.
        bytes.writeImmutableBuffer(more)
        guard let count = try length() else { return }
        if bytes.readableBytes > GRPCFormat.prefixBytes + count {
            throw GRPCRefusal(code: .unimplemented, message: "the call has more than one message")
        }
    }

    /// The whole message once the peer has sent all, and whether it is compressed.
    mutating func finish() throws(GRPCRefusal) -> (bytes: ByteBuffer, isCompressed: Bool) {
        guard let count = try length() else {
            throw GRPCRefusal(
                code: bytes.readableBytes == 0 ? .unimplemented : .internalError,
                message: "the call ends before its message")
        }
        guard bytes.readableBytes == GRPCFormat.prefixBytes + count else {
            throw GRPCRefusal(code: .internalError, message: "the message is cut short")
        }
        let isCompressed = bytes.getInteger(at: bytes.readerIndex, as: UInt8.self) == 1
        bytes.moveReaderIndex(forwardBy: GRPCFormat.prefixBytes)
        return (bytes, isCompressed)
    }

    /// What the prefix says, nil before it is here.
    private func length() throws(GRPCRefusal) -> Int? {
        let start = bytes.readerIndex
        guard let flag = bytes.getInteger(at: start, as: UInt8.self) else { return nil }
        guard flag == 0 || flag == 1 && isGzip else {
            throw GRPCRefusal(
                code: .internalError,
                message: "the message is said to be compressed, but not how (grpc-encoding)")
        }
        guard let count = bytes.getInteger(at: start + 1, as: UInt32.self) else { return nil }
        guard count <= bytesMax else { throw GRPCRefusal.tooLarge(bytesMax) }
        return Int(count)
    }
}
