/// Sixteen opaque bytes that name something: a producer, a trace, a log.
///
/// Held as two words whose most significant byte is the first, so that comparison and hexadecimal
/// text follow the bytes.
@usableFromInline
package struct ID128: Hashable, Sendable, Comparable {
    /// The first eight bytes, big-endian.
    @usableFromInline package let high: UInt64
    /// The last eight bytes, big-endian.
    @usableFromInline package let low: UInt64

    /// An id from its two words.
    @inlinable
    package init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// A random id that is not zero.
    @inlinable
    package init(random generator: inout some RandomNumberGenerator) {
        self.init(high: generator.next(), low: generator.next() | 1)
    }

    /// A random id from the system's generator.
    package static func random() -> ID128 {
        var generator = SystemRandomNumberGenerator()
        return ID128(random: &generator)
    }

    /// The id that the first sixteen bytes give. Traps if there are fewer.
    @inlinable
    package init(bytes: RawSpan) {
        high = UInt64(bigEndian: bytes.unsafeLoadUnaligned(fromByteOffset: 0, as: UInt64.self))
        low = UInt64(bigEndian: bytes.unsafeLoadUnaligned(fromByteOffset: 8, as: UInt64.self))
    }

    /// The id of thirty-two hexadecimal digits of either case, or nil.
    package init?(hex: some StringProtocol) {
        let text = Substring(hex)
        guard text.utf8.count == 32 else { return nil }
        let middle = text.utf8.index(text.startIndex, offsetBy: 16)
        guard let high = Hexadecimal.word(text[..<middle].utf8),
            let low = Hexadecimal.word(text[middle...].utf8)
        else { return nil }
        self.init(high: high, low: low)
    }

    /// Sixteen zero bytes.
    @inlinable
    package static var zero: ID128 { ID128(high: 0, low: 0) }

    /// Whether all bytes are zero.
    @inlinable
    package var isZero: Bool { high | low == 0 }

    /// Thirty-two lower-case hexadecimal digits.
    package var hex: String { Hexadecimal.text(high) + Hexadecimal.text(low) }

    /// By the bytes, first to last.
    @inlinable
    package static func < (left: ID128, right: ID128) -> Bool {
        left.high == right.high ? left.low < right.low : left.high < right.high
    }
}

extension ID128: CustomStringConvertible {
    /// The hexadecimal text.
    @usableFromInline package var description: String { hex }
}
