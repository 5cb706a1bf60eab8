import ByteCoding
import TelemetryBatch

/// A log record's fields before they are written.
private struct LogFields {
    var trace = ReadID()
    var span = ReadID()
    var time: UInt64 = 0
    var observedTime: UInt64 = 0
    var severity: UInt64 = 0
    var severityText = 0..<0
    var eventName = 0..<0
    var body: Range<Int>?
    var attributes = FieldRun()
    var flags: UInt32 = 0
    var dropped: UInt32 = 0
}

// Log events.
extension OTLPDecoder {
    /// Decodes the `LogRecord` that the reader is confined to.
    mutating func decodeLog(_ reader: inout ByteReader) throws(ByteError) {
        defer { work.records += 1 }
        let limit = reader.end
        let fields = try readLog(&reader)
        if fields.trace.isWrong { return reject(.traceID) }
        if fields.span.isWrong { return reject(.spanID) }
        if fields.severity > 24 { return reject(.enumeration) }
        let bytes = reader.bytes
        let best = fields.time != 0 ? fields.time : fields.observedTime
        repeat {
            guard try prepare(bytes, time: best) else { return reject(work.refusal) }
            work.reason = .limit
            builder.beginLog(
                time: fields.time, trace: TraceID(high: fields.trace.high, low: fields.trace.low),
                span: SpanID(rawValue: fields.span.low), severity: UInt8(fields.severity),
                eventName: text(fields.eventName, bytes), scope: work.scopeIndex ?? 0)
            if let body = fields.body {
                builder.beginBody()
                try writeValue(body, bytes, depth: 0)
            }
            try writeAttributes(fields.attributes, 0x32, end: limit, bytes)
            builder.observedTime(fields.observedTime)
            builder.severityText(text(fields.severityText, bytes))
            builder.logFlags(fields.flags)
            builder.logDropped(attributes: fields.dropped)
        } while endLog(best)
    }

    /// Ends the open log event; true if it must be written again.
    private mutating func endLog(_ time: UInt64) -> Bool {
        let before = builder.recordCount
        if endRecord() { return true }
        if builder.recordCount > before {
            work.logs += 1
            note(time: time)
        }
        return false
    }

    private mutating func readLog(_ reader: inout ByteReader) throws(ByteError) -> LogFields {
        var fields = LogFields()
        while !reader.isAtEnd {
            let start = reader.position
            let tag = try reader.readVarint()
            switch tag {
            case 0x32:
                fields.attributes.note(start)
                _ = try reader.readRange()
            case 0x09: fields.time = try reader.readUInt64()
            case 0x59: fields.observedTime = try reader.readUInt64()
            case 0x10: fields.severity = try reader.readVarint()
            case 0x1A: fields.severityText = try reader.readRange()
            case 0x2A:
                if fields.body != nil { result.unknownFields.note(.logRecord, number: tag >> 3) }
                fields.body = try reader.readRange()
            case 0x38: fields.dropped = try reader.readWord()
            case 0x45: fields.flags = try reader.readUInt32()
            case 0x4A: fields.trace = try ReadID.trace(&reader)
            case 0x52: fields.span = try ReadID.span(&reader)
            case 0x62: fields.eventName = try reader.readRange()
            default: try skipUnknown(tag, .logRecord, &reader)
            }
        }
        return fields
    }
}
