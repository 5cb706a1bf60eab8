import ByteCoding

/// Fields of one number in a message: where the first begins, and how many there are. They are mostly
/// written together, but need not be.
struct FieldRun {
    var start = 0
    var count = 0

    mutating func note(_ tagPosition: Int) {
        if count == 0 { start = tagPosition }
        count &+= 1
    }
}

/// Wire types of the encoding.
enum WireType {
    static let varint: UInt64 = 0
    static let fixed64: UInt64 = 1
    static let bytes: UInt64 = 2
    static let fixed32: UInt64 = 5
}

extension ByteReader {
    /// The length of a field and its content's place; the content is passed over.
    @inline(__always)
    mutating func readRange() throws(ByteError) -> Range<Int> {
        let length = try readLength()
        let start = position
        try skip(length)
        return start..<(start &+ length)
    }

    /// A length that fits into what remains.
    @inline(__always)
    mutating func readLength() throws(ByteError) -> Int {
        let start = position
        let length = try readVarint()
        if length > UInt64(remaining) { throw ByteError.truncated(at: start) }
        return Int(truncatingIfNeeded: length)
    }

    /// Confines reading to a field's content. Returns the end to give to `leave`.
    @inline(__always)
    mutating func enterField() throws(ByteError) -> Int { enter(try readLength()) }

    /// A 32-bit integer, which the encoding writes as a varint.
    @inline(__always)
    mutating func readWord() throws(ByteError) -> UInt32 {
        UInt32(truncatingIfNeeded: try readVarint())
    }

    /// Passes over a field's content, by its tag. Groups, which OTLP never had, are malformed.
    mutating func skipField(_ tag: UInt64) throws(ByteError) {
        switch tag & 7 {
        case WireType.varint: _ = try readVarint()
        case WireType.fixed64: try skip(8)
        case WireType.bytes: try skip(try readLength())
        case WireType.fixed32: try skip(4)
        default: throw ByteError.badVarint(at: position)
        }
        // A field number of 0.
        if tag < 8 { throw ByteError.badVarint(at: position) }
    }
}

/// Identifiers as they are read: a wrong length is found before anything is written.
struct ReadID {
    var high: UInt64 = 0
    var low: UInt64 = 0
    var isWrong = false

    /// Reads 16 bytes, or none.
    static func trace(_ reader: inout ByteReader) throws(ByteError) -> ReadID {
        let length = try reader.readLength()
        if length == 16 {
            return ReadID(
                high: try reader.readBigEndianUInt64(), low: try reader.readBigEndianUInt64())
        }
        try reader.skip(length)
        return ReadID(isWrong: length != 0)
    }

    /// Reads 8 bytes, or none.
    static func span(_ reader: inout ByteReader) throws(ByteError) -> ReadID {
        let length = try reader.readLength()
        if length == 8 { return ReadID(low: try reader.readBigEndianUInt64()) }
        try reader.skip(length)
        return ReadID(isWrong: length != 0)
    }
}
