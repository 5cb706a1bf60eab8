package import ByteCoding
package import SystemIO

/// A batch as it was read from the log.
package struct StoredBatch: Sendable {
    /// What the agent says of it.
    package var envelope: Envelope
    /// The batch, its checksum found right.
    package var payload: [UInt8]
    /// How many batches and records were stored before it; nil until the reader knows.
    package var ordinal: LogOrdinal?

    /// Where it is.
    package var offset: LogOffset { envelope.offset }
    /// The cursor after it.
    package var next: LogOffset { envelope.next }
}

/// What a reader meets, in the log's order.
package enum ReadItem: Sendable {
    /// A batch.
    case batch(StoredBatch)
    /// Bytes that are no entry; the reader stepped over them.
    case damaged(DamagedRange)
    /// The reader's place was gone, or damage hid entries: how many batches and records it missed.
    case missed(MissedRange)
}

/// Entries that a reader can never deliver.
package struct MissedRange: Sendable, Equatable {
    /// Why.
    package enum Cause: Sendable { case expired, damaged }
    /// Why.
    package var cause: Cause
    /// Where the reader was.
    package var from: LogOffset
    /// Where it goes on.
    package var to: LogOffset
    /// How many; nil if the reader did not know its own ordinal.
    package var count: LogOrdinal?
}

/// Where a reader begins.
package enum ReadStart: Sendable, Equatable {
    /// The oldest entry there is.
    case beginning
    /// Behind the newest committed entry.
    case end
    /// A cursor, with the ordinal that was saved with it.
    case offset(LogOffset, ordinal: LogOrdinal?)
}

/// Reads the log's files, in the agent's process or in another, while the agent writes. Never repairs.
/// One thread at a time.
package final class LogReader {
    /// The log's name, nil while there is no log.
    package private(set) var logID: ID128?
    /// The next entry's offset: the cursor to save.
    package private(set) var cursor: LogOffset = .none
    /// What was stored before the cursor; nil until the reader knows.
    package private(set) var ordinal: LogOrdinal?
    /// Asked on entering a sealed segment: false passes over it whole. For traces and times.
    package var segmentIsWanted: ((SegmentFooter) -> Bool)?

    /// A reader of `<state>/log`. `committed` tells how far the log is complete; nil reads it from the
    /// position file. Does not fail if there is no log yet.
    package init(
        state: any Storage, at start: ReadStart,
        committed: (@Sendable () -> LogOffset)? = nil
    ) throws(LogError) {
        throw .closed
    }

    /// The next item; nil if there is nothing yet. `isWanted` is asked before a payload is read: false
    /// passes over the entry. Does not wait.
    package func next(where isWanted: ((Envelope) -> Bool)? = nil) throws(LogError) -> ReadItem? {
        throw .closed
    }
}
