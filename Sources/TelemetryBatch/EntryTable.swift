import ByteCoding

/// Distinct byte strings in the order of their first use, encoded as a section's entries.
///
/// An open-addressing hash table over the table's own bytes. A slot counts only if it bears the
/// current generation, so that emptying the table costs nothing and keeps its memory. The pointers
/// are sound because they are private, `slots` has `mask + 1` elements, and slots of the current
/// generation refer only to bytes that were written in it.
struct EntryTable: ~Copyable, @unchecked Sendable {
    // @unchecked: the pointer has one owner, and moves with it.

    /// What stands before an entry's bytes.
    enum Prefix: UInt8 {
        /// `length << 1 | binary`: strings.
        case string
        /// The length: scopes and metrics.
        case length
        /// The number of doubles: bounds.
        case doubles
        /// Nothing: trace ids.
        case nothing
    }

    struct Slot: BitwiseCopyable {
        /// Generation in the upper half, a part of the hash in the lower.
        var key: UInt64
        /// Where the entry's bytes begin.
        var start: UInt32
        /// `length << 1 | binary`.
        var size: UInt32
        /// The entry's index, from 1.
        var index: UInt64
    }

    /// The entries as they stand in the section, behind its count.
    var bytes: ByteWriter
    /// The number of entries.
    var count = 0
    /// Which generation of slots counts. Never 0.
    var generation: UInt64 = 1
    var slots: UnsafeMutablePointer<Slot>
    var mask: Int
    let prefix: Prefix

    init(_ prefix: Prefix, slots number: Int = 64) {
        self.prefix = prefix
        bytes = ByteWriter(capacity: number * 8)
        mask = number - 1
        slots = EntryTable.emptySlots(number)
    }

    deinit { slots.deallocate() }

    private static func emptySlots(_ number: Int) -> UnsafeMutablePointer<Slot> {
        let slots = UnsafeMutablePointer<Slot>.allocate(capacity: number)
        slots.initialize(repeating: Slot(key: 0, start: 0, size: 0, index: 0), count: number)
        return slots
    }

    /// Forgets all entries and keeps the memory.
    mutating func removeAll() {
        bytes.removeAll()
        count = 0
        nextGeneration()
    }

    private mutating func nextGeneration() {
        generation += 1
        if generation > UInt64(UInt32.max) {
            slots.update(
                repeating: Slot(key: 0, start: 0, size: 0, index: 0), count: mask + 1)
            generation = 1
        }
    }

    /// The index of an entry, which is added if it is new.
    @inline(__always)
    mutating func index(of entry: UnsafeRawBufferPointer, binary: Bool = false) -> Int {
        let hash = ShortBytes.hash(entry) ^ (binary ? 1 : 0)
        let key = generation &<< 32 | hash & 0xFFFF_FFFF
        let size = UInt32(truncatingIfNeeded: entry.count &<< 1) | (binary ? 1 : 0)
        var place = Int(truncatingIfNeeded: hash &>> 32) & mask
        while true {
            let slot = slots[place]
            if slot.key == key, slot.size == size,
                ShortBytes.areEqual(bytes.pointer(at: Int(slot.start)), entry)
            {
                return Int(truncatingIfNeeded: slot.index)
            }
            if slot.key &>> 32 != generation { break }
            place = (place &+ 1) & mask
        }
        return add(entry, key: key, size: size, hash: hash)
    }

    /// The same of what a writer holds; nil, and nothing added, if there would be too many.
    mutating func index(of entry: borrowing ByteWriter, max: Int) -> Int? {
        let found = entry.withUnsafeBytes { index(of: $0) }
        if found <= max { return found }
        removeAll(after: max)
        return nil
    }

    @inline(never)
    private mutating func add(
        _ entry: UnsafeRawBufferPointer, key: UInt64, size: UInt32, hash: UInt64
    ) -> Int {
        switch prefix {
        case .string: bytes.write(varint: UInt64(size))
        case .length: bytes.write(varint: UInt64(entry.count))
        case .doubles: bytes.write(varint: UInt64(entry.count / 8))
        case .nothing: break
        }
        let start = UInt32(bytes.count)
        bytes.write(buffer: entry)
        count += 1
        if count * 2 > mask {
            rebuild(slots: (mask + 1) * 2)
        } else {
            insert(Slot(key: key, start: start, size: size, index: UInt64(count)), hash: hash)
        }
        return count
    }

    private mutating func insert(_ slot: Slot, hash: UInt64) {
        var place = Int(truncatingIfNeeded: hash &>> 32) & mask
        while slots[place].key >> 32 == generation { place = (place + 1) & mask }
        slots[place] = slot
    }

