import ByteCoding

// Log events: `beginLog`, a body, attributes, then what is rarer, in this order; `endRecord`.
extension BatchBuilder {
    /// Begins a log event. `severity` is OTLP's SeverityNumber; above 24 the record is refused.
    package mutating func beginLog(
        time: UInt64, trace: TraceID = .zero, span: SpanID = .zero, severity: UInt8 = 0,
        eventName: TextRef = .none, scope: Int = 0
    ) {
        var bits: UInt64 = 0
        let trace = index(of: trace)
        if time != 0 { bits |= LogBit.time }
        if trace != 0 { bits |= LogBit.trace }
        if !span.isZero { bits |= LogBit.span }
        if severity != 0 { bits |= LogBit.severity }
        if !eventName.isNone { bits |= LogBit.eventName }
        if scope != 0 { bits |= LogBit.scope }
        beginRecord(
            RecordType.log, bits: bits, attributes: LogBit.attributes, scope: scope, time: time)
        if severity > 24 { record.failed = true }
        if time != 0 { records.write(zigzag: Int64(bitPattern: time &- baseTime)) }
        if trace != 0 { records.write(varint: UInt64(trace)) }
        if !span.isZero { records.write(bigEndian: span.rawValue) }
        if severity != 0 { records.write(varint: UInt64(severity)) }
        if !eventName.isNone { records.write(varint: UInt64(eventName.index)) }
    }

    /// The body. Before the attributes.
    package mutating func body(_ value: AttributeValue) {
        precondition(record.isOpen && record.stage == 0, "a body out of order")
        record.bits |= LogBit.body
        record.stage = 1
        write(value, depth: 0)
    }

    /// The body, as a text. Before the attributes.
    package mutating func body(_ text: TextRef) {
        precondition(record.isOpen && record.stage == 0, "a body out of order")
        record.bits |= LogBit.body
        record.stage = 1
        valueCount += 1
        records.write(uint8: ValueTag.string)
        records.write(varint: UInt64(text.index))
    }

    /// When the event was seen. After the attributes.
    package mutating func observedTime(_ time: UInt64) {
        if time == 0 { return }
        advance(to: 2, bit: LogBit.observedTime)
        records.write(zigzag: Int64(bitPattern: time &- baseTime))
    }

    /// The severity as the source calls it. After the observed time.
    package mutating func severityText(_ text: TextRef) {
        if text.isNone { return }
        advance(to: 3, bit: LogBit.severityText)
        records.write(varint: UInt64(text.index))
    }

    /// A log event's OTLP `flags`. After the severity text.
    package mutating func logFlags(_ flags: UInt32) {
        if flags == 0 { return }
        advance(to: 4, bit: LogBit.flags)
        records.write(varint: UInt64(flags))
    }

    /// Attributes that the producer left out. Last.
    package mutating func logDropped(attributes: UInt32) {
        if attributes == 0 { return }
        advance(to: 5, bit: LogBit.dropped)
        records.write(varint: UInt64(attributes))
    }
}
