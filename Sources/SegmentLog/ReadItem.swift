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
    package enum Cause: Sendable {
        /// Retention deleted them.
        case expired
        /// Damage took them.
        case damaged
        /// Somebody else removed their file.
        case removed
    }
    /// Why.
    package var cause: Cause
    /// Where the reader goes on.
    package var to: LogOffset
    /// How many, without those that a `damaged` item named by its envelope; nil if the reader did not know
    /// its own ordinal.
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
