/// A streaming writer of JSON (RFC 8259) into bytes, without white space.
///
/// The caller gives a balanced sequence of calls; commas and colons are the writer's. Doubles that
/// JSON cannot hold become the strings `"NaN"`, `"Infinity"`, `"-Infinity"`; text that is not UTF-8
/// is repaired with U+FFFD.
package struct JSONWriter: Sendable {
    /// What is written so far.
    package private(set) var bytes: [UInt8] = []
    /// Whether the next value needs a comma before it.
    private var needsComma = false

    /// An empty writer.
    package init() {}

    /// What is written, as text.
    package var text: String { String(decoding: bytes, as: UTF8.self) }

    /// Forgets the content and keeps the memory.
    package mutating func removeAll() {
        bytes.removeAll(keepingCapacity: true)
        needsComma = false
    }

    /// Begins an object.
    package mutating func beginObject() { open(UInt8(ascii: "{")) }

    /// Ends an object.
    package mutating func endObject() { close(UInt8(ascii: "}")) }

    /// Begins an array.
    package mutating func beginArray() { open(UInt8(ascii: "[")) }

    /// Ends an array.
    package mutating func endArray() { close(UInt8(ascii: "]")) }

    /// Writes a member's name.
    package mutating func key(_ name: String) {
        string(name)
        bytes.append(UInt8(ascii: ":"))
        needsComma = false
    }

    /// Writes a member's name that needs no escapes.
    package mutating func key(literal name: StaticString) {
        separate()
        bytes.append(0x22)
        bytes.append(
            contentsOf: UnsafeBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount))
        bytes.append(0x22)
        bytes.append(UInt8(ascii: ":"))
        needsComma = false
    }

    /// Writes a string.
    package mutating func string(_ value: String) {
        separate()
        var value = value
        value.withUTF8 { quote($0) }
    }

    /// Writes a string from UTF-8, repaired if it is not.
    package mutating func string(utf8 value: RawSpan) {
        guard isUTF8(value) else {
            string(value.withUnsafeBytes { String(decoding: $0, as: UTF8.self) })
            return
        }
        separate()
        value.withUnsafeBytes { bytes in bytes.withMemoryRebound(to: UInt8.self) { quote($0) } }
    }

    /// Writes an integer as a number.
    package mutating func integer(_ value: some BinaryInteger) {
        separate()
        digits(value)
    }

    /// Writes an integer as a string, as protobuf's JSON does with 64 bits.
    package mutating func quoted(_ value: some BinaryInteger) {
        separate()
        bytes.append(0x22)
        digits(value)
        bytes.append(0x22)
    }

    private mutating func digits(_ value: some BinaryInteger) {
        if value < 0 { bytes.append(UInt8(ascii: "-")) }
        var rest = UInt64(value.magnitude)
        let start = bytes.count
        repeat {
            bytes.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10))
            rest /= 10
        } while rest > 0
        bytes[start...].reverse()
    }

    /// Writes bytes as a string of hexadecimal digits.
    package mutating func hexadecimal(_ value: RawSpan) {
        separate()
        bytes.append(0x22)
        for index in value.byteOffsets {
            let byte = value.unsafeLoad(fromByteOffset: index, as: UInt8.self)
            bytes.append(Hexadecimal.digit(byte >> 4))
            bytes.append(Hexadecimal.digit(byte & 0xF))
        }
        bytes.append(0x22)
    }

    /// Writes bytes as a string in base64, padded.
    package mutating func base64(_ value: RawSpan) {
        separate()
        bytes.append(0x22)
        Base64.append(value, to: &bytes, padded: true)
        bytes.append(0x22)
    }

    /// Writes a double in the shortest form that reads back equal.
    package mutating func double(_ value: Double) {
        if value.isFinite {
            separate()
            bytes.append(contentsOf: value.description.utf8)
        } else if value.isNaN {
            string("NaN")
        } else {
            string(value < 0 ? "-Infinity" : "Infinity")
        }
    }

    /// Writes `true` or `false`.
    package mutating func bool(_ value: Bool) {
        separate()
        bytes.append(contentsOf: (value ? "true" : "false").utf8)
    }

    /// Writes `null`.
    package mutating func null() {
        separate()
        bytes.append(contentsOf: "null".utf8)
    }

    /// Writes JSON that is already text: the caller answers for it.
    package mutating func raw(_ json: String) {
        separate()
        bytes.append(contentsOf: json.utf8)
    }

    /// Ends a line, for streams of one object a line.
    package mutating func newline() {
        bytes.append(0x0A)
        needsComma = false
    }

    private mutating func separate() {
        if needsComma { bytes.append(UInt8(ascii: ",")) }
        needsComma = true
    }

    private mutating func open(_ bracket: UInt8) {
        separate()
        bytes.append(bracket)
        needsComma = false
    }

    private mutating func close(_ bracket: UInt8) {
        bytes.append(bracket)
        needsComma = true
    }

    private mutating func quote(_ text: UnsafeBufferPointer<UInt8>) {
        bytes.append(0x22)
        escape(text)
        bytes.append(0x22)
    }

    /// Text that needs no escapes, which is nearly all, is copied in pieces.
    private mutating func escape(_ text: UnsafeBufferPointer<UInt8>) {
        var place = 0
        while place < text.count {
            let start = place
            while place < text.count, JSONWriter.isPlain(text[place]) { place += 1 }
            bytes.append(contentsOf: text[start..<place])
            while place < text.count, !JSONWriter.isPlain(text[place]) {
                escape(text[place])
                place += 1
            }
        }
    }

    @inline(__always)
    private static func isPlain(_ byte: UInt8) -> Bool {
        byte >= 0x20 && byte < 0x7F && byte != 0x22 && byte != 0x5C
    }

    private mutating func escape(_ byte: UInt8) {
        switch byte {
        case 0x22: bytes.append(contentsOf: [0x5C, 0x22])
        case 0x5C: bytes.append(contentsOf: [0x5C, 0x5C])
        case 0x0A: bytes.append(contentsOf: [0x5C, 0x6E])
        case 0x0D: bytes.append(contentsOf: [0x5C, 0x72])
        case 0x09: bytes.append(contentsOf: [0x5C, 0x74])
        case 0x00..<0x20, 0x7F: escape(UInt16(byte))
        case 0x80..<0xC0: continuation(byte)
        default: bytes.append(byte)
        }
    }

    /// JSON may hold them as they are, but a terminal acts on C1 controls (U+0080–U+009F), and marks of
    /// direction and line (U+200B–U+206F) make a line read as what it is not.
    private mutating func continuation(_ byte: UInt8) {
        let before = bytes.suffix(2)
        let low = UInt16(byte & 0x3F)
        if before.last == 0xC2, byte < 0xA0 {
            bytes.removeLast()
            escape(0x80 | low)
        } else if before.elementsEqual([0xE2, 0x80]), [0x0B, 0x0E, 0x0F].contains(low) {
            bytes.removeLast(2)
            escape(0x2000 | low)
        } else if before.elementsEqual([0xE2, 0x80]), (0x28...0x2E).contains(low) {
            bytes.removeLast(2)
            escape(0x2000 | low)
        } else if before.elementsEqual([0xE2, 0x81]), (0x20...0x2F).contains(low) {
            bytes.removeLast(2)
            escape(0x2040 | low)
        } else {
            bytes.append(byte)
        }
    }

    private mutating func escape(_ unit: UInt16) {
        bytes.append(contentsOf: [0x5C, 0x75])
        for shift in [12, 8, 4, 0] {
            bytes.append(Hexadecimal.digit(UInt8(truncatingIfNeeded: unit >> shift) & 0xF))
        }
    }
}
