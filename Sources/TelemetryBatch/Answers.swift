package import ByteCoding

/// The agent's answer to a hello that asked for answers (wire.md, "welcome").
package struct Welcome: Equatable, Sendable {
    static let fixedBytes = 56

    /// The largest body that the agent takes.
    package var bodyBytesMax: UInt32
    /// The log's id.
    package var logID: ID128
    /// The highest stored sequence of this producer and this peer's uid, 0 if none.
    package var storedSequence: UInt64
    /// Bytes of batches that the client may have in flight.
    package var windowBytes: UInt64
    /// The log offset up to which batches survive power loss.
    package var synced: UInt64

    /// A welcome to send.
    package init(
        bodyBytesMax: UInt32 = UInt32(WireLimits.bodyBytesMax), logID: ID128,
        storedSequence: UInt64, windowBytes: UInt64, synced: UInt64
    ) {
        self.bodyBytesMax = bodyBytesMax
        self.logID = logID
        self.storedSequence = storedSequence
        self.windowBytes = windowBytes
        self.synced = synced
    }

    /// Reads a body.
    package init(decoding body: RawSpan) throws(BatchError) {
        var reader = ByteReader(body)
        if try reader.uint16("welcome version") != 0 {
            throw BatchError(.unsupportedVersion, at: 0, "welcome version")
        }
        let fixed = Int(try reader.uint16("welcome fixed bytes"))
        if fixed < Welcome.fixedBytes { throw BatchError(.badValue, at: 2, "welcome fixed bytes") }
        if fixed > body.byteCount { throw BatchError(.truncated, at: 2, "welcome fixed bytes") }
        bodyBytesMax = try reader.uint32("welcome largest body")
        logID = try reader.id128("welcome log id")
        storedSequence = try reader.uint64("welcome stored sequence")
        windowBytes = try reader.uint64("welcome window")
        synced = try reader.uint64("welcome synced position")
    }

    /// The whole frame.
    package var frame: Frame {
        var writer = ByteWriter()
        writer.write(uint16: 0)
        writer.write(uint16: UInt16(Welcome.fixedBytes))
        writer.write(uint32: bodyBytesMax)
        writer.write(id: logID)
        writer.write(uint64: storedSequence)
        writer.write(uint64: windowBytes)
        writer.write(uint64: synced)
        writer.write(uint64: 0)
        return Frame(type: .welcome, body: writer.bytes)
    }
}

/// Every batch of the producer up to a sequence is dealt with (wire.md, "ack").
package struct Ack: Equatable, Sendable {
    /// The sequence.
    package var sequence: UInt64
    /// The log offset of the batch with that sequence, 0 if it was a duplicate or refused.
    package var offset: UInt64
    /// The log offset up to which batches survive power loss.
    package var synced: UInt64

    /// An ack to send.
    package init(sequence: UInt64, offset: UInt64, synced: UInt64) {
        self.sequence = sequence
        self.offset = offset
        self.synced = synced
    }

    /// Reads a body.
    package init(decoding body: RawSpan) throws(BatchError) {
        var reader = ByteReader(body)
        sequence = try reader.uint64("ack sequence")
        offset = try reader.uint64("ack offset")
        synced = try reader.uint64("ack synced position")
    }

    /// The whole frame.
    package var frame: Frame {
        var writer = ByteWriter()
        writer.write(uint64: sequence)
        writer.write(uint64: offset)
        writer.write(uint64: synced)
        return Frame(type: .ack, body: writer.bytes)
    }
}

/// Not now: the agent closes after it (wire.md, "throttle").
package struct Throttle: Equatable, Sendable {
    /// A code of the 0x20 group, or one that this version does not know.
    package var reason: UInt16
    /// Milliseconds to wait before connecting again.
    package var delayMilliseconds: UInt32

    /// A throttle to send.
    package init(_ reason: WireError, delayMilliseconds: UInt32) {
        self.reason = reason.rawValue
        self.delayMilliseconds = delayMilliseconds
    }

    /// Reads a body.
    package init(decoding body: RawSpan) throws(BatchError) {
        var reader = ByteReader(body)
        reason = try reader.uint16("throttle reason")
        try reader.pass(2, "throttle reserved")
        delayMilliseconds = try reader.uint32("throttle delay")
    }

    /// The whole frame.
    package var frame: Frame {
        var writer = ByteWriter()
        writer.write(uint16: reason)
        writer.write(uint16: 0)
        writer.write(uint32: delayMilliseconds)
        return Frame(type: .throttle, body: writer.bytes)
    }
}

/// Something was refused (wire.md, "error").
package struct ErrorFrame: Equatable, Sendable {
    /// A code of wire.md, or one that this version does not know.
    package var code: UInt16
    /// Whether the agent closes after it.
    package var isFatal: Bool
    /// The sequence of the refused batch, 0 if it is about no batch.
    package var sequence: UInt64
    /// What, where, what to do; at most 1,024 bytes.
    package var message: String

    /// An error to send. A message that is too long is cut at a character.
    package init(_ code: WireError, isFatal: Bool, sequence: UInt64 = 0, message: String) {
        self.code = code.rawValue
        self.isFatal = isFatal
        self.sequence = sequence
        var message = Substring(message)
        while message.utf8.count > WireLimits.messageBytesMax { message.removeLast() }
        self.message = String(message)
    }

    /// Reads a body.
    package init(decoding body: RawSpan) throws(BatchError) {
        var reader = ByteReader(body)
        code = try reader.uint16("error code")
        isFatal = try reader.uint16("error flags") & 1 != 0
        try reader.pass(4, "error reserved")
        sequence = try reader.uint64("error sequence")
        message = try reader.text(WireLimits.messageBytesMax, "error message")
    }

    /// The whole frame.
    package var frame: Frame {
        var writer = ByteWriter()
        writer.write(uint16: code)
        writer.write(uint16: isFatal ? 1 : 0)
        writer.write(uint32: 0)
        writer.write(uint64: sequence)
        writer.write(varint: UInt64(message.utf8.count))
        writer.write(utf8: message)
        return Frame(type: .error, body: writer.bytes)
    }
}
