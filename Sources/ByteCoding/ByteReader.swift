/// Why bytes could not be read.
@usableFromInline
package enum ByteError: Error, Equatable, Sendable {
    /// The bytes end within the field that begins at this position.
    case truncated(at: Int)
    /// The varint that begins at this position is longer than 10 bytes or above 64 bits.
    case badVarint(at: Int)
}

/// A checked reader of little-endian fields and varints (contrib/protocol/README.md).
///
/// Reads a range of a span; positions count from the span's start, so that a reader of a part
/// reports positions of the whole.
@usableFromInline
package struct ByteReader: ~Escapable {
    /// The whole span.
    @usableFromInline package let bytes: RawSpan
    /// Where the next field begins.
    @usableFromInline package var position: Int
    /// Where reading must stop; never beyond the span.
    @usableFromInline package private(set) var end: Int

    /// A reader of all bytes.
    @inlinable
    @_lifetime(copy bytes)
    package init(_ bytes: RawSpan) {
        self.bytes = bytes
        position = 0
        end = bytes.byteCount
    }

    /// A reader of a part. Traps if the range is not within the bytes.
    @inlinable
    @_lifetime(copy bytes)
    package init(_ bytes: RawSpan, in range: Range<Int>) {
        precondition(range.lowerBound >= 0 && range.upperBound <= bytes.byteCount)
        self.bytes = bytes
        position = range.lowerBound
        end = range.upperBound
    }

    /// The number of bytes not read yet.
    @inlinable
    package var remaining: Int { end - position }

    /// Whether everything is read.
    @inlinable
    package var isAtEnd: Bool { position == end }

    @inlinable
    mutating func advance(_ count: Int) throws(ByteError) -> Int {
        guard count >= 0, count <= end - position else {
            throw ByteError.truncated(at: position)
        }
        let start = position
        position = start + count
        return start
    }

    /// Reads one byte.
    @inlinable
    package mutating func readUInt8() throws(ByteError) -> UInt8 {
        let start = try advance(1)
        return bytes.unsafeLoad(fromByteOffset: start, as: UInt8.self)
    }

    /// Reads a little-endian 16-bit integer.
    @inlinable
    package mutating func readUInt16() throws(ByteError) -> UInt16 {
        let start = try advance(2)
        return UInt16(
            littleEndian: bytes.unsafeLoadUnaligned(fromByteOffset: start, as: UInt16.self))
    }

    /// Reads a little-endian 32-bit integer.
    @inlinable
    package mutating func readUInt32() throws(ByteError) -> UInt32 {
        let start = try advance(4)
        return UInt32(
            littleEndian: bytes.unsafeLoadUnaligned(fromByteOffset: start, as: UInt32.self))
    }

    /// Reads a little-endian 64-bit integer.
    @inlinable
    package mutating func readUInt64() throws(ByteError) -> UInt64 {
        let start = try advance(8)
        return UInt64(
            littleEndian: bytes.unsafeLoadUnaligned(fromByteOffset: start, as: UInt64.self))
    }

    /// Reads eight bytes as a word whose most significant byte is the first: an opaque id.
    @inlinable
    package mutating func readBigEndianUInt64() throws(ByteError) -> UInt64 {
        try readUInt64().byteSwapped
    }

    /// Reads a binary64, little-endian.
    @inlinable
    package mutating func readDouble() throws(ByteError) -> Double {
        Double(bitPattern: try readUInt64())
    }

    /// Reads sixteen opaque bytes.
    @inlinable
    package mutating func readID128() throws(ByteError) -> ID128 {
        let start = try advance(16)
        return ID128(bytes: bytes.extracting(start..<(start + 16)))
    }

    /// Reads an unsigned LEB128 of at most 64 bits; padded forms of up to 10 bytes are accepted.
    @inlinable
    package mutating func readVarint() throws(ByteError) -> UInt64 {
        if position < end {
            let byte = bytes.unsafeLoad(fromByteOffset: position, as: UInt8.self)
            if byte < 0x80 {
                position += 1
                return UInt64(byte)
            }
        }
        return try readLongVarint()
    }

    @usableFromInline
    mutating func readLongVarint() throws(ByteError) -> UInt64 {
        let start = position
        if end - start >= 8 {
            let word = UInt64(
                littleEndian: bytes.unsafeLoadUnaligned(fromByteOffset: start, as: UInt64.self))
            // The first byte without the continuation bit is the last: where there is one among the
            // eight, the seven bits of each are moved together without a loop.
            let ends = ~word & 0x8080_8080_8080_8080
            if ends != 0 {
                position = start + ends.trailingZeroBitCount / 8 + 1
                var value = word & (ends ^ (ends &- 1)) & 0x7F7F_7F7F_7F7F_7F7F
                value = value & 0x007F_007F_007F_007F | (value & 0x7F00_7F00_7F00_7F00) &>> 1
                value = value & 0x0000_3FFF_0000_3FFF | (value & 0x3FFF_0000_3FFF_0000) &>> 2
                return value & 0x0FFF_FFFF | (value & 0x0FFF_FFFF_0000_0000) &>> 4
            }
        }
        var value: UInt64 = 0
        var index = start
        var shift: UInt64 = 0
        while index < end {
            let byte = bytes.unsafeLoad(fromByteOffset: index, as: UInt8.self)
            if shift == 63, byte > 1 { throw ByteError.badVarint(at: start) }
            value |= UInt64(byte & 0x7F) &<< shift
            index += 1
            if byte < 0x80 {
                position = index
                return value
            }
            shift += 7
        }
        throw ByteError.truncated(at: start)
    }

    /// Reads a signed integer in zigzag form.
    @inlinable
    package mutating func readZigzag() throws(ByteError) -> Int64 {
        let value = try readVarint()
        return Int64(bitPattern: value &>> 1) ^ -Int64(bitPattern: value & 1)
    }

    /// Reads `count` bytes as a span of their own.
    @inlinable
    @_lifetime(copy self)
    package mutating func readSpan(_ count: Int) throws(ByteError) -> RawSpan {
        let start = try advance(count)
        return bytes.extracting(start..<(start + count))
    }

    /// Passes over `count` bytes.
    @inlinable
    package mutating func skip(_ count: Int) throws(ByteError) {
        _ = try advance(count)
    }

    /// Confines reading to the next `count` bytes. Returns the end to give to `leave`. Traps if
    /// there are fewer.
    @inlinable
    package mutating func enter(_ count: Int) -> Int {
        precondition(count >= 0 && count <= end - position)
        let outer = end
        end = position + count
        return outer
    }

    /// Passes over what is left of an entered part and goes on behind it.
    @inlinable
    package mutating func leave(to outer: Int) {
        precondition(outer >= end && outer <= bytes.byteCount)
        position = end
        end = outer
    }
}
