import ByteCoding

// Spans: `beginSpan`, attributes, then what is rarer, in this order; `endRecord`.
extension BatchBuilder {
    /// Begins a span. Attributes may follow.
    package mutating func beginSpan(
        name: TextRef, kind: SpanKind, status: SpanStatus, trace: TraceID, span: SpanID,
        parent: SpanID = .zero, start: UInt64, duration: UInt64, scope: Int = 0
    ) {
        writeSpan(
            name: name, kind: kind, status: status, trace: trace, span: span, parent: parent,
            start: start, duration: duration, scope: scope, isListOpen: false, room: 64)
    }

    /// Opens a span's record, with or without a list of attributes, and makes room for `room` bytes.
    @inline(__always)
    mutating func writeSpan(
        name: TextRef, kind: SpanKind, status: SpanStatus, trace: TraceID, span: SpanID,
        parent: SpanID, start: UInt64, duration: UInt64, scope: Int, isListOpen: Bool, room: Int
    ) {
        var bits = UInt64(kind.rawValue) | UInt64(status.rawValue) &<< 3
        if !parent.isZero { bits |= SpanBit.parent }
        if scope != 0 { bits |= SpanBit.scope }
        if isListOpen { bits |= SpanBit.attributes }
        let trace = index(of: trace)
        openRecord(bits, attributes: SpanBit.attributes, scope: scope, time: start)
        // 1 + 1 + 2 + 10 + 8 + 10 + 10 + 10 + 8 bytes at most, and the list's count.
        records.write(upTo: room) {
            $0.write(uint8: RecordType.span)
            $0.write(uint8: 0)
            $0.write(varint: bits)
            $0.write(varint: UInt64(trace))
            $0.write(bigEndian: span.rawValue)
            $0.write(varint: UInt64(name.index))
            $0.write(zigzag: Int64(bitPattern: start &- baseTime))
            $0.write(varint: duration)
            if !parent.isZero { $0.write(bigEndian: parent.rawValue) }
            if isListOpen { $0.write(uint8: 0) }
        }
        if isListOpen {
            record.stage = 1
            record.list.start = records.count &- 1
            record.list.count = 0
        }
    }

    /// The status message. After the attributes.
    package mutating func statusMessage(_ message: TextRef) {
        if message.isNone { return }
        advance(to: 2, bit: SpanBit.statusMessage)
        records.write(varint: UInt64(message.index))
    }

    /// Says that a status was given although it says nothing: an empty message by its presence. In the
    /// place of the status message.
    package mutating func emptyStatus() {
        advance(to: 2, bit: SpanBit.statusMessage)
        records.write(varint: 0)
    }

    /// W3C `tracestate`. After the status message.
    package mutating func traceState(_ state: TextRef) {
        if state.isNone { return }
        advance(to: 3, bit: SpanBit.traceState)
        records.write(varint: UInt64(state.index))
    }

    /// A span's OTLP `flags`. After the trace state.
    package mutating func spanFlags(_ flags: UInt32) {
        if flags == 0 { return }
        advance(to: 4, bit: SpanBit.flags)
        records.write(varint: UInt64(flags))
    }

    /// Begins an event. Its attributes may follow, then `endEvent`.
    package mutating func beginEvent(name: TextRef, time: UInt64) {
        beginPart(stage: 5, bit: SpanBit.events)
        records.write(zigzag: Int64(bitPattern: time &- record.time))
        records.write(varint: UInt64(name.index))
    }

    /// Ends an event.
    package mutating func endEvent(droppedAttributes: UInt32 = 0) {
        endPart(bits: droppedAttributes != 0 ? UInt8(EventBit.dropped) : 0)
        if droppedAttributes != 0 { records.write(varint: UInt64(droppedAttributes)) }
    }

    /// Begins a link. After the events. Its attributes may follow, then `endLink`.
    package mutating func beginLink(trace: TraceID, span: SpanID) {
        beginPart(stage: 6, bit: SpanBit.links)
        records.write(varint: UInt64(index(of: trace)))
        records.write(bigEndian: span.rawValue)
    }

    /// Ends a link.
    package mutating func endLink(
        traceState: TextRef = .none, flags: UInt32 = 0, droppedAttributes: UInt32 = 0
    ) {
        var bits: UInt64 = 0
        if !traceState.isNone { bits |= LinkBit.traceState }
        if flags != 0 { bits |= LinkBit.flags }
        if droppedAttributes != 0 { bits |= LinkBit.dropped }
        endPart(bits: UInt8(bits))
        if !traceState.isNone { records.write(varint: UInt64(traceState.index)) }
        if flags != 0 { records.write(varint: UInt64(flags)) }
        if droppedAttributes != 0 { records.write(varint: UInt64(droppedAttributes)) }
    }

    /// What the producer left out of the span. Last.
    package mutating func spanDropped(attributes: UInt32, events: UInt32, links: UInt32) {
        if attributes | events | links == 0 { return }
        advance(to: 7, bit: SpanBit.dropped)
        records.write(varint: UInt64(attributes))
        records.write(varint: UInt64(events))
        records.write(varint: UInt64(links))
    }
}
