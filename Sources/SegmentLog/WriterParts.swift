import SystemIO

/// Where names and nonces that no peer can guess come from; a simulation gives its own, to be replayed.
package typealias RandomSource = @Sendable () -> UInt64

/// The system's generator.
package let systemRandom: RandomSource = {
    var generator = SystemRandomNumberGenerator()
    return generator.next()
}

/// Sums over the segments that are not written to.
struct KeptTotals: Sendable {
    var count = LogOrdinal()
    var spans: UInt64 = 0
    var logs: UInt64 = 0

    mutating func add(_ summary: SegmentSummary) {
        count = count + LogOrdinal(batches: summary.batches, records: summary.records)
        spans = spans.adding(summary.spans)
        logs = logs.adding(summary.logs)
    }

    mutating func remove(_ summary: SegmentSummary) {
        count = count - LogOrdinal(batches: summary.batches, records: summary.records)
        spans -= min(spans, summary.spans)
        logs -= min(logs, summary.logs)
    }
}

/// What the writer counts since it was opened.
struct WriterCounters: Sendable {
    var duplicates = LogOrdinal()
    var refusedFull = LogOrdinal()
    var groups: UInt64 = 0
    var syncs: UInt64 = 0
    /// Space could not be reserved ahead.
    var allocationsFailed: UInt64 = 0
    /// The position file could not be written.
    var positionsFailed: UInt64 = 0
    /// Footers and checkpoints that a full disk delayed.
    var postponed: UInt64 = 0
    /// Retention could not remove a file.
    var removalsFailed: UInt64 = 0
    var damagedRanges: UInt64 = 0
    var damagedBytes: UInt64 = 0
    var damage: [DamagedRange] = []
    /// Files of segments that somebody else took away, and what was in them.
    var removedSegments: UInt64 = 0
    var removed = LogOrdinal()

    mutating func note(_ range: DamagedRange) {
        damagedRanges += 1
        damagedBytes += range.count
        damage.append(range)
        if damage.count > 16 { damage.removeFirst() }
    }
}

/// A file whose only content is space: let go when a full disk must be cleaned.
struct Reserve: Sendable {
    static let name = "reserve"

    let storage: any Storage
    let bytes: UInt64
    private(set) var isHeld: Bool

    init(_ storage: any Storage, bytes: UInt64) throws(SystemError) {
        self.storage = storage
        self.bytes = bytes
        isHeld = try storage.list().contains(Reserve.name)
    }

    /// Gives the space back to the file system.
    mutating func release() {
        guard isHeld else { return }
        do {
            try storage.remove(Reserve.name)
            isHeld = false
        } catch {
            // It stays, and is tried again the next time.
            isHeld = true
        }
    }

    /// Takes the space, if there is plenty of it.
    mutating func hold() throws(SystemError) {
        guard !isHeld, bytes > 0, try storage.space().available > bytes * 4 else { return }
        do {
            try storage.open(Reserve.name, .replace).allocate(0..<bytes)
            isHeld = true
        } catch {
            // A file system that cannot reserve: carry on without.
            try storage.remove(Reserve.name)
        }
    }
}
