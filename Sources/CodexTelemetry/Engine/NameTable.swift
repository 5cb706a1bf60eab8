internal import TelemetryBatch

/// The two words of a `String`.
///
/// A text of up to 15 bytes stands in them itself, a literal's longer text is named by its address, which
/// stays. In both cases the highest bit of the second word is set (the string's "immortal" bit, in
/// the layout of 64-bit Swift) and equal words mean equal texts. `isKnown` proves the layout on three
/// texts; if it were another, every text would take the long way.
struct TextBits: Equatable {
    let first: UInt64
    let second: UInt64

    @inline(__always)
    init(_ text: String) {
        // Sound: a String is two words on all 64-bit platforms, and they are only compared.
        (first, second) = unsafeBitCast(text, to: (UInt64, UInt64).self)
    }

    @inline(__always)
    var isLasting: Bool { second &>> 63 == 1 }

    static func isKnown() -> Bool {
        let short = TextBits("ab")
        let heap = TextBits(String(repeating: "heap", count: 10))
        let literal = TextBits("a literal of more than fifteen bytes")
        return short.isLasting && short.first == 0x6261 && literal.isLasting && !heap.isLasting
    }
}

/// Finds a text's place in the batch without looking at its bytes: names by their address, short texts
/// by their words. A small table, each text in the slot of its hash, the last one wins.
struct NameTable: ~Copyable {
    private struct Slot {
        var first: UInt64
        var second: UInt64
        var ref: UInt32
        /// Of an older generation: not valid.
        var generation: UInt32
    }

    private static let size = 512
    private let slots: UnsafeMutablePointer<Slot>
    private var generation: UInt32 = 1
    private let isTextLayoutKnown = TextBits.isKnown()

    init() {
        slots = .allocate(capacity: Self.size)
        slots.initialize(
            repeating: Slot(first: 0, second: 0, ref: 0, generation: 0), count: Self.size)
    }

    deinit { slots.deallocate() }

    /// Sound: the slot's number has 9 bits, and there are 512.
    @inline(__always)
    private func slot(_ first: UInt64, _ second: UInt64) -> UnsafeMutablePointer<Slot> {
        let mixed = (first ^ (second &<< 17)) &* 0x9E37_79B9_7F4A_7C15
        return slots + Int(truncatingIfNeeded: mixed &>> 55)
    }

    @inline(__always)
    private func find(_ first: UInt64, _ second: UInt64) -> TextRef? {
        let slot = slot(first, second)
        guard slot.pointee.first == first, slot.pointee.second == second,
            slot.pointee.generation == generation
        else { return nil }
        return TextRef(index: slot.pointee.ref)
    }

    /// A name's place in this batch, if it is known. A name's words are an address and a length, whose
    /// highest bit is never set: no text has the same.
    @inline(__always)
    func find(_ name: AttributeKey) -> TextRef? {
        find(UInt64(UInt(bitPattern: name.start)), UInt64(truncatingIfNeeded: name.count))
    }

    /// A text's place in this batch, if it is known.
    @inline(__always)
    func find(_ bits: TextBits) -> TextRef? {
        bits.isLasting ? find(bits.first, bits.second) : nil
    }

    func insert(_ name: AttributeKey, _ ref: TextRef) {
        let first = UInt64(UInt(bitPattern: name.start))
        let second = UInt64(truncatingIfNeeded: name.count)
        slot(first, second).pointee = Slot(
            first: first, second: second, ref: ref.index, generation: generation)
    }

    func insert(_ bits: TextBits, _ ref: TextRef) {
        guard isTextLayoutKnown, bits.isLasting else { return }
        slot(bits.first, bits.second).pointee = Slot(
            first: bits.first, second: bits.second, ref: ref.index, generation: generation)
    }

    /// All places are void: another batch begins, or a record was undone.
    mutating func forget() { generation &+= 1 }
}
