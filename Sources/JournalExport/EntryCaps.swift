/// The journald exporter's own caps, by the time of receipt: what waited while journald was away is
/// not capped for coming late.
package struct EntryCaps: Sendable, Equatable {
    /// Entries a second on average, with bursts of ten seconds' worth; nil: no cap.
    package let entriesPerSecond: UInt64?
    /// Bytes of entries between two midnights in UTC; nil: no cap.
    package let bytesPerDay: UInt64?

    private var tokens: Double
    private var filledNanoseconds: UInt64 = 0
    /// The day that `bytesOfDay` counts, since 1970.
    package private(set) var day: UInt64
    /// Bytes of entries let through on `day`.
    package private(set) var bytesOfDay: UInt64

    /// Caps; `day` and `bytesOfDay` as a checkpoint has them.
    package init(
        entriesPerSecond: UInt64?, bytesPerDay: UInt64?, day: UInt64 = 0, bytesOfDay: UInt64 = 0
    ) {
        self.entriesPerSecond = entriesPerSecond
        self.bytesPerDay = bytesPerDay
        self.day = day
        self.bytesOfDay = bytesOfDay
        tokens = Double((entriesPerSecond ?? 0) * 10)
    }

    /// Whether another entry may go; it is then counted. `receipt` in nanoseconds since 1970.
    package mutating func admit(bytes: Int, receiptNanoseconds receipt: UInt64) -> Bool {
        let today = receipt / 86_400_000_000_000
        if today > day {
            day = today
            bytesOfDay = 0
        }
        if let bytesPerDay, bytesOfDay + UInt64(bytes) > bytesPerDay { return false }
        if let entriesPerSecond {
            if receipt > filledNanoseconds {
                let passed = Double(receipt - filledNanoseconds) / 1e9
                tokens = min(
                    tokens + passed * Double(entriesPerSecond), Double(entriesPerSecond * 10))
                filledNanoseconds = receipt
            }
            guard tokens >= 1 else { return false }
            tokens -= 1
        }
        bytesOfDay += UInt64(bytes)
        return true
    }
}
