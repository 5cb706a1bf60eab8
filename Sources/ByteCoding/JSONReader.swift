/// Why bytes are not JSON.
@usableFromInline
package enum JSONError: Error, Equatable, Sendable {
    /// Something else than the grammar allows (RFC 8259) stands here, or the end.
    case syntax(at: Int)
    /// Objects and arrays are nested deeper than the reader follows.
    case tooDeep(at: Int)

    /// Where in the bytes.
    package var position: Int {
        switch self {
        case .syntax(let position), .tooDeep(let position): position
        }
    }
}

/// What a value is.
package enum JSONKind: Sendable {
    /// Key and value pairs.
    case object
    /// Values.
    case array
    /// Text.
    case string
    /// Decimal digits.
    case number
    /// `true` or `false`.
    case bool
    /// `null`.
    case null
}

/// A string in place: what stands between its quotes.
package struct JSONText: Sendable {
    /// Where.
    package let range: Range<Int>
    /// Whether it is not what it says: see `JSONReader.unescape`.
    package let hasEscapes: Bool
}

/// A reader of JSON in place, value by value: whoever reads decides what comes next, and nothing is built.
///
/// Takes hostile bytes: never reads past them, follows no nesting deeper than its limit, and allocates
/// nothing. Text is not checked to be UTF-8.
package struct JSONReader: ~Escapable {
    /// The whole text.
    package let bytes: RawSpan
    /// Where reading goes on.
    package private(set) var position = 0
    /// How many more objects and arrays may be entered.
    private var depthLeft: Int
    /// Whether the object or array has had no member yet.
    private var isFirst = true

    /// A reader of a text. `depthMax`: objects and arrays inside one another.
    @_lifetime(copy bytes)
    package init(_ bytes: RawSpan, depthMax: Int) {
        self.bytes = bytes
        depthLeft = depthMax
    }

    @inline(__always)
    private func byte(_ position: Int) -> UInt8 {
        bytes.unsafeLoad(fromByteOffset: position, as: UInt8.self)
    }

    /// The next byte that is not white space; not passed over.
    @inline(__always)
    private mutating func next() throws(JSONError) -> UInt8 {
        while position < bytes.byteCount {
            let found = byte(position)
            if found > 0x20 { return found }
            switch found {
            case 0x20, 0x0A, 0x0D, 0x09: position &+= 1
            default: throw .syntax(at: position)
            }
        }
        throw .syntax(at: position)
    }

    @inline(__always)
    private mutating func expect(_ wanted: UInt8) throws(JSONError) {
        if try next() != wanted { throw .syntax(at: position) }
        position &+= 1
    }

    // MARK: Values

    /// What the next value is; it is not passed over.
    package mutating func peek() throws(JSONError) -> JSONKind {
        switch try next() {
        case UInt8(ascii: "{"): return .object
        case UInt8(ascii: "["): return .array
        case UInt8(ascii: "\""): return .string
        case UInt8(ascii: "t"), UInt8(ascii: "f"): return .bool
        case UInt8(ascii: "n"): return .null
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return .number
        default: throw .syntax(at: position)
        }
    }

    /// Enters an object: `nextKey` gives its members.
    package mutating func enterObject() throws(JSONError) { try enter(UInt8(ascii: "{")) }

    /// Enters an array: `nextElement` tells of its values.
    package mutating func enterArray() throws(JSONError) { try enter(UInt8(ascii: "[")) }

    private mutating func enter(_ bracket: UInt8) throws(JSONError) {
        try expect(bracket)
        if depthLeft == 0 { throw .tooDeep(at: position - 1) }
        depthLeft -= 1
        isFirst = true
    }

    /// The key of the object's next member, whose value must be read next; nil at the object's end, which
    /// is left.
    package mutating func nextKey() throws(JSONError) -> JSONText? {
        guard try goOn(UInt8(ascii: "}")) else { return nil }
        let key = try string()
        try expect(UInt8(ascii: ":"))
        return key
    }

    /// Whether the array has another value, which must be read next; at its end it is left.
    package mutating func nextElement() throws(JSONError) -> Bool {
        try goOn(UInt8(ascii: "]"))
    }

    private mutating func goOn(_ bracket: UInt8) throws(JSONError) -> Bool {
        let found = try next()
        if found == bracket {
            position &+= 1
            depthLeft += 1
            isFirst = false
            return false
        }
        if !isFirst {
            if found != UInt8(ascii: ",") { throw .syntax(at: position) }
            position &+= 1
        }
        isFirst = false
        return true
    }

    /// Reads a string.
    package mutating func string() throws(JSONError) -> JSONText {
        try expect(UInt8(ascii: "\""))
        let start = position
        var hasEscapes = false
        while true {
            passPlainText()
            guard position < bytes.byteCount else { throw .syntax(at: position) }
            switch byte(position) {
            case UInt8(ascii: "\""):
                position &+= 1
                isFirst = false
                return JSONText(range: start..<(position - 1), hasEscapes: hasEscapes)
            case UInt8(ascii: "\\"):
                hasEscapes = true
                try passEscape()
            default: throw .syntax(at: position)
            }
        }
    }

    /// Goes on to the next quote, backslash or control character, eight bytes a step.
    @inline(__always)
    private mutating func passPlainText() {
        let ones: UInt64 = 0x0101_0101_0101_0101
        let highs: UInt64 = 0x8080_8080_8080_8080
        while position &+ 8 <= bytes.byteCount {
            let word = bytes.unsafeLoadUnaligned(fromByteOffset: position, as: UInt64.self)
            let quotes = word ^ (ones &* 0x22)
            let slashes = word ^ (ones &* 0x5C)
            // A byte below a bound borrows from the bit above it; bytes from 0x80 on are plain.
            let found =
                ((quotes &- ones) & ~quotes | (slashes &- ones) & ~slashes
                    | (word &- ones &* 0x20) & ~word) & highs
            if found != 0 { break }
            position &+= 8
        }
        while position < bytes.byteCount {
            let found = byte(position)
            if found == 0x22 || found == 0x5C || found < 0x20 { return }
            position &+= 1
        }
    }

    private mutating func passEscape() throws(JSONError) {
        guard position &+ 1 < bytes.byteCount else { throw .syntax(at: position) }
        switch byte(position + 1) {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"),
            UInt8(ascii: "f"), UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
            position &+= 2
        case UInt8(ascii: "u"):
            guard unit(position) != nil else { throw .syntax(at: position) }
            position &+= 6
        default: throw .syntax(at: position)
        }
    }

    /// The UTF-16 unit that `\uXXXX` at a place gives.
    private func unit(_ place: Int) -> UInt32? {
        guard place + 6 <= bytes.byteCount, byte(place) == UInt8(ascii: "\\"),
            byte(place + 1) == UInt8(ascii: "u")
        else { return nil }
        var unit: UInt32 = 0
        for offset in 2..<6 {
            guard let digit = Hexadecimal.value(byte(place + offset)) else { return nil }
            unit = unit << 4 | UInt32(digit)
        }
        return unit
    }

    /// Writes a string's text in UTF-8. Half of a surrogate pair becomes U+FFFD. Returns whether one did.
    @discardableResult
    package func unescape(_ text: JSONText, into output: inout ByteWriter) -> Bool {
        var isRepaired = false
        var place = text.range.lowerBound
        var plain = place
        while place < text.range.upperBound {
            if byte(place) != UInt8(ascii: "\\") {
                place &+= 1
                continue
            }
            output.write(bytes: bytes.extracting(plain..<place))
            let letter = byte(place + 1)
            if letter == UInt8(ascii: "u") {
                place = writeUnits(place, &output, &isRepaired)
            } else {
                output.write(uint8: JSONReader.escaped(letter))
                place += 2
            }
            plain = place
        }
        output.write(bytes: bytes.extracting(plain..<place))
        return isRepaired
    }

    private static func escaped(_ letter: UInt8) -> UInt8 {
        switch letter {
        case UInt8(ascii: "b"): 0x08
        case UInt8(ascii: "f"): 0x0C
        case UInt8(ascii: "n"): 0x0A
        case UInt8(ascii: "r"): 0x0D
        case UInt8(ascii: "t"): 0x09
        default: letter
        }
    }

    /// Writes the character of one `\uXXXX`, or of two that belong together. Returns where they end.
    private func writeUnits(
        _ place: Int, _ output: inout ByteWriter, _ isRepaired: inout Bool
    ) -> Int {
        let first = unit(place) ?? 0xFFFD
        var end = place + 6
        var scalar = Unicode.Scalar(first)
        if first & 0xFC00 == 0xD800, let second = unit(end), second & 0xFC00 == 0xDC00 {
            scalar = Unicode.Scalar(0x1_0000 + (first & 0x3FF) << 10 + (second & 0x3FF))
            end += 6
        }
        if scalar == nil { isRepaired = true }
        for byte in UTF8.encode(scalar ?? "\u{FFFD}") ?? UTF8.encodedReplacementCharacter {
            output.write(uint8: byte)
        }
        return end
    }

    /// Reads a number. Returns where its text stands.
    package mutating func number() throws(JSONError) -> Range<Int> {
        _ = try next()
        let start = position
        if byte(position) == UInt8(ascii: "-") { position += 1 }
        let digits = position
        try passDigits()
        if byte(digits) == UInt8(ascii: "0"), position > digits + 1 { throw .syntax(at: digits) }
        if position < bytes.byteCount, byte(position) == UInt8(ascii: ".") {
            position += 1
            try passDigits()
        }
        if position < bytes.byteCount, byte(position) | 0x20 == UInt8(ascii: "e") {
            position += 1
            if position < bytes.byteCount,
                byte(position) == UInt8(ascii: "+") || byte(position) == UInt8(ascii: "-")
            {
                position += 1
            }
            try passDigits()
        }
        isFirst = false
        return start..<position
    }

    private mutating func passDigits() throws(JSONError) {
        let start = position
        while position < bytes.byteCount, byte(position) &- 0x30 < 10 { position &+= 1 }
        if position == start { throw .syntax(at: position) }
    }

    /// Reads `true` or `false`.
    package mutating func bool() throws(JSONError) -> Bool {
        let isTrue = try next() == UInt8(ascii: "t")
        try pass(isTrue ? "true" : "false")
        return isTrue
    }

    /// Reads `null`.
    package mutating func null() throws(JSONError) { try pass("null") }

    private mutating func pass(_ word: StaticString) throws(JSONError) {
        _ = try next()
        let start = position
        for index in 0..<word.utf8CodeUnitCount {
            guard position < bytes.byteCount, byte(position) == word.utf8Start[index] else {
                throw .syntax(at: start)
            }
            position += 1
        }
        isFirst = false
    }

    /// Passes over a value, whatever it is. Returns whether it held anything: `null`, `[]` and `{}` do not.
    @discardableResult
    package mutating func skipValue() throws(JSONError) -> Bool {
        switch try peek() {
        case .object:
            try enterObject()
            var holdsAny = false
            while try nextKey() != nil {
                holdsAny = true
                try skipValue()
            }
            return holdsAny
        case .array:
            try enterArray()
            var holdsAny = false
            while try nextElement() {
                holdsAny = true
                try skipValue()
            }
            return holdsAny
        case .string: _ = try string()
        case .number: _ = try number()
        case .bool: _ = try bool()
        case .null:
            try null()
            return false
        }
        return true
    }

    /// Sees that nothing but white space follows.
    package mutating func end() throws(JSONError) {
        while position < bytes.byteCount {
            let found = byte(position)
            guard found == 0x20 || found == 0x0A || found == 0x0D || found == 0x09 else {
                throw .syntax(at: position)
            }
            position += 1
        }
    }
}
