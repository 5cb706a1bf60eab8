package import ByteCoding
package import Meaning
package import SegmentLog
package import TelemetryBatch

/// One entry of the log with its batch decoded: what selection and rendering look at.
package final class StoredEntry: Sendable {
    /// The log that it stands in; zero if not known.
    package let logID: ID128
    /// The agent's word on the batch.
    package let envelope: Envelope
    /// The batch.
    package let batch: Batch

    /// Decodes a stored batch. Throws if the payload is none: another version's, or damaged in a way that
    /// its checksum does not show.
    package init(logID: ID128, envelope: Envelope, payload: [UInt8]) throws(BatchError) {
        self.logID = logID
        self.envelope = envelope
        batch = try Batch(payload)
    }
}

/// One stored record: where it stands, what it is, what it means.
package struct StoredRecord: Sendable {
    /// The entry that it stands in.
    package let entry: StoredEntry
    /// The record itself.
    package let record: Record
    /// What it means, whatever dialect reported it.
    package let meaning: RecordMeaning

    /// All given.
    package init(entry: StoredEntry, record: Record, meaning: RecordMeaning) {
        self.entry = entry
        self.record = record
        self.meaning = meaning
    }

    /// The batch that the record is read from.
    package var batch: Batch { entry.batch }

    /// The record's own time, or the receipt where it gives none; nanoseconds since 1970.
    package var time: UInt64 { meaning.time == 0 ? entry.envelope.received : meaning.time }

    /// The trace, nil for none.
    package var traceID: TraceID? {
        let id: TraceID
        switch record {
        case .span(let span): id = span.traceID
        case .log(let log): id = log.traceID
        case .point, .unknown: return nil
        }
        return id.isZero ? nil : id
    }

    /// `3:8256.0`: with the log id, the record's name for ever.
    package var place: String { "\(entry.envelope.offset).\(record.index)" }
}

/// Gives the records of entries that a filter wants.
package struct RecordSelection: Sendable {
    private let filter: RecordFilter

    /// A selection by `filter`.
    package init(_ filter: RecordFilter) { self.filter = filter }

    /// The wanted records of an entry, in their order.
    package func records(of entry: StoredEntry) -> [StoredRecord] {
        var interpreter = BatchInterpreter(entry.batch)
        var wanted: [StoredRecord] = []
        for record in entry.batch.records {
            guard let meaning = interpreter.meaning(of: record) else { continue }
            let stored = StoredRecord(entry: entry, record: record, meaning: meaning)
            if filter.wants(stored) { wanted.append(stored) }
        }
        return wanted
    }
}
