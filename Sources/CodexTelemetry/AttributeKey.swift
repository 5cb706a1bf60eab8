/// A name that the program's text fixes: an attribute's key, a span's or event's name.
///
/// Written as a literal. It is compared by its address first: within a batch a name costs one look
/// at a small table, not a hash of its bytes.
public struct AttributeKey: Sendable, Hashable, ExpressibleByStringLiteral {
    // Sound to share: both describe a literal, which lives as long as the process.
    @usableFromInline nonisolated(unsafe) let start: UnsafePointer<UInt8>
    @usableFromInline let count: Int

    /// The literal.
    @inlinable
    public init(stringLiteral text: StaticString) { self.init(text) }

    /// The literal. A `StaticString` of a single scalar without memory of its own is "?".
    @inlinable
    public init(_ text: StaticString) {
        let text: StaticString = text.hasPointerRepresentation ? text : "?"
        start = text.utf8Start
        count = text.utf8CodeUnitCount
    }

    /// The UTF-8 bytes.
    @usableFromInline
    var bytes: UnsafeBufferPointer<UInt8> { UnsafeBufferPointer(start: start, count: count) }

    /// The name as text.
    public var text: String { String(decoding: bytes, as: UTF8.self) }

    /// By content: two literals of the same text may have two addresses.
    @inlinable
    public static func == (a: AttributeKey, b: AttributeKey) -> Bool {
        a.count == b.count && (a.start == b.start || a.hasSameBytes(as: b))
    }

    @usableFromInline
    func hasSameBytes(as other: AttributeKey) -> Bool { bytes.elementsEqual(other.bytes) }

    /// By content.
    public func hash(into hasher: inout Hasher) {
        hasher.combine(bytes: UnsafeRawBufferPointer(bytes))
    }
}

/// An attribute's value, where one must be kept: metrics and rare calls. The low-level emit writes
/// values straight into the batch and needs none.
public enum AttributeValue: Sendable, Hashable {
    /// Text.
    case string(String)
    /// True or false.
    case bool(Bool)
    /// A signed integer.
    case int(Int64)
    /// A binary64.
    case double(Double)
    /// Any values, in order.
    case array([AttributeValue])
}

extension AttributeValue: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral,
    ExpressibleByFloatLiteral, ExpressibleByBooleanLiteral, ExpressibleByArrayLiteral
{
    /// Text.
    public init(stringLiteral value: String) { self = .string(value) }
    /// An integer.
    public init(integerLiteral value: Int64) { self = .int(value) }
    /// A binary64.
    public init(floatLiteral value: Double) { self = .double(value) }
    /// True or false.
    public init(booleanLiteral value: Bool) { self = .bool(value) }
    /// Values in order.
    public init(arrayLiteral elements: AttributeValue...) { self = .array(elements) }
}

/// A key and its value.
public struct Attribute: Sendable, Hashable {
    /// The key: any text.
    public var key: String
    /// The value.
    public var value: AttributeValue

    /// Both.
    public init(_ key: String, _ value: AttributeValue) {
        self.key = key
        self.value = value
    }

    /// Both, the key from the program's text.
    public init(_ key: AttributeKey, _ value: AttributeValue) {
        self.key = key.text
        self.value = value
    }
}
