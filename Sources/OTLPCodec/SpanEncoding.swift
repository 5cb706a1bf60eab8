import ByteCoding
import TelemetryBatch

// Spans and log events.
extension BatchEncoding {
    /// Writes a span as a `Span` of the open scope.
    mutating func write(_ span: SpanFields, _ bytes: RawSpan, to output: inout ByteWriter) {
        open(scope: span.scope, bytes, &output)
        // Most spans with some attributes have 128 bytes and more.
        let attributes = span.attributesPlace
        let room = attributes.count > 1 ? 2 : 1
        let place = output.open(0x12, room: room)
        let name = bytes.extracting(batch.range(span.name))
        output.field(0x0A, traceID: batch.traceID(span.traceIndex))
        output.field(0x12, spanID: span.spanID.rawValue)
        if !span.traceState.isNone {
            output.field(0x1A, bytes: bytes.extracting(batch.range(span.traceState)))
        }
        output.field(0x22, spanID: span.parent.rawValue)
        output.field(0x2A, bytes: name)
        output.field(0x30, varint: UInt64(span.kind.rawValue))
        output.field(0x39, fixed64: span.start)
        output.field(0x41, fixed64: span.end)
        output.writeAttributes(0x4A, in: attributes, batch, bytes)
        if addsDurations { addDuration(span, name, to: &output) }
        output.field(0x50, varint: UInt64(span.droppedAttributes))
        if !span.eventsPlace.isEmpty { write(batch.events(of: span), bytes, to: &output) }
        output.field(0x60, varint: UInt64(span.droppedEvents))
        if !span.linksPlace.isEmpty { write(batch.links(of: span), bytes, to: &output) }
        output.field(0x70, varint: UInt64(span.droppedLinks))
        if span.hasStatus {
            let status = output.open(0x7A)
            output.field(0x12, bytes: bytes.extracting(batch.range(span.statusMessage)))
            output.field(0x18, varint: UInt64(span.status.rawValue))
            output.close(status)
        }
        if span.flags != 0 {
            output.write(uint8: 0x85)
            output.write(uint8: 0x01)
            output.write(uint32: span.flags)
        }
        output.close(place, room: room)
    }

    private static let durationKeyBytes: [UInt8] = Array("duration_ms".utf8)

    /// `duration_ms` is derived (batch.md, "What is derived"): a span that has it keeps its own.
    private func addDuration(_ span: SpanFields, _ name: RawSpan, to output: inout ByteWriter) {
        guard name.byteCount > 6, span.durationNanoseconds <= UInt64(Int64.max) else { return }
        let first = name.unsafeLoadUnaligned(fromByteOffset: 0, as: UInt32.self).littleEndian
        let rest = name.unsafeLoadUnaligned(fromByteOffset: 4, as: UInt16.self).littleEndian
        // "code" and "x.".
        guard first == 0x6564_6F63, rest == 0x2E78 else { return }
        if let durationKey, batch.attributes(of: span).contains(where: { $0.key == durationKey }) {
            return
        }
        let milliseconds = Double(span.durationNanoseconds) / 1e6
        output.beginKeyValue(0x4A, BatchEncoding.durationKeyBytes.span.bytes, valueBytes: 9)
        output.explicitField(0x21, fixed64: milliseconds.bitPattern)
    }

    private func write(_ events: EventList, _ bytes: RawSpan, to output: inout ByteWriter) {
        for event in events {
            let place = output.open(0x5A)
            output.field(0x09, fixed64: event.time)
            output.field(0x12, bytes: bytes.extracting(batch.range(event.name)))
            output.writeAttributes(0x1A, event.attributes, batch, bytes)
            output.field(0x20, varint: UInt64(event.droppedAttributes))
            output.close(place)
        }
    }

    private func write(_ links: LinkList, _ bytes: RawSpan, to output: inout ByteWriter) {
        for link in links {
            let place = output.open(0x6A)
            output.field(0x0A, traceID: link.traceID)
            output.field(0x12, spanID: link.spanID.rawValue)
            output.field(0x1A, bytes: bytes.extracting(batch.range(link.traceState)))
            output.writeAttributes(0x22, link.attributes, batch, bytes)
            output.field(0x28, varint: UInt64(link.droppedAttributes))
            if link.flags != 0 {
                output.write(uint8: 0x35)
                output.write(uint32: link.flags)
            }
            output.close(place)
        }
    }

    /// Writes a log event as a `LogRecord` of the open scope.
    mutating func write(_ log: LogView, _ bytes: RawSpan, to output: inout ByteWriter) {
        open(scope: log.scope, bytes, &output)
        let room = log.attributes.count > 1 ? 2 : 1
        let place = output.open(0x12, room: room)
        output.field(0x09, fixed64: log.time)
        output.field(0x10, varint: UInt64(log.severity))
        output.field(0x1A, bytes: bytes.extracting(batch.range(log.severityText)))
        if log.body != nil {
            var reader = ValueReader(bodyOf: log, in: bytes)
            output.writeAnyValue(0x2A, reader.value(), &reader, batch, bytes)
        }
        output.writeAttributes(0x32, log.attributes, batch, bytes)
        output.field(0x38, varint: UInt64(log.droppedAttributes))
        if log.flags != 0 {
            output.write(uint8: 0x45)
            output.write(uint32: log.flags)
        }
        output.field(0x4A, traceID: log.traceID)
        output.field(0x52, spanID: log.span.rawValue)
        output.field(0x59, fixed64: log.observedTime)
        output.field(0x62, bytes: bytes.extracting(batch.range(log.eventName)))
        output.close(place, room: room)
    }
}
