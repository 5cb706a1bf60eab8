/// Where a TOML document's tables and keys stand, and in which lines. No values: those are somebody else's.
///
/// It follows TOML 1.0, and lets inline tables go over several lines. What it does not understand is an error, never
/// a guess: whose document is no TOML does not want it changed, but told.
package struct TOMLOutline: Sendable {
    /// What a statement is.
    package enum Kind: Sendable, Equatable {
        /// `[a.b]`
        case table
        /// `[[a.b]]`
        case arrayElement
        /// `a.b = …`; the bytes of its value.
        case pair(value: Range<Int>)
    }

    /// A table's header, or a key and its value.
    package struct Statement: Sendable, Equatable {
        /// What it is.
        package let kind: Kind
        /// A table's name, or a key as it is written: relative to its table.
        package let key: [String]
        /// The lines that it takes, from 0.
        package let lines: Range<Int>
    }

    /// What is not understood, and in which line, from 1.
    package struct Problem: Error, Sendable, Equatable {
        /// From 1.
        package let line: Int
        /// A clause.
        package let what: String
    }

    /// The document.
    package let bytes: [UInt8]
    /// In the document's order.
    package private(set) var statements: [Statement] = []

    private var names = TOMLNames()
    private var position = 0
    private var line = 0

    /// Reads a document.
    package init(_ bytes: [UInt8]) throws(Problem) {
        self.bytes = bytes
        guard String(validating: bytes, as: UTF8.self) != nil else {
            throw Problem(line: 1, what: "the file is not UTF-8")
        }
        while position < bytes.count {
            skipBlanks()
            switch current {
            case nil: break
            case UInt8(ascii: "\n"): newLine()
            case UInt8(ascii: "\r"), UInt8(ascii: "#"): try endOfLine()
            case UInt8(ascii: "["): try header()
            default: try pair()
            }
        }
    }

    // MARK: Statements

    private var current: UInt8? { position < bytes.count ? bytes[position] : nil }

    private func problem(_ what: String) -> Problem { Problem(line: line + 1, what: what) }

    private mutating func newLine() {
        position += 1
        line += 1
    }

    private mutating func skipBlanks() {
        while let byte = current, byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") {
            position += 1
        }
    }

    /// Blanks, a comment, the line's end: nothing else may follow a statement.
    private mutating func endOfLine() throws(Problem) {
        skipBlanks()
        if current == UInt8(ascii: "#") { skipComment() }
        if current == UInt8(ascii: "\r") { position += 1 }
        if current == nil { return }
        guard current == UInt8(ascii: "\n") else {
            throw problem("something follows where the line should end")
        }
        newLine()
    }

    private mutating func skipComment() {
        while let byte = current, byte != UInt8(ascii: "\n"), byte != UInt8(ascii: "\r") {
            position += 1
        }
    }

    private mutating func header() throws(Problem) {
        let first = line
        position += 1
        let isArray = current == UInt8(ascii: "[")
        if isArray { position += 1 }
        let key = try dottedKey()
        for _ in 0..<(isArray ? 2 : 1) {
            guard current == UInt8(ascii: "]") else { throw problem("a table's name has no end") }
            position += 1
        }
        if let wrong = names.takeHeader(key, isArray: isArray) { throw problem(wrong) }
        statements.append(
            Statement(
                kind: isArray ? .arrayElement : .table, key: key, lines: first..<first + 1))
        try endOfLine()
    }

    private mutating func pair() throws(Problem) {
        let first = line
        let key = try dottedKey()
        if let wrong = names.takePair(key) { throw problem(wrong) }
        let start = try valueStart()
        try value(depth: 0)
        let end = position
        let last = line
        try endOfLine()
        statements.append(
            Statement(
                kind: .pair(value: start..<end), key: key, lines: first..<last + 1))
    }

    private mutating func valueStart() throws(Problem) -> Int {
        guard current == UInt8(ascii: "=") else { throw problem("a key has no value") }
        position += 1
        skipBlanks()
        return position
    }

    private mutating func dottedKey() throws(Problem) -> [String] {
        var parts: [String] = []
        while true {
            skipBlanks()
            parts.append(try keyPart())
            skipBlanks()
            guard current == UInt8(ascii: ".") else { return parts }
            position += 1
        }
    }

    private mutating func keyPart() throws(Problem) -> String {
        let start = position
        if let quote = current, quote == UInt8(ascii: "\"") || quote == UInt8(ascii: "'") {
            try oneLineString(quote)
            let inner = bytes[start + 1..<position - 1]
            if quote == UInt8(ascii: "\""), inner.contains(UInt8(ascii: "\\")) {
                throw problem("a key with an escape")
            }
            return String(decoding: inner, as: UTF8.self)
        }
        while let byte = current, Self.isBare(byte) { position += 1 }
        guard position > start else { throw problem("no key") }
        return String(decoding: bytes[start..<position], as: UTF8.self)
    }

    private static func isBare(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"):
            true
        default: false
        }
    }

    // MARK: Values

    /// Nesting beyond it is refused.
    private static let depthMax = 64

    private mutating func value(depth: Int) throws(Problem) {
        guard depth <= Self.depthMax else { throw problem("more than \(Self.depthMax) brackets") }
        switch current {
        case UInt8(ascii: "\""), UInt8(ascii: "'"): try string()
        case UInt8(ascii: "["): try array(depth)
        case UInt8(ascii: "{"): try inlineTable(depth)
        default:
            let start = position
            // Numbers, booleans and dates; a date may have a blank in it.
            while let byte = current, !"\n\r#,]}".utf8.contains(byte) { position += 1 }
            while position > start, bytes[position - 1] == UInt8(ascii: " ") { position -= 1 }
            if position == start { throw problem("a key has no value") }
            let text = String(decoding: bytes[start..<position], as: UTF8.self)
            guard TOMLScalar.isOne(text) else {
                throw problem(
                    "a value that is neither a number nor a date, true or false: a text has quotation marks"
                )
            }
        }
    }

    private mutating func array(_ depth: Int) throws(Problem) {
        position += 1
        repeat {
            skipSpace()
            if current == UInt8(ascii: "]") { break }
            guard current != nil else { throw problem("a bracket is not closed") }
            try value(depth: depth + 1)
        } while try another(before: UInt8(ascii: "]"))
        position += 1
    }

    private mutating func inlineTable(_ depth: Int) throws(Problem) {
        position += 1
        var inner = TOMLNames()
        repeat {
            skipSpace()
            if current == UInt8(ascii: "}") { break }
            guard current != nil else { throw problem("a bracket is not closed") }
            if let wrong = inner.takePair(try dottedKey()) { throw problem(wrong) }
            _ = try valueStart()
            try value(depth: depth + 1)
        } while try another(before: UInt8(ascii: "}"))
        position += 1
    }

    /// Behind a value in brackets: whether there is a comma, else the bracket's end.
    private mutating func another(before end: UInt8) throws(Problem) -> Bool {
        skipSpace()
        switch current {
        case UInt8(ascii: ","):
            position += 1
            return true
        case end: return false
        case nil: throw problem("a bracket is not closed")
        case UInt8(ascii: "]"), UInt8(ascii: "}"): throw problem("brackets do not match")
        default: throw problem("two values in brackets without a comma between them")
        }
    }

    /// Blanks, ends of lines and comments, which are allowed in brackets.
    private mutating func skipSpace() {
        while let byte = current {
            switch byte {
            case UInt8(ascii: "#"): skipComment()
            case UInt8(ascii: "\n"): newLine()
            case UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\r"): position += 1
            default: return
            }
        }
    }

    private mutating func string() throws(Problem) {
        let quote = bytes[position]
        guard bytes[position...].prefix(3).elementsEqual([quote, quote, quote]) else {
            return try oneLineString(quote)
        }
        position += 3
        while let byte = current {
            if byte == UInt8(ascii: "\\"), quote == UInt8(ascii: "\"") {
                try escape(mayEndLine: true)
            } else if bytes[position...].prefix(3).elementsEqual([quote, quote, quote]) {
                position += 3
                // Up to two quotes may stand before the three that end it.
                for _ in 0..<2 where current == quote { position += 1 }
                return
            } else if byte == UInt8(ascii: "\n") {
                newLine()
            } else {
                position += 1
            }
        }
        throw problem("a string is not closed")
    }

    private mutating func oneLineString(_ quote: UInt8) throws(Problem) {
        position += 1
        while let byte = current, byte != UInt8(ascii: "\n") {
            if byte == UInt8(ascii: "\\"), quote == UInt8(ascii: "\"") {
                try escape(mayEndLine: false)
                continue
            }
            position += 1
            if byte == quote { return }
            if byte < 0x20, byte != UInt8(ascii: "\t"), byte != UInt8(ascii: "\r") {
                throw problem("a control character in a string")
            }
        }
        throw problem("a string is not closed")
    }

    /// A backslash and what it stands with.
    private mutating func escape(mayEndLine: Bool) throws(Problem) {
        position += 1
        guard let byte = current else { throw problem("a string is not closed") }
        let digits = [UInt8(ascii: "x"): 2, UInt8(ascii: "u"): 4, UInt8(ascii: "U"): 8][byte]
        if let digits {
            let code = String(decoding: bytes[(position + 1)...].prefix(digits), as: UTF8.self)
            guard code.utf8.count == digits, let value = UInt32(code, radix: 16),
                Unicode.Scalar(value) != nil
            else { throw problem("a backslash with a code that is no character's") }
            position += 1 + digits
        } else if "btnfre\"\\".utf8.contains(byte) {
            position += 1
        } else {
            // A backslash at a line's end takes what is blank behind it away.
            let end = bytes[position...].first { ![0x20, 0x09, 0x0D].contains($0) }
            guard mayEndLine, end == UInt8(ascii: "\n") else {
                throw problem(
                    "a backslash that begins nothing: write two, or '' as quotation marks")
            }
        }
    }
}
