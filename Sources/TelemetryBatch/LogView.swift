/// A log event, decoded from its record.
package struct LogView: Sendable {
    let batch: Batch
    private var attributesPlace = ListPlace()
    /// Where the body stands; −1 if there is none.
    private(set) var bodyStart = -1

    /// The record's place in the batch, from 0.
    package let index: Int
    /// When it happened, in nanoseconds since 1970; 0 if not given.
    package private(set) var time: UInt64 = 0
    /// When it was seen, in nanoseconds since 1970; 0 if not given.
    package private(set) var observedTime: UInt64 = 0
    /// The trace's index in the table, 0 for none.
    package private(set) var traceIndex = 0
    /// The span's id, zero for none.
    package private(set) var span = SpanID.zero
    /// OTLP SeverityNumber, 0–24; 0 if not given.
    package private(set) var severity: UInt8 = 0
    /// The severity as the source calls it.
    package private(set) var severityText = TextRef.none
    /// What kind of event it is.
    package private(set) var eventName = TextRef.none
    /// The body, or nil if there is none.
    package private(set) var body: Value?
    /// The scope's index, 0 for none.
    package private(set) var scope = 0
    /// OTLP `flags`.
    package private(set) var flags: UInt32 = 0
    /// Attributes that the producer left out.
    package private(set) var droppedAttributes: UInt32 = 0

    /// The trace's id, zero for none.
    package var traceID: TraceID { batch.traceID(traceIndex) }

    /// The span's id, or nil for none.
    package var spanID: SpanID? { span.isZero ? nil : span }

    /// The time, or else when it was seen; 0 if neither is given.
    package var bestTime: UInt64 { time != 0 ? time : observedTime }

    /// The attributes.
    package var attributes: AttributeList { AttributeList(batch: batch, place: attributesPlace) }

    init(_ reader: inout TrustedReader, _ batch: Batch, _ index: Int) {
        self.batch = batch
        self.index = index
        let base = batch.header.baseTime
        let bits = reader.varint()
        if bits & LogBit.time != 0 { time = reader.time(from: base) }
        if bits & LogBit.trace != 0 { traceIndex = reader.int() }
        if bits & LogBit.span != 0 { span = reader.spanID() }
        if bits & LogBit.severity != 0 { severity = UInt8(truncatingIfNeeded: reader.varint()) }
        if bits & LogBit.eventName != 0 { eventName = reader.text() }
        if bits & LogBit.body != 0 {
            bodyStart = reader.position
            body = Value(&reader, batch)
        }
        if bits & LogBit.attributes != 0 { attributesPlace = reader.skipAttributes() }
        if bits & LogBit.scope != 0 { scope = reader.int() }
        if bits & LogBit.observedTime != 0 { observedTime = reader.time(from: base) }
        if bits & LogBit.severityText != 0 { severityText = reader.text() }
        if bits & LogBit.flags != 0 { flags = reader.word() }
        if bits & LogBit.dropped != 0 { droppedAttributes = reader.word() }
    }
}
