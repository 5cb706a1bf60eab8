package import ByteCoding

/// A Bloom filter over trace ids (segment-log.md, Footer).
package struct TraceFilter: Sendable, Equatable {
    /// Hashes an id has.
    package let hashes: Int
    private(set) var words: [UInt64]

    /// Without words it says nothing of any id.
    package init(words: Int, hashes: Int = 4) {
        precondition(words == 0 || words & (words - 1) == 0)
        self.words = [UInt64](repeating: 0, count: words)
        self.hashes = hashes
    }

    init(words: [UInt64], hashes: Int) {
        self.words = words
        self.hashes = hashes
    }

    mutating func insert(_ ids: [ID128]) {
        for id in ids { insert(id) }
    }

    mutating func insert(_ id: ID128) {
        guard !words.isEmpty else { return }
        var bit = id.high.byteSwapped
        let step = id.low.byteSwapped | 1
        let mask = UInt64(words.count) &* 64 &- 1
        for _ in 0..<hashes {
            let place = bit & mask
            words[Int(place / 64)] |= 1 << (place % 64)
            bit &+= step
        }
    }

    /// False if the segment certainly has nothing of this trace.
    package func mayContain(_ id: ID128) -> Bool {
        guard !words.isEmpty else { return true }
        var bit = id.high.byteSwapped
        let step = id.low.byteSwapped | 1
        let mask = UInt64(words.count) &* 64 &- 1
        for _ in 0..<hashes {
            let place = bit & mask
            if words[Int(place / 64)] & 1 << (place % 64) == 0 { return false }
            bit &+= step
        }
        return true
    }
}
