import ByteCoding

/// What will stand in a segment's footer: kept up with each entry.
struct SegmentContents {
    var summary: SegmentSummary
    var index: [SegmentIndexEntry] = []
    var filter: TraceFilter

    init(
        number: SegmentNumber, nonce: UInt64, before: LogOrdinal, firstEntry: UInt32,
        filter: TraceFilter
    ) {
        summary = SegmentSummary(
            number: number, nonce: nonce, entriesEnd: firstEntry, before: before)
        self.filter = filter
    }

    init(_ footer: SegmentFooter) {
        summary = footer.summary
        index = footer.index
        filter = footer.filter
    }

    mutating func add(_ envelope: Envelope) {
        let position = envelope.offset.position
        if index.isEmpty
            || Int(position) - Int(index[index.count - 1].position) >= LogLimits.indexIntervalBytes
        {
            index.append(SegmentIndexEntry(position: position, received: envelope.received))
        }
        summary.add(envelope)
    }

    func footer(_ dedupe: DedupeTable) -> [UInt8] {
        var writer = ByteWriter(capacity: 4096 + dedupe.entries.count * DedupeTable.entryBytes)
        SegmentFooter.encode(summary, index: index, filter: filter, dedupe: dedupe, into: &writer)
        return writer.bytes
    }
}
