package import ByteCoding

/// The random id of one run of one instrumented process; a fork takes a new one. Never zero.
package typealias ProducerID = ID128

/// A trace's id. All zero: none.
package typealias TraceID = ID128

/// A span's id: eight opaque bytes, held with the first byte most significant. Zero: none.
@usableFromInline
package struct SpanID: Hashable, Sendable, Comparable {
    /// The bytes as a big-endian word.
    @usableFromInline package let rawValue: UInt64

    /// An id from its bytes as a big-endian word.
    @inlinable
    package init(rawValue: UInt64) { self.rawValue = rawValue }

    /// A random id that is not zero.
    @inlinable
    package init(random generator: inout some RandomNumberGenerator) {
        rawValue = generator.next() | 1
    }

    /// The id of sixteen hexadecimal digits of either case, or nil.
    package init?(hex: some StringProtocol) {
        guard let word = Hexadecimal.word(Substring(hex).utf8) else { return nil }
        rawValue = word
    }

    /// Eight zero bytes: no span.
    @inlinable
    package static var zero: SpanID { SpanID(rawValue: 0) }

    /// Whether this is no span.
    @inlinable
    package var isZero: Bool { rawValue == 0 }

    /// Sixteen lower-case hexadecimal digits.
    package var hex: String { Hexadecimal.text(rawValue) }

    /// By the bytes, first to last.
    @inlinable
    package static func < (left: SpanID, right: SpanID) -> Bool { left.rawValue < right.rawValue }
}

extension SpanID: CustomStringConvertible {
    /// The hexadecimal text.
    @usableFromInline package var description: String { hex }
}
