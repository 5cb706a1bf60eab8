/// What a span's record says: numbers and places in its batch, which nothing here keeps alive.
@usableFromInline
package struct SpanFields: Sendable {
    /// The record's place in the batch, from 0.
    package let index: Int
    /// The kind.
    package let kind: SpanKind
    /// The status.
    package let status: SpanStatus
    /// The trace's index in the table, 0 for none.
    package let traceIndex: Int
    /// The id.
    package let spanID: SpanID
    /// The name.
    package let name: TextRef
    /// Start, in nanoseconds since 1970.
    package let start: UInt64
    /// End − start, modulo 2^64.
    package let durationNanoseconds: UInt64
    /// The parent's id, zero for none.
    package private(set) var parent = SpanID.zero
    /// The scope's index, 0 for none.
    package private(set) var scope = 0
    /// The status message.
    package private(set) var statusMessage = TextRef.none
    /// Whether a status was given, though it may say nothing.
    package private(set) var hasStatus: Bool
    /// W3C `tracestate`.
    package private(set) var traceState = TextRef.none
    /// OTLP `flags`.
    package private(set) var flags: UInt32 = 0
    /// Attributes that the producer left out.
    package private(set) var droppedAttributes: UInt32 = 0
    /// Events that the producer left out.
    package private(set) var droppedEvents: UInt32 = 0
    /// Links that the producer left out.
    package private(set) var droppedLinks: UInt32 = 0
    /// Where the attributes stand.
    package private(set) var attributesPlace = ListPlace()
    /// Where the events stand.
    package private(set) var eventsPlace = ListPlace()
    /// Where the links stand.
    package private(set) var linksPlace = ListPlace()

    /// End, in nanoseconds since 1970.
    package var end: UInt64 { start &+ durationNanoseconds }

    init(_ reader: inout TrustedReader, from baseTime: UInt64, _ index: Int) {
        self.index = index
        let bits = reader.varint()
        // The validator has refused other kinds and statuses.
        kind = SpanKind(rawValue: UInt8(bits & 7)) ?? .unspecified
        status = SpanStatus(rawValue: UInt8(bits >> 3 & 3)) ?? .unset
        hasStatus = status != .unset || bits & SpanBit.statusMessage != 0
        traceIndex = reader.int()
        spanID = reader.spanID()
        name = reader.text()
        start = reader.time(from: baseTime)
        durationNanoseconds = reader.varint()
        if bits & SpanBit.parent != 0 { parent = reader.spanID() }
        if bits & SpanBit.attributes != 0 { attributesPlace = reader.skipAttributes() }
        if bits & SpanBit.scope != 0 { scope = reader.int() }
        if bits & SpanBit.statusMessage != 0 { statusMessage = reader.text() }
        if bits & SpanBit.traceState != 0 { traceState = reader.text() }
        if bits & SpanBit.flags != 0 { flags = reader.word() }
        if bits & SpanBit.events != 0 {
            eventsPlace = ListPlace(count: reader.int(), start: reader.position)
            for _ in 0..<eventsPlace.count { reader.skipEvent() }
        }
        if bits & SpanBit.links != 0 {
            linksPlace = ListPlace(count: reader.int(), start: reader.position)
            for _ in 0..<linksPlace.count { reader.skipLink() }
        }
        if bits & SpanBit.dropped != 0 {
            droppedAttributes = reader.word()
            droppedEvents = reader.word()
            droppedLinks = reader.word()
        }
    }
}

