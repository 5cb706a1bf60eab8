import ByteCoding
import TelemetryBatch

/// A span's fields before they are written: numbers, and places in the bytes.
private struct SpanFields {
    var trace = ReadID()
    var span = ReadID()
    var parent = ReadID()
    var name = 0..<0
    var traceState = 0..<0
    var statusMessage = 0..<0
    var kind: UInt64 = 0
    var hasStatus = false
    var status: UInt64 = 0
    var start: UInt64 = 0
    var end: UInt64 = 0
    var flags: UInt32 = 0
    var droppedAttributes: UInt32 = 0
    var droppedEvents: UInt32 = 0
    var droppedLinks: UInt32 = 0
    var attributes = FieldRun()
    var events = FieldRun()
    var links = FieldRun()
}

// Spans, events and links.
extension OTLPDecoder {
    /// Decodes the `Span` that the reader is confined to.
    mutating func decodeSpan(_ reader: inout ByteReader) throws(ByteError) {
        defer { work.records += 1 }
        let limit = reader.end
        let fields = try readSpan(&reader)
        if fields.trace.isWrong { return reject(.traceID) }
        if fields.span.isWrong || fields.parent.isWrong { return reject(.spanID) }
        guard let kind = SpanKind(rawValue: UInt8(clamping: fields.kind)),
            let status = SpanStatus(rawValue: UInt8(clamping: fields.status))
        else { return reject(.enumeration) }
        let bytes = reader.bytes
        repeat {
            guard try prepare(bytes, time: fields.start) else { return reject(work.refusal) }
            work.reason = .limit
            let name = text(fields.name, bytes)
            builder.beginSpan(
                name: name, kind: kind, status: status,
                trace: TraceID(high: fields.trace.high, low: fields.trace.low),
                span: SpanID(rawValue: fields.span.low),
                parent: SpanID(rawValue: fields.parent.low), start: fields.start,
                duration: fields.end &- fields.start, scope: work.scopeIndex ?? 0)
            try writeAttributes(fields.attributes, 0x4A, of: name, end: limit, bytes)
            if fields.hasStatus, fields.statusMessage.isEmpty, status == .unset {
                builder.emptyStatus()
            } else {
                builder.statusMessage(text(fields.statusMessage, bytes))
            }
            builder.traceState(text(fields.traceState, bytes))
            builder.spanFlags(fields.flags)
            if fields.events.count > 0 { try writeEvents(fields.events, end: limit, bytes) }
            if fields.links.count > 0 { try writeLinks(fields.links, end: limit, bytes) }
            builder.spanDropped(
                attributes: fields.droppedAttributes, events: fields.droppedEvents,
                links: fields.droppedLinks)
        } while end(span: fields)
    }

    /// Ends the open span; true if it must be written again.
    private mutating func end(span fields: borrowing SpanFields) -> Bool {
        let before = builder.recordCount
        if endRecord() { return true }
        if builder.recordCount > before {
            work.spans += 1
            note(time: fields.start)
            note(time: fields.end)
        }
        return false
    }

    private mutating func readSpan(_ reader: inout ByteReader) throws(ByteError) -> SpanFields {
        var fields = SpanFields()
        while !reader.isAtEnd {
            let start = reader.position
            let tag = try reader.readVarint()
            switch tag {
            case 0x4A:
                fields.attributes.note(start)
                try reader.skip(try reader.readLength())
            case 0x0A: fields.trace = try ReadID.trace(&reader)
            case 0x12: fields.span = try ReadID.span(&reader)
            case 0x22: fields.parent = try ReadID.span(&reader)
            case 0x2A: fields.name = try reader.readRange()
            case 0x30: fields.kind = try reader.readVarint()
            case 0x39: fields.start = try reader.readUInt64()
            case 0x41: fields.end = try reader.readUInt64()
            case 0x7A:
                let outer = try reader.enterField()
                fields.hasStatus = true
                try readStatus(&reader, &fields)
                reader.leave(to: outer)
            default: try readRareField(tag, start, &reader, &fields)
            }
        }
        return fields
    }