    /// Makes the slots anew from the bytes.
    private mutating func rebuild(slots number: Int) {
        if number != mask + 1 {
            slots.deallocate()
            slots = EntryTable.emptySlots(number)
            mask = number - 1
        } else {
            nextGeneration()
        }
        var position = 0
        for index in 1..<(count + 1) {
            let (start, length, binary) = entry(at: position)
            let content = UnsafeRawBufferPointer(
                start: bytes.pointer(at: start), count: length)
            let hash = ShortBytes.hash(content) ^ (binary ? 1 : 0)
            insert(
                Slot(
                    key: generation << 32 | hash & 0xFFFF_FFFF, start: UInt32(start),
                    size: UInt32(length) << 1 | (binary ? 1 : 0), index: UInt64(index)),
                hash: hash)
            position = start + length
        }
        bytes.truncate(to: position)
    }

    /// Reads back the prefix that stands at a position.
    private func entry(at position: Int) -> (start: Int, length: Int, binary: Bool) {
        if prefix == .nothing { return (position, 16, false) }
        var value = 0
        var shift = 0
        var start = position
        while true {
            let byte = bytes.pointer(at: start).load(as: UInt8.self)
            value |= Int(byte & 0x7F) << shift
            start += 1
            shift += 7
            if byte < 0x80 { break }
        }
        switch prefix {
        case .string: return (start, value >> 1, value & 1 != 0)
        case .doubles: return (start, value * 8, false)
        default: return (start, value, false)
        }
    }

    /// Forgets all but the first entries. Costs a pass over the table: for the rare refused record.
    mutating func removeAll(after kept: Int) {
        if count == kept { return }
        count = kept
        rebuild(slots: mask + 1)
    }
}

/// Hash and comparison of byte strings that are mostly short, without a call into libc.
///
/// Every load is within `count` bytes: the last words of a longer string overlap.
enum ShortBytes {
    @inline(__always)
    static func word(_ bytes: UnsafeRawPointer, _ offset: Int) -> UInt64 {
        bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
    }

    @inline(__always)
    static func half(_ bytes: UnsafeRawPointer, _ offset: Int) -> UInt64 {
        UInt64(bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
    }

    @inline(__always)
    static func mix(_ a: UInt64, _ b: UInt64) -> UInt64 {
        let product = a.multipliedFullWidth(by: b)
        return product.high ^ product.low
    }

    private static let keys: (UInt64, UInt64, UInt64, UInt64) = (
        0xA076_1D64_78BD_642F, 0xE703_7ED1_A0B4_28DB, 0x8EBC_6AF0_9C88_C6E3,
        0x5899_65CC_7537_4CC3
    )

    /// A multiply-and-fold hash (as in wyhash), whose products do not wait for one another.
    /// Not for hostile input: the table is the program's own.
    @inline(__always)
    static func hash(_ entry: UnsafeRawBufferPointer) -> UInt64 {
        guard let bytes = entry.baseAddress else { return 0 }
        let count = entry.count
        let size = UInt64(truncatingIfNeeded: count)
        if count >= 8 {
            let ends = mix(
                word(bytes, 0) ^ keys.0, word(bytes, count &- 8) ^ keys.1 ^ size)
            return count <= 16 ? ends : ends ^ middle(bytes, count)
        }
        if count >= 4 {
            return mix(half(bytes, 0) ^ keys.0, half(bytes, count &- 4) ^ keys.1 ^ size)
        }
        if count == 0 { return 0 }
        let first = UInt64(bytes.load(as: UInt8.self))
        let second = UInt64(bytes.load(fromByteOffset: count &>> 1, as: UInt8.self))
        let last = UInt64(bytes.load(fromByteOffset: count &- 1, as: UInt8.self))
        return mix(first &<< 16 | second &<< 8 | last ^ keys.0, keys.1 ^ size)
    }

    /// The words between the first and the last of more than 16 bytes, two at a time.
    @inline(__always)
    private static func middle(_ bytes: UnsafeRawPointer, _ count: Int) -> UInt64 {
        var sum: UInt64 = 0
        var offset = 8
        while offset &+ 24 < count {
            let place = UInt64(truncatingIfNeeded: offset)
            sum ^= mix(
                word(bytes, offset) ^ keys.2, word(bytes, offset &+ 8) ^ keys.3 ^ place)
            offset &+= 16
        }
        return sum
            ^ mix(word(bytes, count &- 16) ^ keys.3, word(bytes, max(count &- 24, 0)) ^ keys.2)
    }

    /// Whether the bytes at a place are those of an entry.
    @inline(__always)
    static func areEqual(_ place: UnsafeRawPointer, _ entry: UnsafeRawBufferPointer) -> Bool {
        guard let bytes = entry.baseAddress else { return true }
        let count = entry.count
        if count >= 8 {
            var offset = 0
            while offset &+ 8 < count {
                if word(place, offset) != word(bytes, offset) { return false }
                offset &+= 8
            }
            return word(place, count &- 8) == word(bytes, count &- 8)
        }
        if count >= 4 {
            return half(place, 0) == half(bytes, 0)
                && half(place, count &- 4) == half(bytes, count &- 4)
        }
        var offset = 0
        while offset < count {
            if place.load(fromByteOffset: offset, as: UInt8.self)
                != bytes.load(fromByteOffset: offset, as: UInt8.self)
            {
                return false
            }
            offset &+= 1
        }
        return true
    }
}
