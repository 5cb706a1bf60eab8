/// W3C Baggage: names and values that travel with a trace.
public struct Baggage: Sendable, Hashable {
    /// One member. Properties after the value (`;…`) are kept as they came.
    struct Member: Sendable, Hashable {
        var key: String
        var value: String
        var properties: String
    }

    /// W3C Baggage §3.3.2 asks for at least these; more is cut off, so that a child's environment
    /// stays bounded.
    static let membersMax = 64
    static let bytesMax = 8_192

    var members: [Member] = []

    /// No members.
    public init() {}

    /// What a `baggage` header or `BAGGAGE` variable says. Members that are not well-formed are left
    /// out: baggage is best effort, and a peer's mistake must not cost the trace.
    public init(header: String) {
        guard header.utf8.count <= Self.bytesMax else { return }
        for part in header.split(separator: ",") {
            guard members.count < Self.membersMax, let member = Self.member(part) else { continue }
            set(member)
        }
    }

    /// The value of a key, nil if it is not there; `nil` removes it.
    public subscript(key: String) -> String? {
        get { members.first { $0.key == key }?.value }
        set {
            guard let newValue else {
                members.removeAll { $0.key == key }
                return
            }
            guard Self.isToken(key) else { return }
            set(Member(key: key, value: newValue, properties: ""))
        }
    }

    /// No members at all.
    public var isEmpty: Bool { members.isEmpty }

    /// The header's value: members in order, values percent-encoded.
    public var header: String {
        var text = ""
        for member in members {
            let one = member.key + "=" + Self.encoded(member.value) + member.properties
            guard text.utf8.count + one.utf8.count + 1 <= Self.bytesMax else { continue }
            if !text.isEmpty { text += "," }
            text += one
        }
        return text
    }

    private mutating func set(_ member: Member) {
        if let place = members.firstIndex(where: { $0.key == member.key }) {
            members[place] = member
        } else if members.count < Self.membersMax {
            members.append(member)
        }
    }

    private static func member(_ text: Substring) -> Member? {
        let end = text.firstIndex(of: ";") ?? text.endIndex
        guard let equals = text[..<end].firstIndex(of: "=") else { return nil }
        let key = Text.trimmed(text[..<equals])
        guard isToken(key),
            let value = decoded(Text.trimmed(text[text.index(after: equals)..<end]))
        else { return nil }
        return Member(key: key, value: value, properties: String(text[end...]))
    }

    /// RFC 7230 `token`.
    private static func isToken(_ text: String) -> Bool {
        !text.isEmpty
            && text.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"):
                    true
                default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
                }
            }
    }

    /// Percent-encodes all but the `baggage-octet`s of W3C Baggage §3.2.1.1, and `%` itself.
    private static func encoded(_ value: String) -> String {
        var bytes: [UInt8] = []
        for byte in value.utf8 {
            switch byte {
            case 0x21, 0x23...0x24, 0x26...0x2B, 0x2D...0x3A, 0x3C...0x5B, 0x5D...0x7E:
                bytes.append(byte)
            default:
                let digits = Array("0123456789ABCDEF".utf8)
                bytes += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    private static func decoded(_ text: String) -> String? {
        var bytes: [UInt8] = []
        var rest = text.utf8.makeIterator()
        while let byte = rest.next() {
            guard byte == UInt8(ascii: "%") else {
                guard byte > 0x20, byte < 0x7F, byte != UInt8(ascii: "\"") else { return nil }
                bytes.append(byte)
                continue
            }
            guard let high = rest.next().flatMap(Self.digit),
                let low = rest.next().flatMap(Self.digit)
            else { return nil }
            bytes.append(high << 4 | low)
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    private static func digit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - 48
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - 87
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - 55
        default: nil
        }
    }
}

/// What the parsers of small texts share.
enum Text {
    /// Without spaces and tabs at either end.
    static func trimmed(_ text: some StringProtocol) -> String {
        let isBlank: (Character) -> Bool = { $0 == " " || $0 == "\t" }
        guard let first = text.firstIndex(where: { !isBlank($0) }),
            let last = text.lastIndex(where: { !isBlank($0) })
        else { return "" }
        return String(text[first...last])
    }

    /// ASCII letters in lower case.
    static func lowercased(_ text: String) -> String {
        String(
            decoding: text.utf8.map { (65...90).contains($0) ? $0 + 32 : $0 }, as: UTF8.self)
    }
}
