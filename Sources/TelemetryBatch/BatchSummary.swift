import ByteCoding

/// What the validator found in a batch: all that intake and the log need to know of it.
package struct BatchSummary: Equatable, Sendable {
    /// The fixed header.
    package var header: BatchHeader
    /// The number of spans.
    package var spans: UInt32 = 0
    /// The number of log events.
    package var logs: UInt32 = 0
    /// The number of metric points.
    package var points: UInt32 = 0
    /// The number of records of types that this version does not know.
    package var others: UInt32 = 0
    /// The earliest time of a record, in nanoseconds since 1970; 0 if none is given.
    package var earliest: UInt64 = 0
    /// The latest time of a record, in nanoseconds since 1970; 0 if none is given.
    package var latest: UInt64 = 0
    /// The trace ids of the batch's table.
    package var traceIDs: [TraceID] = []

    /// A summary of a batch without records.
    package init(header: BatchHeader) { self.header = header }

    /// The number of records.
    package var records: UInt32 { header.recordCount }
}

/// Where a batch's sections stand.
struct BatchLayout: Sendable {
    struct Section: Sendable {
        /// Where the entries begin, behind the count.
        var start = 0
        /// Where the section ends.
        var end = 0
        /// The number of entries; 1 for a resource; not used for records.
        var count = 0
    }

    var strings = Section()
    var traces = Section()
    var resource = Section()
    var scopes = Section()
    var metrics = Section()
    var bounds = Section()
    var records = Section()
}
