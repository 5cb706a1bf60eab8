import ByteCoding

/// The pass over a batch's sections for one that was validated before.
struct BatchSurvey {
    private(set) var layout = BatchLayout()
    private(set) var summary: BatchSummary

    init(header: BatchHeader) { summary = BatchSummary(header: header) }

    mutating func visitSections(_ reader: inout ByteReader) throws(BatchError) {
        while !reader.isAtEnd {
            let kind = try reader.uint8("section kind")
            let outer = reader.enter(try reader.length("section length"))
            switch kind {
            case SectionKind.strings:
                layout.strings = try table(&reader, BatchLimits.stringsMax)
            case SectionKind.traces: try visitTraces(&reader)
            case SectionKind.resource:
                layout.resource = BatchLayout.Section(
                    start: reader.position, end: reader.end, count: 1)
            case SectionKind.scopes: layout.scopes = try table(&reader, BatchLimits.scopesMax)
            case SectionKind.metrics: layout.metrics = try table(&reader, BatchLimits.metricsMax)
            case SectionKind.bounds: layout.bounds = try table(&reader, BatchLimits.boundsMax)
            case SectionKind.records: try visitRecords(&reader)
            default: break
            }
            reader.leave(to: outer)
        }
        let found = summary.spans + summary.logs + summary.points + summary.others
        if found != summary.header.recordCount {
            throw BatchError(.countMismatch, at: 4, "record count")
        }
    }

    private func table(
        _ reader: inout ByteReader, _ limit: Int
    ) throws(BatchError) -> BatchLayout.Section {
        let count = try reader.count(limit, "entries")
        return BatchLayout.Section(start: reader.position, end: reader.end, count: count)
    }

    private mutating func visitTraces(_ reader: inout ByteReader) throws(BatchError) {
        layout.traces = try table(&reader, BatchLimits.tracesMax)
        summary.traceIDs.reserveCapacity(layout.traces.count)
        for _ in 0..<layout.traces.count {
            summary.traceIDs.append(try reader.id128("trace id"))
        }
    }

    private mutating func visitRecords(_ reader: inout ByteReader) throws(BatchError) {
        layout.records = BatchLayout.Section(start: reader.position, end: reader.end, count: 0)
        while !reader.isAtEnd {
            switch try reader.uint8("record type") {
            case RecordType.span: summary.spans += 1
            case RecordType.log: summary.logs += 1
            case RecordType.number, RecordType.histogram, RecordType.exponential,
                RecordType.summary:
                summary.points += 1
            default: summary.others += 1
            }
            try reader.pass(try reader.length("record length"), "record")
        }
    }
}
