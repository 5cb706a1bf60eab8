import ByteCoding

/// A reader of bytes that the validator has accepted: it cannot fail on them.
///
/// Every access is still checked by the array, so a disagreement with the validator, our own bug,
/// stops the program instead of reading outside.
struct TrustedReader {
    let bytes: [UInt8]
    var position: Int

    init(_ bytes: [UInt8], at position: Int) {
        self.bytes = bytes
        self.position = position
    }

    mutating func uint8() -> UInt8 {
        let byte = bytes[position]
        position += 1
        return byte
    }

    @inline(__always)
    mutating func varint() -> UInt64 {
        let byte = bytes[position]
        position += 1
        return byte < 0x80 ? UInt64(byte) : rest(of: byte)
    }

    @inline(never)
    private mutating func rest(of first: UInt8) -> UInt64 {
        var value = UInt64(first & 0x7F)
        var shift: UInt64 = 7
        while true {
            let byte = bytes[position]
            position += 1
            value |= UInt64(byte & 0x7F) &<< shift
            if byte < 0x80 { return value }
            shift += 7
        }
    }

    mutating func int() -> Int { Int(truncatingIfNeeded: varint()) }

    mutating func word() -> UInt32 { UInt32(truncatingIfNeeded: varint()) }

    mutating func zigzag() -> Int64 {
        let value = varint()
        return Int64(bitPattern: value &>> 1) ^ -Int64(bitPattern: value & 1)
    }

    /// A time as a difference modulo 2^64.
    mutating func time(from base: UInt64) -> UInt64 {
        base &+ UInt64(bitPattern: zigzag())
    }

    mutating func uint64() -> UInt64 {
        let start = position
        position += 8
        return bytes.span.bytes.unsafeLoadUnaligned(fromByteOffset: start, as: UInt64.self)
            .littleEndian
    }

    mutating func double() -> Double { Double(bitPattern: uint64()) }

    mutating func spanID() -> SpanID { SpanID(rawValue: uint64().byteSwapped) }

    mutating func text() -> TextRef { TextRef(index: word()) }

    mutating func skipValue() {
        switch uint8() {
        case ValueTag.string, ValueTag.integer, ValueTag.bytes: _ = varint()
        case ValueTag.double: position += 8
        case ValueTag.array: for _ in 0..<int() { skipValue() }
        case ValueTag.map: skipAttributes()
        default: break
        }
    }

    /// Passes over an attribute list; gives its entries' number and where they begin.
    @discardableResult
    mutating func skipAttributes() -> ListPlace {
        let place = ListPlace(count: int(), start: position)
        for _ in 0..<place.count {
            _ = varint()
            skipValue()
        }
        return place
    }

    mutating func skipEvent() {
        let bits = varint()
        // Time and name.
        _ = (varint(), varint())
        if bits & EventBit.attributes != 0 { skipAttributes() }
        if bits & EventBit.dropped != 0 { _ = varint() }
    }

    mutating func skipLink() {
        let bits = varint()
        // The trace, and the span's id.
        _ = varint()
        position += 8
        if bits & LinkBit.attributes != 0 { skipAttributes() }
        if bits & LinkBit.traceState != 0 { _ = varint() }
        if bits & LinkBit.flags != 0 { _ = varint() }
        if bits & LinkBit.dropped != 0 { _ = varint() }
    }

    mutating func skipBuckets() -> ListPlace {
        let place = ListPlace(count: int(), start: position)
        var left = place.count
        while left > 0 { left -= varint() == 0 ? int() + 1 : 1 }
        return place
    }
}

/// Where a counted list stands in a batch.
@usableFromInline
package struct ListPlace: BitwiseCopyable, Sendable {
    /// The number of entries.
    package internal(set) var count = 0
    /// Where the first begins.
    var start = 0

    /// Whether there are none.
    package var isEmpty: Bool { count == 0 }
}
