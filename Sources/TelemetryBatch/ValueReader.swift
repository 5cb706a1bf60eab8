import ByteCoding

/// A value in place, without what it refers to: for a codec that visits each value once.
@usableFromInline
package enum PlainValue: BitwiseCopyable, Sendable {
    /// Nothing set.
    case none
    /// A text.
    case string(TextRef)
    /// A truth value.
    case bool(Bool)
    /// A signed integer.
    case int(Int64)
    /// A binary64.
    case double(Double)
    /// Arbitrary bytes.
    case bytes(BytesRef)
    /// So many values follow.
    case array(Int)
    /// So many keys, each with its value, follow.
    case map(Int)
}

/// Reads keys and values of a validated batch one after the other: those of an array or a map stand where
/// they are written, between it and what follows it. Nothing is counted or kept alive per value.
///
/// Every access is checked by the span, so a disagreement with the validator, our own bug, stops the
/// program instead of reading outside.
@usableFromInline
package struct ValueReader: ~Escapable {
    @usableFromInline let bytes: RawSpan
    @usableFromInline var position: Int

    /// A reader of a list's entries, in the bytes of the list's batch.
    @_lifetime(copy bytes)
    package init(_ list: ListPlace, in bytes: RawSpan) {
        self.bytes = bytes
        position = list.start
    }

    /// A reader of a log event's body, in the bytes of the event's batch. Traps if it has none.
    @_lifetime(copy bytes)
    package init(bodyOf log: LogView, in bytes: RawSpan) {
        precondition(log.bodyStart >= 0, "a log event without a body")
        self.bytes = bytes
        position = log.bodyStart
    }

    @inlinable @inline(__always)
    mutating func varint() -> UInt64 {
        let byte = bytes.unsafeLoad(fromByteOffset: position, as: UInt8.self)
        position &+= 1
        if byte < 0x80 { return UInt64(byte) }
        return rest(of: byte)
    }

    @usableFromInline @inline(never)
    mutating func rest(of first: UInt8) -> UInt64 {
        var value = UInt64(first & 0x7F)
        var shift: UInt64 = 7
        while true {
            let byte = bytes.unsafeLoad(fromByteOffset: position, as: UInt8.self)
            position &+= 1
            value |= UInt64(byte & 0x7F) &<< shift
            if byte < 0x80 { return value }
            shift &+= 7
        }
    }

    /// The next key.
    @inlinable @inline(__always)
    package mutating func key() -> TextRef {
        TextRef(index: UInt32(truncatingIfNeeded: varint()))
    }

    /// The next value.
    @inlinable @inline(__always)
    package mutating func value() -> PlainValue {
        let tag = bytes.unsafeLoad(fromByteOffset: position, as: UInt8.self)
        position &+= 1
        switch tag {
        case ValueTag.string: return .string(key())
        case ValueTag.no: return .bool(false)
        case ValueTag.yes: return .bool(true)
        case ValueTag.integer:
            let value = varint()
            return .int(Int64(bitPattern: value &>> 1) ^ -Int64(bitPattern: value & 1))
        case ValueTag.double:
            let start = position
            position &+= 8
            return .double(
                Double(
                    bitPattern: UInt64(
                        littleEndian: bytes.unsafeLoadUnaligned(
                            fromByteOffset: start, as: UInt64.self))))
        case ValueTag.bytes: return .bytes(BytesRef(index: UInt32(truncatingIfNeeded: varint())))
        case ValueTag.array: return .array(Int(truncatingIfNeeded: varint()))
        case ValueTag.map: return .map(Int(truncatingIfNeeded: varint()))
        default: return .none
        }
    }
}
