import Synchronization

/// A text that a program uses again and again: an attribute's key, a span's name.
///
/// Registered once for the whole process under a small number, by which a `BatchBuilder` finds its
/// place in the batch's string table without looking at the text.
@usableFromInline
package struct KnownText: Hashable, @unchecked Sendable {
    // @unchecked: the pointer is to bytes that are never changed and never freed.

    /// The number, or `idsMax` and above for a text that came after the registry was full.
    @usableFromInline let id: Int
    @usableFromInline let start: UnsafePointer<UInt8>
    @usableFromInline let count: Int

    /// The number of texts that get a number; later ones are looked up by their bytes.
    @usableFromInline package static let idsMax = 4_096

    /// Registers a literal. The same text gets the same number. Takes a lock: do it once.
    package init(_ literal: StaticString) {
        // A program's literals are finite, so that this always finds room.
        self = KnownText.register("\(literal)", limit: .max)!
    }

    /// Registers a text, or gives nil if the registry is full: its bytes are kept for ever, so
    /// their number is bounded.
    package init?(registering text: String) {
        guard let found = KnownText.register(text, limit: KnownText.idsMax) else { return nil }
        self = found
    }

    /// The text.
    package var text: String {
        String(decoding: UnsafeBufferPointer(start: start, count: count), as: UTF8.self)
    }

    @inlinable
    var utf8: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: start, count: count) }

    /// By number where there is one: equal texts have equal numbers.
    @inlinable
    package static func == (left: KnownText, right: KnownText) -> Bool { left.start == right.start }

    /// By number where there is one.
    @inlinable
    package func hash(into hasher: inout Hasher) { hasher.combine(start) }

    // Guards the texts by their UTF-8.
    private static let registry = Mutex<[String: KnownText]>([:])

    private static func register(_ text: String, limit: Int) -> KnownText? {
        registry.withLock { known in
            if let found = known[text] { return found }
            if known.count >= limit { return nil }
            let bytes = Array(text.utf8)
            let copy = UnsafeMutablePointer<UInt8>.allocate(capacity: max(bytes.count, 1))
            copy.initialize(from: bytes, count: bytes.count)
            let made = KnownText(id: known.count, start: UnsafePointer(copy), count: bytes.count)
            known[text] = made
            return made
        }
    }

    private init(id: Int, start: UnsafePointer<UInt8>, count: Int) {
        self.id = id
        self.start = start
        self.count = count
    }
}