/// A span, decoded from its record.
@dynamicMemberLookup
package struct SpanView: Sendable {
    let batch: Batch
    /// What its record says.
    @usableFromInline package let fields: SpanFields

    /// One of its fields.
    @inlinable @inline(__always)
    package subscript<Field>(dynamicMember field: KeyPath<SpanFields, Field>) -> Field {
        fields[keyPath: field]
    }

    /// The trace's id, zero for none.
    package var traceID: TraceID { batch.traceID(fields.traceIndex) }

    /// The parent's id, or nil for a root.
    package var parentSpanID: SpanID? { fields.parent.isZero ? nil : fields.parent }

    /// The attributes.
    package var attributes: AttributeList { batch.attributes(of: fields) }

    /// The events in their order.
    package var events: EventList { batch.events(of: fields) }

    /// The links in their order.
    package var links: LinkList { batch.links(of: fields) }

    init(_ reader: inout TrustedReader, _ batch: Batch, _ index: Int) {
        self.batch = batch
        fields = SpanFields(&reader, from: batch.header.baseTime, index)
    }
}

/// Something that happened within a span.
package struct EventView: Sendable {
    /// When, in nanoseconds since 1970.
    package let time: UInt64
    /// The name.
    package let name: TextRef
    /// The attributes.
    package let attributes: AttributeList
    /// Attributes that the producer left out.
    package let droppedAttributes: UInt32

    init(_ reader: inout TrustedReader, _ batch: Batch, _ spanStart: UInt64) {
        let bits = reader.varint()
        time = reader.time(from: spanStart)
        name = reader.text()
        attributes = AttributeList(
            batch: batch,
            place: bits & EventBit.attributes != 0 ? reader.skipAttributes() : ListPlace())
        droppedAttributes = bits & EventBit.dropped != 0 ? reader.word() : 0
    }
}

/// The events of a span in their order.
package struct EventList: Sequence, Sendable {
    let batch: Batch
    let place: ListPlace
    let start: UInt64

    /// The number of events.
    package var count: Int { place.count }

    /// The first event onwards.
    package func makeIterator() -> Iterator {
        Iterator(list: self, left: place.count, reader: .init(batch.bytes, at: place.start))
    }

    /// Visits events in order.
    package struct Iterator: IteratorProtocol {
        let list: EventList
        var left: Int
        var reader: TrustedReader

        /// The next event.
        package mutating func next() -> EventView? {
            if left == 0 { return nil }
            left -= 1
            return EventView(&reader, list.batch, list.start)
        }
    }
}

/// A span's link to another.
package struct LinkView: Sendable {
    let batch: Batch
    /// The trace's index in the table, 0 for none.
    package let traceIndex: Int
    /// The linked span's id.
    package let spanID: SpanID
    /// The attributes.
    package let attributes: AttributeList
    /// W3C `tracestate`.
    package let traceState: TextRef
    /// OTLP `flags`.
    package let flags: UInt32
    /// Attributes that the producer left out.
    package let droppedAttributes: UInt32

    /// The trace's id, zero for none.
    package var traceID: TraceID { batch.traceID(traceIndex) }

    init(_ reader: inout TrustedReader, _ batch: Batch) {
        self.batch = batch
        let bits = reader.varint()
        traceIndex = reader.int()
        spanID = reader.spanID()
        attributes = AttributeList(
            batch: batch,
            place: bits & LinkBit.attributes != 0 ? reader.skipAttributes() : ListPlace())
        traceState = bits & LinkBit.traceState != 0 ? reader.text() : .none
        flags = bits & LinkBit.flags != 0 ? reader.word() : 0
        droppedAttributes = bits & LinkBit.dropped != 0 ? reader.word() : 0
    }
}

/// The links of a span in their order.
package struct LinkList: Sequence, Sendable {
    let batch: Batch
    let place: ListPlace

    /// The number of links.
    package var count: Int { place.count }

    /// The first link onwards.
    package func makeIterator() -> Iterator {
        Iterator(batch: batch, left: place.count, reader: .init(batch.bytes, at: place.start))
    }

    /// Visits links in order.
    package struct Iterator: IteratorProtocol {
        let batch: Batch
        var left: Int
        var reader: TrustedReader

        /// The next link.
        package mutating func next() -> LinkView? {
            if left == 0 { return nil }
            left -= 1
            return LinkView(&reader, batch)
        }
    }
}
