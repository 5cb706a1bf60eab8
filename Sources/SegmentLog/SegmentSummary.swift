/// What is in a segment: kept up with each entry, written into the footer.
package struct SegmentSummary: Sendable, Equatable {
    /// Its number.
    package var number: SegmentNumber
    /// Its nonce.
    package var nonce: UInt64
    /// Where its entries end.
    package var entriesEnd: UInt32
    /// What was stored before it, ever.
    package var before: LogOrdinal
    /// Entries.
    package var batches: UInt64 = 0
    /// Records in them.
    package var records: UInt64 = 0
    /// Of these spans.
    package var spans: UInt64 = 0
    /// Of these log events.
    package var logs: UInt64 = 0
    /// Receipt of the earliest, 0 if it is empty.
    package var receivedFirst: UInt64 = 0
    /// Receipt of the latest, 0 if it is empty.
    package var receivedLast: UInt64 = 0
    /// Earliest record time, 0 if there is none.
    package var earliest: UInt64 = 0
    /// Latest record time, 0 if there is none.
    package var latest: UInt64 = 0

    /// What is stored up to its end, ever.
    package var after: LogOrdinal { before + LogOrdinal(batches: batches, records: records) }

    mutating func add(_ envelope: Envelope) {
        // A segment that goes on begins with its footer's counts, which are the disk's word.
        batches = batches.adding(1)
        records = records.adding(UInt64(envelope.records))
        spans = spans.adding(UInt64(envelope.spans))
        logs = logs.adding(UInt64(envelope.logs))
        receivedFirst = SegmentSummary.lower(receivedFirst, envelope.received)
        receivedLast = max(receivedLast, envelope.received)
        earliest = SegmentSummary.lower(earliest, envelope.earliest)
        latest = max(latest, envelope.latest)
        entriesEnd = max(entriesEnd, envelope.next.position)
    }

    /// The lower of two times of which 0 means none.
    private static func lower(_ left: UInt64, _ right: UInt64) -> UInt64 {
        if left == 0 { return right }
        return right == 0 ? left : min(left, right)
    }
}

/// A place in a segment by receipt: one at least every 256 KiB of entries.
package struct SegmentIndexEntry: Sendable, Equatable {
    /// Where an entry begins.
    package var position: UInt32
    /// When it was received.
    package var received: UInt64
}
