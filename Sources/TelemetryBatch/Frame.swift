package import ByteCoding

/// The type byte of a frame (wire.md, "Frame").
package struct FrameType: RawRepresentable, Hashable, Sendable {
    /// The byte.
    package let rawValue: UInt8

    /// Any type, known or not.
    package init(rawValue: UInt8) { self.rawValue = rawValue }

    /// Client: the first frame of every connection.
    package static let hello = FrameType(rawValue: 0x01)
    /// Client: a batch.
    package static let batch = FrameType(rawValue: 0x02)
    /// Client: nothing more follows.
    package static let goodbye = FrameType(rawValue: 0x03)
    /// Agent: the answer to hello.
    package static let welcome = FrameType(rawValue: 0x81)
    /// Agent: stored up to a sequence.
    package static let ack = FrameType(rawValue: 0x82)
    /// Agent: not now; it closes.
    package static let throttle = FrameType(rawValue: 0x83)
    /// Agent: something was refused.
    package static let error = FrameType(rawValue: 0x84)

    /// The largest body that a frame of this type may have.
    package var bodyBytesMax: Int {
        switch self {
        case .hello, .welcome, .ack, .throttle, .error: WireLimits.smallBodyBytesMax
        default: WireLimits.bodyBytesMax
        }
    }

    /// Whether this version knows it.
    package var isKnown: Bool {
        switch self {
        case .hello, .batch, .goodbye, .welcome, .ack, .throttle, .error: true
        default: false
        }
    }

    /// Whether only the agent sends it.
    package var isFromAgent: Bool {
        switch self {
        case .welcome, .ack, .throttle, .error: true
        default: false
        }
    }
}

/// The twelve bytes before a frame's body.
package struct FrameHeader: Equatable, Sendable {
    /// The header's size on the wire.
    package static let byteCount = 12

    /// Bytes of the body.
    package var length: UInt32
    /// What the body is.
    package var type: FrameType
    /// The wire's version: 0.
    package var version: UInt8
    /// 0; a receiver ignores set bits.
    package var flags: UInt16
    /// CRC32C of the body.
    package var checksum: UInt32

    /// The header of a body of this version.
    package init(type: FrameType, body: RawSpan) {
        length = UInt32(body.byteCount)
        self.type = type
        version = 0
        flags = 0
        checksum = crc32c(body)
    }

    /// Reads the first twelve bytes, whatever they hold. Throws `truncated` if there are fewer.
    package init(decoding bytes: RawSpan) throws(BatchError) {
        var reader = ByteReader(bytes)
        length = try reader.uint32("frame length")
        type = FrameType(rawValue: try reader.uint8("frame type"))
        version = try reader.uint8("frame version")
        flags = try reader.uint16("frame flags")
        checksum = try reader.uint32("frame checksum")
    }

    /// Refuses another version, then a body above its limit: before anything is allocated for it.
    package func check() throws(BatchError) {
        if version != 0 { throw BatchError(.unsupportedVersion, at: 5, "frame version") }
        if Int(length) > type.bodyBytesMax {
            throw BatchError(.frameTooLarge, at: 0, "frame length")
        }
    }

    /// Refuses a body with another checksum.
    package func check(body: RawSpan) throws(BatchError) {
        if crc32c(body) != checksum { throw BatchError(.badChecksum, at: 8, "frame checksum") }
    }

    /// Writes the twelve bytes.
    package func write(to writer: inout ByteWriter) {
        writer.write(uint32: length)
        writer.write(uint8: type.rawValue)
        writer.write(uint8: version)
        writer.write(uint16: flags)
        writer.write(uint32: checksum)
    }
}

/// A whole frame with its body in memory.
package struct Frame: Equatable, Sendable {
    /// What the body is.
    package let type: FrameType
    /// The body, its checksum checked if it was read.
    package let body: [UInt8]

    /// A frame to send.
    package init(type: FrameType, body: [UInt8]) {
        self.type = type
        self.body = body
    }

    /// The frame as it stands on the wire.
    package var encoded: [UInt8] {
        var writer = ByteWriter(capacity: FrameHeader.byteCount + body.count)
        FrameHeader(type: type, body: body.span.bytes).write(to: &writer)
        writer.write(bytes: body)
        return writer.bytes
    }
}

/// Cuts a byte stream, or a spool file, into frames.
package struct FrameBuffer: Sendable {
    private var pending: [UInt8] = []
    private var start = 0

    /// An empty buffer.
    package init() {}

    /// The number of bytes that are no complete frame yet.
    package var pendingBytes: Int { pending.count - start }

    /// Takes bytes as they came.
    package mutating func append(_ bytes: some Sequence<UInt8>) {
        if start > 0 {
            pending.removeFirst(start)
            start = 0
        }
        pending.append(contentsOf: bytes)
    }

    /// The next complete frame, checked for version, size and checksum; nil if more bytes are
    /// needed. After a throw the stream cannot be followed any more.
    package mutating func next() throws(BatchError) -> Frame? {
        guard pendingBytes >= FrameHeader.byteCount else { return nil }
        let header = try FrameHeader(decoding: pending.span.bytes.extracting(start...))
        try header.check()
        let bodyStart = start + FrameHeader.byteCount
        let bodyEnd = bodyStart + Int(header.length)
        guard pending.count >= bodyEnd else { return nil }
        if header.type.isKnown {
            try header.check(body: pending.span.bytes.extracting(bodyStart..<bodyEnd))
        }
        let frame = Frame(type: header.type, body: [UInt8](pending[bodyStart..<bodyEnd]))
        start = bodyEnd
        return frame
    }
}
