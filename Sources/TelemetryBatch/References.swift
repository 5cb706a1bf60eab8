/// A text in a batch's string table. Index 0 is the empty text.
@usableFromInline
package struct TextRef: Hashable, BitwiseCopyable, Sendable {
    /// Counted from 1; 0 is none.
    @usableFromInline package let index: UInt32

    /// A reference to an entry.
    @inlinable
    package init(index: UInt32) { self.index = index }

    /// The empty text.
    @inlinable
    package static var none: TextRef { TextRef(index: 0) }

    /// Whether this is the empty text by index; an entry may be empty too.
    @inlinable
    package var isNone: Bool { index == 0 }
}

/// Arbitrary bytes in a batch's string table. Index 0 is no bytes.
@usableFromInline
package struct BytesRef: Hashable, BitwiseCopyable, Sendable {
    /// Counted from 1; 0 is none.
    @usableFromInline package let index: UInt32

    /// A reference to an entry.
    @inlinable
    package init(index: UInt32) { self.index = index }
}
