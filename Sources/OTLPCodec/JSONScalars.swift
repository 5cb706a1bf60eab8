import ByteCoding

extension FieldKind {
    /// How a single value is written.
    var wireType: UInt64 {
        switch self {
        case .string, .bytes, .identifier, .message: WireType.bytes
        case .fixed64, .sfixed64, .double: WireType.fixed64
        case .fixed32: WireType.fixed32
        default: WireType.varint
        }
    }
}

// Numbers, truth values and enumerations.
extension JSONTranscoder {
    /// Writes the value that follows, without a tag.
    mutating func writeScalar(
        _ kind: FieldKind, _ reader: inout JSONReader
    ) throws(TranscodingError) {
        switch kind {
        case .bool:
            guard try reader.kind() == .bool else { throw .wrongType(at: reader.position) }
            do throws(JSONError) {
                output.write(uint8: try reader.bool() ? 1 : 0)
            } catch {
                throw .notJSON(error)
            }
        case .double: output.write(double: try reader.double())
        case .int64: output.write(varint: UInt64(bitPattern: try reader.integer(Int64.self)))
        case .uint64: output.write(varint: try reader.integer(UInt64.self))
        case .int32:
            output.write(varint: UInt64(bitPattern: Int64(try reader.integer(Int32.self))))
        case .uint32: output.write(varint: UInt64(try reader.integer(UInt32.self)))
        case .sint32: output.write(zigzag: Int64(try reader.integer(Int32.self)))
        case .fixed64: output.write(uint64: try reader.integer(UInt64.self))
        case .sfixed64: output.write(uint64: UInt64(bitPattern: try reader.integer(Int64.self)))
        case .fixed32: output.write(uint32: try reader.integer(UInt32.self))
        case .enumeration(let names): try writeEnumeration(names, &reader)
        case .string, .bytes, .identifier, .message:
            preconditionFailure("a list of these is not packed")
        }
    }

    private mutating func writeEnumeration(
        _ names: Enumeration, _ reader: inout JSONReader
    ) throws(TranscodingError) {
        let before = reader
        if try reader.kind() == .string {
            let text = try reader.text()
            let name = reader.bytes.extracting(text.range).withUnsafeBytes {
                String(decoding: $0, as: UTF8.self)
            }
            if let number = names.number(name) { return output.write(varint: UInt64(number)) }
            reader = before
        }
        output.write(varint: UInt64(bitPattern: Int64(try reader.integer(Int32.self))))
    }
}

extension JSONReader {
    /// The place of a number's text, which may stand in a string.
    private mutating func numberText() throws(TranscodingError) -> Range<Int> {
        switch try kind() {
        case .number:
            do { return try number() } catch { throw .notJSON(error) }
        case .string: return try text().range
        default: throw .wrongType(at: position)
        }
    }

    /// Reads an integer: a number or a string of one.
    mutating func integer<Value: FixedWidthInteger>(
        _: Value.Type
    ) throws(TranscodingError) -> Value {
        let range = try numberText()
        var place = range.lowerBound
        let isNegative =
            range.count > 1 && digit(place) == UInt8(ascii: "-") &- 0x30
        if isNegative { place += 1 }
        var value: Value = 0
        var overflows = range.isEmpty
        while place < range.upperBound {
            let found = digit(place)
            if found > 9 { return try integral(range) }
            let (shifted, tooLarge) = value.multipliedReportingOverflow(by: 10)
            let (next, outside) =
                isNegative
                ? shifted.subtractingReportingOverflow(Value(found))
                : shifted.addingReportingOverflow(Value(found))
            overflows = overflows || tooLarge || outside
            value = next
            place += 1
        }
        if overflows { throw .wrongType(at: range.lowerBound) }
        return value
    }

    @inline(__always)
    private func digit(_ place: Int) -> UInt8 {
        bytes.unsafeLoad(fromByteOffset: place, as: UInt8.self) &- 0x30
    }

    /// An integer that is written as `1.0` or `1e3`.
    private func integral<Value: FixedWidthInteger>(
        _ range: Range<Int>
    ) throws(TranscodingError) -> Value {
        if let double = double(range), let value = Value(exactly: double) { return value }
        throw .wrongType(at: range.lowerBound)
    }

    /// Reads a double: a number, a string of one, or the name of what is none.
    mutating func double() throws(TranscodingError) -> Double {
        let range = try numberText()
        if let value = double(range) { return value }
        throw .wrongType(at: range.lowerBound)
    }

    /// The double that a text of bounded length stands for.
    private func double(_ range: Range<Int>) -> Double? {
        if range.count > 1_024 { return nil }
        let text = bytes.extracting(range).withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
        switch text {
        case "NaN": return .nan
        case "Infinity": return .infinity
        case "-Infinity": return -.infinity
        default:
            // The standard library also knows "nan", "inf" and hexadecimal digits, which JSON does not.
            guard text.utf8.allSatisfy({ $0 < 0x3A || $0 | 0x20 == 0x65 }),
                let value = Double(text), value.isFinite
            else { return nil }
            return value
        }
    }
}

extension ByteWriter {
    /// Writes the bytes that hexadecimal digits of either case stand for. False if they do not.
    mutating func appendHexadecimal(_ digits: RawSpan) -> Bool {
        if digits.byteCount % 2 != 0 || digits.byteCount > 64 { return false }
        var place = 0
        while place < digits.byteCount {
            let first = digits.unsafeLoad(fromByteOffset: place, as: UInt8.self)
            let second = digits.unsafeLoad(fromByteOffset: place + 1, as: UInt8.self)
            guard let high = Hexadecimal.value(first), let low = Hexadecimal.value(second) else {
                return false
            }
            write(uint8: high << 4 | low)
            place += 2
        }
        return true
    }

    /// Writes the bytes that base64 stands for, of either alphabet, padded or not. False if it is none.
    mutating func appendBase64(_ text: RawSpan) -> Bool {
        var count = text.byteCount
        var padding = 0
        while count > 0, padding < 2,
            text.unsafeLoad(fromByteOffset: count - 1, as: UInt8.self) == UInt8(ascii: "=")
        {
            count -= 1
            padding += 1
        }
        if count % 4 == 1 || padding > 0 && (count + padding) % 4 != 0 { return false }
        var bits: UInt32 = 0
        var place = 0
        while place < count {
            let letter = text.unsafeLoad(fromByteOffset: place, as: UInt8.self)
            guard let sextet = ByteWriter.sextet(letter) else { return false }
            bits = bits << 6 | sextet
            place += 1
            if place % 4 == 0 {
                write(uint8: UInt8(truncatingIfNeeded: bits >> 16))
                write(uint8: UInt8(truncatingIfNeeded: bits >> 8))
                write(uint8: UInt8(truncatingIfNeeded: bits))
            }
        }
        switch count % 4 {
        case 2: write(uint8: UInt8(truncatingIfNeeded: bits >> 4))
        case 3:
            write(uint8: UInt8(truncatingIfNeeded: bits >> 10))
            write(uint8: UInt8(truncatingIfNeeded: bits >> 2))
        default: break
        }
        return true
    }

    private static func sextet(_ letter: UInt8) -> UInt32? {
        switch letter {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): UInt32(letter) - 65
        case UInt8(ascii: "a")...UInt8(ascii: "z"): UInt32(letter) - 71
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(letter) + 4
        case UInt8(ascii: "+"), UInt8(ascii: "-"): 62
        case UInt8(ascii: "/"), UInt8(ascii: "_"): 63
        default: nil
        }
    }
}
