package import ByteCoding

/// Whose sequences are meant: no peer of another uid can move them.
package struct DedupeKey: Hashable, Sendable {
    /// The peer's uid, 0xFFFFFFFF unknown.
    package let uid: UInt32
    /// The producer.
    package let producer: ID128
    /// Both given.
    package init(uid: UInt32, producer: ID128) {
        self.uid = uid
        self.producer = producer
    }

    /// Producer ids are random: their own bits are hash enough, mixed once against a peer's choice.
    package func hash(into hasher: inout Hasher) {
        hasher.combine(producer.low)
        hasher.combine(UInt64(uid) ^ producer.high)
    }
}

/// What a segment changed about a producer: its highest sequence before, 0 for none, and after.
struct DedupeMark: Sendable {
    let before: UInt64
    var after: UInt64
}

/// The highest stored sequence of each producer. Bounded: for each uid, and in all.
struct DedupeTable: Sendable {
    static let entryBytes = 40

    struct Entry: Sendable, Equatable {
        var sequence: UInt64
        var lastReceived: UInt64
    }

    private(set) var entries: [DedupeKey: Entry] = [:]
    private var countOfUID: [UInt32: Int] = [:]
    private(set) var forgotten: UInt64 = 0
    let perUIDMax: Int
    let max: Int

    init(perUIDMax: Int, max: Int) {
        self.perUIDMax = perUIDMax
        self.max = max
    }

    func highest(_ key: DedupeKey) -> UInt64 { entries[key]?.sequence ?? 0 }

    /// Takes note of a stored batch. A lower sequence changes nothing.
    mutating func note(_ key: DedupeKey, sequence: UInt64, received: UInt64) {
        if let index = entries.index(forKey: key) {
            if entries.values[index].sequence < sequence {
                entries.values[index].sequence = sequence
            }
            if entries.values[index].lastReceived < received {
                entries.values[index].lastReceived = received
            }
            return
        }
        if countOfUID[key.uid, default: 0] >= perUIDMax {
            forgetOldest(of: key.uid)
        } else if entries.count >= max {
            let largest = countOfUID.max { ($0.value, $0.key) < ($1.value, $1.key) }
            if let largest { forgetOldest(of: largest.key) }
        }
        entries[key] = Entry(sequence: sequence, lastReceived: received)
        countOfUID[key.uid, default: 0] += 1
    }

    /// Forgets the eighth of a uid's producers that was idle longest: seldom, so that a flood of new
    /// producers does not sort the table each time.
    private mutating func forgetOldest(of uid: UInt32) {
        let own = entries.filter { $0.key.uid == uid }
            .sorted {
                ($0.value.lastReceived, $0.key.producer) < ($1.value.lastReceived, $1.key.producer)
            }
        for (key, _) in own.prefix(Swift.max(1, own.count / 8)) { remove(key) }
    }

    /// Sets a sequence back to what it was before a segment; not if it has moved on since.
    mutating func goBack(_ key: DedupeKey, _ mark: DedupeMark) {
        guard let index = entries.index(forKey: key),
            entries.values[index].sequence == mark.after
        else { return }
        if mark.before == 0 { remove(key) } else { entries.values[index].sequence = mark.before }
    }

    private mutating func remove(_ key: DedupeKey) {
        guard entries.removeValue(forKey: key) != nil else { return }
        forgotten += 1
        let left = countOfUID[key.uid, default: 1] - 1
        countOfUID[key.uid] = left == 0 ? nil : left
    }

    /// Forgets those that were last heard of before `time`.
    mutating func forget(before time: UInt64) {
        let idle = entries.filter { $0.value.lastReceived < time }
        for (key, _) in idle { remove(key) }
    }

    /// The entries as footers and checkpoints hold them, in a fixed order.
    func encode(into writer: inout ByteWriter) {
        let sorted = entries.sorted {
            ($0.key.uid, $0.key.producer) < ($1.key.uid, $1.key.producer)
        }
        writer.reserve(sorted.count * DedupeTable.entryBytes)
        for (key, entry) in sorted {
            writer.write(uint32: key.uid)
            writer.write(uint32: 0)
            writer.write(id: key.producer)
            writer.write(uint64: entry.sequence)
            writer.write(uint64: entry.lastReceived)
        }
    }

    /// Merges `count` encoded entries: the higher sequence of each wins.
    mutating func merge(_ reader: inout ByteReader, count: Int) throws(ByteError) {
        for _ in 0..<count {
            let uid = try reader.readUInt32()
            try reader.skip(4)
            let producer = try reader.readID128()
            let sequence = try reader.readUInt64()
            let received = try reader.readUInt64()
            note(
                DedupeKey(uid: uid, producer: producer), sequence: sequence, received: received)
        }
    }
}
