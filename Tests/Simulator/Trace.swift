/// Every event of a run, hashed; printed if somebody wants to see them.
struct Trace {
    let prints: Bool
    /// FNV-1a over all that happened: the same for the same seed.
    private(set) var hash: UInt64 = 0xcbf2_9ce4_8422_2325

    init(prints: Bool) { self.prints = prints }

    mutating func add(_ word: UInt64) {
        hash = (hash ^ word) &* 0x100_0000_01b3
        hash ^= hash >> 29
    }

    mutating func add(_ text: String) { for byte in text.utf8 { add(UInt64(byte)) } }

    /// Something outside the disk happens.
    mutating func note(_ text: @autoclosure () -> String) {
        if prints { print("        \(text())") }
    }
}
