import ByteCoding

// A reader whose errors say which field failed. The validator and the frames read through these.
extension ByteReader {
    @inline(__always)
    mutating func varint(_ what: StaticString) throws(BatchError) -> UInt64 {
        do { return try readVarint() } catch { throw BatchError(error, what) }
    }

    @inline(__always)
    mutating func zigzag(_ what: StaticString) throws(BatchError) -> Int64 {
        do { return try readZigzag() } catch { throw BatchError(error, what) }
    }

    @inline(__always)
    mutating func pass(_ count: Int, _ what: StaticString) throws(BatchError) {
        do { try skip(count) } catch { throw BatchError(error, what) }
    }

    @inline(__always)
    mutating func uint8(_ what: StaticString) throws(BatchError) -> UInt8 {
        do { return try readUInt8() } catch { throw BatchError(error, what) }
    }

    @inline(__always)
    mutating func uint16(_ what: StaticString) throws(BatchError) -> UInt16 {
        do { return try readUInt16() } catch { throw BatchError(error, what) }
    }

    @inline(__always)
    mutating func uint32(_ what: StaticString) throws(BatchError) -> UInt32 {
        do { return try readUInt32() } catch { throw BatchError(error, what) }
    }

    @inline(__always)
    mutating func uint64(_ what: StaticString) throws(BatchError) -> UInt64 {
        do { return try readUInt64() } catch { throw BatchError(error, what) }
    }

    @inline(__always)
    mutating func id128(_ what: StaticString) throws(BatchError) -> ID128 {
        do { return try readID128() } catch { throw BatchError(error, what) }
    }

    /// A count or length: a varint that must not be above `limit`.
    @inline(__always)
    mutating func count(_ limit: Int, _ what: StaticString) throws(BatchError) -> Int {
        let start = position
        let count = try varint(what)
        if count > UInt64(limit) { throw BatchError(.limitExceeded, at: start, what) }
        return Int(truncatingIfNeeded: count)
    }

    /// A length in bytes that must fit into what remains.
    @inline(__always)
    mutating func length(_ what: StaticString) throws(BatchError) -> Int {
        let start = position
        let length = try varint(what)
        if length > UInt64(remaining) { throw BatchError(.truncated, at: start, what) }
        return Int(truncatingIfNeeded: length)
    }

    /// A varint that must fit into 32 bits.
    @inline(__always)
    mutating func word(_ what: StaticString) throws(BatchError) -> UInt32 {
        let start = position
        let value = try varint(what)
        guard let word = UInt32(exactly: value) else {
            throw BatchError(.badValue, at: start, what)
        }
        return word
    }

    /// A text with its length before it, checked to be UTF-8.
    mutating func text(_ limit: Int, _ what: StaticString) throws(BatchError) -> String {
        let length = try count(limit, what)
        let start = position
        try pass(length, what)
        let text = bytes.extracting(start..<(start + length))
        guard isUTF8(text) else { throw BatchError(.badText, at: start, what) }
        return text.withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
    }
}
