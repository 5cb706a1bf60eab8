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
    private var generation: UInt64 = 1
    /// Changes whenever an index may have lost its entry: whoever keeps indices keeps this beside them.
    /// Never 0, at most 32 bits.
    private(set) var epoch: UInt64 = 1
    var slots: UnsafeMutablePointer<Slot>
    var mask: Int
    let prefix: Prefix
    let keys: HashKeys

    init(_ prefix: Prefix, slots number: Int = 64, keys: HashKeys = HashKeys()) {
        self.prefix = prefix
        self.keys = keys
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

    private mutating func nextEpoch() { epoch = epoch == UInt64(UInt32.max) ? 1 : epoch + 1 }

    private mutating func nextGeneration() {
        nextEpoch()
        generation += 1
        if generation > UInt64(UInt32.max) {
            slots.update(
                repeating: Slot(key: 0, start: 0, size: 0, index: 0), count: mask + 1)
            generation = 1
        }
    }

    /// An entry that is not binary; index 0 if there is none.
    @inline(__always)
    func find(_ entry: UnsafeRawBufferPointer) -> Slot {
        let hash = ShortBytes.hash(entry, keys)
        let key = generation &<< 32 | hash & 0xFFFF_FFFF
        let size = UInt32(truncatingIfNeeded: entry.count &<< 1)
        var place = Int(truncatingIfNeeded: hash &>> 32) & mask
        while true {
            let slot = slots[place]
            if slot.key == key, slot.size == size,
                ShortBytes.areEqual(bytes.pointer(at: Int(slot.start)), entry)
            {
                return slot
            }
            if slot.key &>> 32 != generation { return Slot(key: 0, start: 0, size: 0, index: 0) }
            place = (place &+ 1) & mask
        }
    }

    /// The index of an entry, which is added if it is new.
    @inline(__always)
    mutating func index(of entry: UnsafeRawBufferPointer, binary: Bool = false) -> Int {
        let hash = ShortBytes.hash(entry, keys) ^ (binary ? 1 : 0)
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
        let before = bytes.count
        let found = entry.withUnsafeBytes { index(of: $0) }
        if found <= max { return found }
        removeAll(after: max, bytes: before)
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

    /// Makes more slots, from the bytes.
    private mutating func rebuild(slots number: Int) {
        slots.deallocate()
        slots = EntryTable.emptySlots(number)
        mask = number - 1
        var position = 0
        for index in 1..<(count + 1) {
            let (start, length, binary) = entry(at: position)
            let hash = hash(start, length, binary)
            insert(
                Slot(
                    key: generation << 32 | hash & 0xFFFF_FFFF, start: UInt32(start),
                    size: UInt32(length) << 1 | (binary ? 1 : 0), index: UInt64(index)),
                hash: hash)
            position = start + length
        }
    }

    private func hash(_ start: Int, _ length: Int, _ binary: Bool) -> UInt64 {
        let content = UnsafeRawBufferPointer(start: bytes.pointer(at: start), count: length)
        return ShortBytes.hash(content, keys) ^ (binary ? 1 : 0)
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

    /// Forgets all but the first entries, which take so many bytes.
    ///
    /// Costs no more than what is forgotten: a peer decides how often a record is refused. Entries are
    /// inserted in the order of their indices, so that clearing the slots of the last leaves the table as
    /// it was before them.
    mutating func removeAll(after kept: Int, bytes keptBytes: Int) {
        if count == kept { return }
        var hashes: [UInt64] = []
        var position = keptBytes
        while position < bytes.count {
            let (start, length, binary) = entry(at: position)
            hashes.append(hash(start, length, binary))
            position = start + length
        }
        while count > kept, let hash = hashes.popLast() {
            var place = Int(truncatingIfNeeded: hash &>> 32) & mask
            while slots[place].index != count || slots[place].key &>> 32 != generation {
                place = (place + 1) & mask
            }
            slots[place].key = 0
            count -= 1
        }
        bytes.truncate(to: keptBytes)
        nextEpoch()
    }
}

/// What the hash of a table begins with. Where others choose the entries, a key that they do not know
/// keeps them from choosing entries that collide.
struct HashKeys: BitwiseCopyable, Sendable {
    var first: UInt64 = 0xA076_1D64_78BD_642F
    var second: UInt64 = 0xE703_7ED1_A0B4_28DB
    var third: UInt64 = 0x8EBC_6AF0_9C88_C6E3
    var fourth: UInt64 = 0x5899_65CC_7537_4CC3

    /// The fixed keys: for a program's own texts.
    init() {}

    /// Keys from a secret.
    init(random generator: inout some RandomNumberGenerator) {
        first = generator.next()
        second = generator.next()
        third = generator.next()
        fourth = generator.next()
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

    /// A multiply-and-fold hash (as in wyhash), whose products do not wait for one another.
    @inline(__always)
    static func hash(_ entry: UnsafeRawBufferPointer, _ keys: HashKeys) -> UInt64 {
        guard let bytes = entry.baseAddress else { return 0 }
        let count = entry.count
        let size = UInt64(truncatingIfNeeded: count)
        if count >= 8 {
            let ends = mix(
                word(bytes, 0) ^ keys.first, word(bytes, count &- 8) ^ keys.second ^ size)
            return count <= 16 ? ends : ends ^ middle(bytes, count, keys)
        }
        if count >= 4 {
            return mix(half(bytes, 0) ^ keys.first, half(bytes, count &- 4) ^ keys.second ^ size)
        }
        if count == 0 { return 0 }
        let first = UInt64(bytes.load(as: UInt8.self))
        let second = UInt64(bytes.load(fromByteOffset: count &>> 1, as: UInt8.self))
        let last = UInt64(bytes.load(fromByteOffset: count &- 1, as: UInt8.self))
        return mix(first &<< 16 | second &<< 8 | last ^ keys.first, keys.second ^ size)
    }

    /// The words between the first and the last of more than 16 bytes, two at a time.
    @inline(__always)
    private static func middle(
        _ bytes: UnsafeRawPointer, _ count: Int, _ keys: HashKeys
    ) -> UInt64 {
        var sum: UInt64 = 0
        var offset = 8
        while offset &+ 24 < count {
            let place = UInt64(truncatingIfNeeded: offset)
            sum ^= mix(
                word(bytes, offset) ^ keys.third, word(bytes, offset &+ 8) ^ keys.fourth ^ place)
            offset &+= 16
        }
        return sum
            ^ mix(
                word(bytes, count &- 16) ^ keys.fourth,
                word(bytes, max(count &- 24, 0)) ^ keys.third)
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
