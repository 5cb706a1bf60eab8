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

/// A record's place in its batch: for those that read records of one type only.
package struct RecordPlace: Sendable {
    /// The record's place in the batch, from 0.
    package let index: Int
    let type: UInt8
    /// Where the record begins, and where its body does and ends.
    let recordStart: Int
    let start: Int
    let end: Int

    /// Whether it is a span.
    package var isSpan: Bool { type == RecordType.span }
    /// Whether it is a log event.
    package var isLog: Bool { type == RecordType.log }
    /// Whether it is a metric point of any kind.
    package var isPoint: Bool { type >= RecordType.number && type <= RecordType.summary }
}

/// The places of a batch's records in their order.
package struct RecordPlaces: Sequence, Sendable {
    let batch: Batch

    /// The first place onwards.
    package func makeIterator() -> Iterator {
        Iterator(batch: batch, index: 0, position: batch.layout.records.start)
    }

    /// Visits places in order.
    package struct Iterator: IteratorProtocol {
        let batch: Batch
        var index: Int
        var position: Int

        /// The next record's place.
        package mutating func next() -> RecordPlace? {
            if position == batch.layout.records.end { return nil }
            var reader = TrustedReader(batch.bytes, at: position)
            let type = reader.uint8()
            let length = reader.int()
            let end = reader.position + length
            let place = RecordPlace(
                index: index, type: type, recordStart: position, start: reader.position, end: end)
            position = end
            index += 1
            return place
        }
    }
}

extension Batch {
    /// The places of the records in their order.
    package var places: RecordPlaces { RecordPlaces(batch: self) }

    /// The span at a place of this batch that has one.
    package func span(at place: RecordPlace) -> SpanView {
        precondition(place.isSpan)
        var reader = TrustedReader(bytes, at: place.start)
        return SpanView(&reader, self, place.index)
    }

    /// What the record says of the span at a place of this batch that has one. Keeps nothing alive.
    package func fields(ofSpanAt place: RecordPlace) -> SpanFields {
        precondition(place.isSpan)
        var reader = TrustedReader(bytes, at: place.start)
        return SpanFields(&reader, from: header.baseTime, place.index)
    }

    /// The attributes of one of this batch's spans.
    package func attributes(of span: SpanFields) -> AttributeList {
        AttributeList(batch: self, place: span.attributesPlace)
    }

    /// The events of one of this batch's spans.
    package func events(of span: SpanFields) -> EventList {
        EventList(batch: self, place: span.eventsPlace, start: span.start)
    }

    /// The links of one of this batch's spans.
    package func links(of span: SpanFields) -> LinkList {
        LinkList(batch: self, place: span.linksPlace)
    }

    /// The log event at a place of this batch that has one.
    package func log(at place: RecordPlace) -> LogView {
        precondition(place.isLog)
        var reader = TrustedReader(bytes, at: place.start)
        return LogView(&reader, self, place.index)
    }

    /// The point at a place of this batch that has one.
    package func point(at place: RecordPlace) -> PointView {
        precondition(place.isPoint)
        var reader = TrustedReader(bytes, at: place.start)
        return PointView(&reader, self, place.index, place.type)
    }
}
