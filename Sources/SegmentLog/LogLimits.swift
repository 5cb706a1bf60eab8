package import SystemIO

/// Every figure that limits the log. `status` shows them.
package struct LogLimits: Sendable, Equatable {
    /// Bytes of all segments together: beyond it the oldest go.
    package var capBytes: UInt64
    /// A segment is closed when the next entry would pass this size.
    package var segmentBytes: Int
    /// How long an entry is kept, by its receipt.
    package var age: Duration = .seconds(7 * 86_400)
    /// Space held back, so that a full disk can still be cleaned.
    package var reserveBytes: UInt64
    /// Copies of damaged bytes, all together.
    package var quarantineBytesMax: UInt64
    /// A sync follows an append within this time.
    package var syncDelay: Duration = .milliseconds(100)
    /// A sync follows when this much is not synced, whatever the time.
    package var syncBytes = 8 << 20
    /// A sync that could not be tried for want of descriptors is tried again after this time.
    package var syncRetryDelay: Duration = .milliseconds(250)
    /// The time between checkpoints of the dedupe table.
    package var checkpointInterval: Duration = .seconds(30)
    /// A producer that sent nothing for this long is forgotten.
    package var dedupeAge: Duration = .seconds(7 * 86_400)
    /// Producers remembered for one uid; beyond it those idle longest are forgotten.
    package var dedupePerUIDMax: Int
    /// Producers remembered in all.
    package var dedupeMax: Int
    /// Bytes of file made ready ahead of the writes.
    package var allocationBytes: Int

    /// What follows from a cap.
    package init(capBytes: UInt64, space: StorageSpace) {
        self.capBytes = capBytes
        segmentBytes = Int(min(64 << 20, max(256 << 10, capBytes / 16)))
        reserveBytes = min(16 << 20, space.total / 100)
        quarantineBytesMax = min(64 << 20, max(1 << 20, capBytes / 16))
        // The table stands in every footer: at most an eighth of a segment.
        dedupeMax = min(65_536, segmentBytes / 8 / DedupeTable.entryBytes)
        dedupePerUIDMax = max(64, dedupeMax / 4)
        allocationBytes = min(8 << 20, segmentBytes / 4)
    }

    /// The default for a file system: the smaller of 1 GiB and 5 % of it.
    package static func standard(for space: StorageSpace) -> LogLimits {
        LogLimits(capBytes: max(1 << 20, min(1 << 30, space.total / 20)), space: space)
    }

    /// Index entries lie at least this close.
    static let indexIntervalBytes = 256 << 10
    /// Segment numbers made safe ahead of their use, so that opening a segment waits for no sync.
    static let numbersAhead: SegmentNumber = 8
    /// Largest footer that a reader accepts.
    static let footerBytesMax = 16 << 20

    /// Words of a segment's trace filter: 1 bit for 64 bytes of segment.
    var filterWords: Int {
        var words = 64
        while words * 64 * 64 < segmentBytes { words *= 2 }
        return words
    }
}

extension Duration {
    /// Whole nanoseconds, at most what 64 bits hold.
    var nanoseconds: UInt64 {
        let (seconds, attoseconds) = components
        return UInt64(max(0, seconds)) &* 1_000_000_000
            &+ UInt64(max(0, attoseconds) / 1_000_000_000)
    }
}