    private mutating func readRareField(
        _ tag: UInt64, _ start: Int, _ reader: inout ByteReader, _ fields: inout SpanFields
    ) throws(ByteError) {
        switch tag {
        case 0x1A: fields.traceState = try reader.readRange()
        case 0x50: fields.droppedAttributes = try reader.readWord()
        case 0x5A:
            fields.events.note(start)
            _ = try reader.readRange()
        case 0x60: fields.droppedEvents = try reader.readWord()
        case 0x6A:
            fields.links.note(start)
            _ = try reader.readRange()
        case 0x70: fields.droppedLinks = try reader.readWord()
        case 0x85: fields.flags = try reader.readUInt32()
        default: try skipUnknown(tag, .span, &reader)
        }
    }

    private mutating func readStatus(
        _ reader: inout ByteReader, _ fields: inout SpanFields
    ) throws(ByteError) {
        while !reader.isAtEnd {
            let tag = try reader.readVarint()
            switch tag {
            case 0x12: fields.statusMessage = try reader.readRange()
            case 0x18: fields.status = try reader.readVarint()
            default: try skipUnknown(tag, .status, &reader)
            }
        }
    }

    private mutating func writeEvents(
        _ run: FieldRun, end: Int, _ bytes: RawSpan
    ) throws(ByteError) {
        if run.count > BatchLimits.eventsMax { return builder.refuse() }
        var left = run.count
        var reader = ByteReader(bytes, in: run.start..<end)
        while left > 0 {
            let tag = try reader.readVarint()
            if tag != 0x5A {
                try reader.skipField(tag)
                continue
            }
            left -= 1
            let outer = try reader.enterField()
            try writeEvent(&reader)
            reader.leave(to: outer)
            if left & 31 == 0, builder.isOverfull() { return }
        }
    }

    private mutating func writeEvent(_ reader: inout ByteReader) throws(ByteError) {
        var time: UInt64 = 0
        var name = 0..<0
        var attributes = FieldRun()
        var dropped: UInt32 = 0
        while !reader.isAtEnd {
            let start = reader.position
            let tag = try reader.readVarint()
            switch tag {
            case 0x09: time = try reader.readUInt64()
            case 0x12: name = try reader.readRange()
            case 0x1A:
                attributes.note(start)
                _ = try reader.readRange()
            case 0x20: dropped = try reader.readWord()
            default: try skipUnknown(tag, .event, &reader)
            }
        }
        builder.beginEvent(name: text(name, reader.bytes), time: time)
        try writeAttributes(attributes, 0x1A, end: reader.end, reader.bytes)
        builder.endEvent(droppedAttributes: dropped)
    }

    private mutating func writeLinks(
        _ run: FieldRun, end: Int, _ bytes: RawSpan
    ) throws(ByteError) {
        if run.count > BatchLimits.eventsMax { return builder.refuse() }
        var left = run.count
        var reader = ByteReader(bytes, in: run.start..<end)
        while left > 0 {
            let tag = try reader.readVarint()
            if tag != 0x6A {
                try reader.skipField(tag)
                continue
            }
            left -= 1
            let outer = try reader.enterField()
            try writeLink(&reader)
            reader.leave(to: outer)
            if left & 31 == 0, builder.isOverfull() { return }
        }
    }

    private mutating func writeLink(_ reader: inout ByteReader) throws(ByteError) {
        var trace = ReadID()
        var span = ReadID()
        var traceState = 0..<0
        var attributes = FieldRun()
        var dropped: UInt32 = 0
        var flags: UInt32 = 0
        while !reader.isAtEnd {
            let start = reader.position
            let tag = try reader.readVarint()
            switch tag {
            case 0x0A: trace = try ReadID.trace(&reader)
            case 0x12: span = try ReadID.span(&reader)
            case 0x1A: traceState = try reader.readRange()
            case 0x22:
                attributes.note(start)
                _ = try reader.readRange()
            case 0x28: dropped = try reader.readWord()
            case 0x35: flags = try reader.readUInt32()
            default: try skipUnknown(tag, .link, &reader)
            }
        }
        if trace.isWrong || span.isWrong {
            work.reason = trace.isWrong ? .traceID : .spanID
            builder.refuse()
        }
        builder.beginLink(
            trace: TraceID(high: trace.high, low: trace.low), span: SpanID(rawValue: span.low))
        try writeAttributes(attributes, 0x22, end: reader.end, reader.bytes)
        builder.endLink(
            traceState: text(traceState, reader.bytes), flags: flags, droppedAttributes: dropped)
    }
}
