/// One record of a batch.
package enum Record: Sendable {
    /// A span.
    case span(SpanView)
    /// A log event.
    case log(LogView)
    /// A metric point of any kind.
    case point(PointView)
    /// A type that this version does not know.
    case unknown(type: UInt8, index: Int)

    /// The record's place in the batch, from 0.
    package var index: Int {
        switch self {
        case .span(let span): span.index
        case .log(let log): log.index
        case .point(let point): point.index
        case .unknown(_, let index): index
        }
    }
}

/// The records of a batch in their order.
package struct RecordSequence: Sequence, Sendable {
    let batch: Batch

    /// The first record onwards.
    package func makeIterator() -> Iterator {
        Iterator(batch: batch, index: 0, position: batch.layout.records.start)
    }

    /// Visits records in order.
    package struct Iterator: IteratorProtocol {
        let batch: Batch
        var index: Int
        var position: Int

        /// The next record.
        package mutating func next() -> Record? {
            if position == batch.layout.records.end { return nil }
            var reader = TrustedReader(batch.bytes, at: position)
            let type = reader.uint8()
            let length = reader.int()
            position = reader.position + length
            defer { index += 1 }
            switch type {
            case RecordType.span: return .span(SpanView(&reader, batch, index))
            case RecordType.log: return .log(LogView(&reader, batch, index))
            case RecordType.number, RecordType.histogram, RecordType.exponential,
                RecordType.summary:
                return .point(PointView(&reader, batch, index, type))
            default: return .unknown(type: type, index: index)
            }
        }
    }
}
