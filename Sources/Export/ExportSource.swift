package import SegmentLog
package import TelemetryBatch

/// A batch as the log gave it.
package struct SourceBatch: Sendable {
    /// Where it is.
    package var offset: LogOffset
    /// Where its successor begins.
    package var end: LogOffset
    /// What the log stored before its successor, nil if it is not known.
    package var ordinal: LogOrdinal?
    /// Its records by the envelope.
    package var records: Int
    /// When the agent got it: nanoseconds since 1970.
    package var receiptNanoseconds: UInt64
    /// Who sent it.
    package var peer: PeerIdentity
    /// The batch.
    package var payload: [UInt8]
    /// Whether this process has stored it: then it was validated, or made by the builder.
    package var isOwn: Bool

    /// All given.
    package init(
        offset: LogOffset, end: LogOffset, ordinal: LogOrdinal?, records: Int,
        receiptNanoseconds: UInt64, peer: PeerIdentity, payload: [UInt8],
        isOwn: Bool = false
    ) {
        self.offset = offset
        self.end = end
        self.ordinal = ordinal
        self.records = records
        self.receiptNanoseconds = receiptNanoseconds
        self.peer = peer
        self.payload = payload
        self.isOwn = isOwn
    }

    /// What is in it. What this process has stored is not validated a second time: the log's checksum says that it
    /// is still that.
    package func read() throws(BatchError) -> Batch {
        isOwn ? try Batch(validatedBefore: payload) : try Batch(payload)
    }
}

/// What comes next in the log.
package enum SourceItem: Sendable {
    /// A batch.
    case batch(SourceBatch)
    /// Records that cannot be read any more; the next item begins at `end`.
    case lost(LossCause, records: Int, end: LogOffset, ordinal: LogOrdinal?)
    /// Nothing yet.
    case nothing
}

/// A place in the log and what was stored before it, nil if that is not known.
package struct LogPlace: Sendable, Equatable {
    /// The next entry's offset.
    package var offset: LogOffset
    /// What was stored before.
    package var ordinal: LogOrdinal?

    /// Both given.
    package init(offset: LogOffset, ordinal: LogOrdinal?) {
        self.offset = offset
        self.ordinal = ordinal
    }
}

/// Why the log cannot be read now: a sentence.
package struct SourceError: Error, Sendable, CustomStringConvertible {
    /// The sentence.
    package let description: String

    /// A reason.
    package init(_ description: String) { self.description = description }
}

/// The log as an exporter's runner reads it: the real one, or a test's.
package protocol ExportSource: AnyObject {
    /// The log's id, 32 hexadecimal digits.
    var logID: String { get }
    /// Goes to a place. What is gone before the next entry is reported as lost by `next`.
    func seek(to place: LogPlace) throws(SourceError)
    /// Goes to where a new cursor starts.
    func seek(to start: StartPlace) throws(SourceError) -> LogPlace
    /// What comes next. Does not wait.
    func next() throws(SourceError) -> SourceItem
    /// Up to where the log survives power loss.
    func synced() throws(SourceError) -> LogOffset
    /// Where the log ends, nil if that is not known.
    func end() throws(SourceError) -> LogOffset?
    /// Records between the reader and the committed end, nil if that is not known.
    func backlogRecords() throws(SourceError) -> UInt64?
}

/// A saved cursor.
package struct SavedCursor: Sendable, Equatable {
    /// Everything below it is settled.
    package var cursor: LogPlace
    /// What became of it.
    package var settled: OutcomeCounts
    /// See `ExportResumption.isClean`.
    package var isClean: Bool
    /// The exporter's own state.
    package var state: [UInt8]

    /// All given.
    package init(cursor: LogPlace, settled: OutcomeCounts, isClean: Bool, state: [UInt8]) {
        self.cursor = cursor
        self.settled = settled
        self.isClean = isClean
        self.state = state
    }
}

/// Where cursors are saved: files, or a test's memory.
package protocol CursorStore: AnyObject {
    /// The saved cursor of this log, nil if there is none; one that is of another log, beyond this one's end, or
    /// damaged is set aside.
    func load(logID: String, end: LogOffset?) throws(SourceError) -> SavedCursor?
    /// What `load` set aside, and why: a sentence's beginning; nil if nothing.
    var setAside: String? { get }
    /// Saves; durable on return.
    func save(_ cursor: SavedCursor, logID: String) throws(SourceError)
}

/// Where a new cursor starts.
package enum StartPlace: String, Sendable {
    /// With what comes from now on.
    case end
    /// With the oldest that is kept.
    case beginning
}
