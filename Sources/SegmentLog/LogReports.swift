package import ByteCoding

/// Bytes of a segment that are no right entry.
package struct DamagedRange: Sendable, Equatable, CustomStringConvertible {
    /// Where they begin.
    package var from: LogOffset
    /// Bytes.
    package var count: UInt64
    /// The envelope, if it is right and only the payload is not.
    package var envelope: Envelope?
    /// All given.
    package init(from: LogOffset, count: UInt64, envelope: Envelope? = nil) {
        self.from = from
        self.count = count
        self.envelope = envelope
    }
    /// `0000000003.segment:8256 (1024 bytes)`.
    package var description: String {
        "\(SegmentName.make(from.segment)):\(from.position) (\(count) bytes)"
    }
}

/// What opening the log found and did. Nothing of it stops the start.
package struct RecoveryReport: Sendable, Equatable {
    /// The last agent ended in order.
    package var clean = true
    /// The log was made by this opening.
    package var created = false
    /// Entries that were read, because their segment was not sealed.
    package var scannedBatches: UInt64 = 0
    /// Half-written ends that were copied to the quarantine and cut off.
    package var tornTails: [DamagedRange] = []
    /// Damage within scanned segments, copied to the quarantine and left where it is.
    package var damaged: [DamagedRange] = []
    /// Files that were set aside, and what was wrong with them, in words.
    package var problems: [String] = []
    /// Sealed now, because the last agent could not.
    package var sealedSegments: [SegmentNumber] = []
}

/// Where the log stands. Bytes and counts, not rates.
package struct LogStatistics: Sendable, Equatable {
    /// The log's name.
    package var logID: ID128 = .zero
    /// Everything below is complete in the file.
    package var committed: LogOffset = .none
    /// Everything below survives loss of power.
    package var synced: LogOffset = .none
    /// Stored since the log was made.
    package var stored = LogOrdinal()
    /// Still there.
    package var kept = LogOrdinal()
    /// Spans among the kept records.
    package var keptSpans: UInt64 = 0
    /// Log events among the kept records.
    package var keptLogs: UInt64 = 0
    /// Deleted by retention since the log was made.
    package var expired = LogOrdinal()
    /// Neither there nor deleted by retention: what damage took from segments that were read anew at a
    /// start, and what was in files that somebody else removed.
    package var lost = LogOrdinal()
    /// Of these, what was in files that were found removed since this opening.
    package var removed = LogOrdinal()
    /// Those files.
    package var removedSegments: UInt64 = 0
    /// Half-written ends that this opening cut off.
    package var tornTails: UInt64 = 0
    /// Since this opening.
    package var duplicates = LogOrdinal()
    /// Appends refused for want of space, since this opening.
    package var refusedFull = LogOrdinal()
    /// Damaged ranges that were met since this opening.
    package var damagedRanges: UInt64 = 0
    /// Bytes of them.
    package var damagedBytes: UInt64 = 0
    /// The newest, at most 16.
    package var damage: [DamagedRange] = []
    /// Segment files.
    package var segments = 0
    /// Bytes of them, with what is made ready ahead.
    package var bytes: UInt64 = 0
    /// Receipt of the oldest kept entry, 0 if none.
    package var oldestReceived: UInt64 = 0
    /// Producers in the dedupe table.
    package var producers = 0
    /// Producers forgotten since this opening.
    package var producersForgotten: UInt64 = 0
    /// Syncs since this opening.
    package var syncs: UInt64 = 0
    /// Writes since this opening.
    package var groups: UInt64 = 0
    /// The reserve is there.
    package var reserveHeld = false
    /// Why nothing is written, nil if all is well: no space now, or an error for good.
    package var failure: String?
    /// What an operator does about the failure.
    package var remedy: String?
    /// The failure is want of space and passes by itself.
    package var isFull = false

    /// Nothing known.
    package init() {}
}
