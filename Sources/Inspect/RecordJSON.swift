import ByteCoding
import Meaning
import SegmentLog
import TelemetryBatch

/// A record as one JSON object on one line, with every field that it has. What a record does not have is
/// left out. A member changes its meaning only with a higher `schema`; members are added without.
package struct RecordJSON {
    /// The version of the schema.
    package static let schema = 1

    private var writer = JSONWriter()

    /// An empty writer, to be used again and again.
    package init() {}

    /// The record's line, newline included.
    package mutating func line(_ record: StoredRecord) -> [UInt8] {
        writer.removeAll()
        writer.beginObject()
        member("schema", Self.schema)
        member("record", record.meaning.signal.name.description)
        meaning(record)
        let batch = record.batch
        switch record.record {
        case .span(let span): self.span(span, batch)
        case .log(let log): self.log(log, batch)
        case .point(let point): self.point(point, batch)
        case .unknown: break
        }
        resource(batch)
        origin(record)
        writer.endObject()
        writer.newline()
        return writer.bytes
    }

    // MARK: What it means, where it is from

    private mutating func meaning(_ record: StoredRecord) {
        let meaning = record.meaning
        let batch = record.batch
        member("time", TimeText.rfc3339(record.time))
        member("message", batch.sentence(meaning))
        if let operation = meaning.operation { member("operation", operation.name.description) }
        member("status", meaning.status.name.description)
        for (key, value) in [
            ("name", meaning.name), ("subject", meaning.subject), ("error_type", meaning.errorType),
            ("service", meaning.service), ("session_id", meaning.session),
            ("originator", meaning.originator),
        ] {
            if let text = batch.string(value) { member(key, text) }
        }
        member("originator_class", meaning.originatorClass.name.description)
        if let duration = meaning.durationNanoseconds {
            writer.key("duration_ms")
            writer.raw(
                TextFormat.text { TextFormat.milliseconds(nanoseconds: duration, into: &$0) })
            member("duration_ns", duration)
        }
        if meaning.isRetried { member("retried", true) }
    }

    private mutating func origin(_ record: StoredRecord) {
        let envelope = record.entry.envelope
        if !record.entry.logID.isZero { member("log_id", record.entry.logID.hex) }
        member("offset", record.place)
        member("received", TimeText.rfc3339(envelope.received))
        member("receiver", envelope.receiverKind.map(Self.name) ?? "\(envelope.receiver)")
        if envelope.flags & 1 == 1 { member("rewritten", true) }
        writer.key("peer")
        writer.beginObject()
        if let uid = envelope.peer.uid { member("uid", uid) }
        if let gid = envelope.peer.gid { member("gid", gid) }
        if let pid = envelope.peer.pid { member("pid", pid) }
        if let ticks = envelope.peer.startTicks { member("start_ticks", ticks) }
        writer.endObject()
        member("producer", envelope.producer.hex)
        member("sequence", envelope.sequence)
        let threshold = record.batch.header.samplingThreshold
        if threshold != 0 { member("sampling_threshold", threshold) }
    }

    private static func name(_ kind: ReceiverKind) -> String {
        switch kind {
        case .socket: "socket"
        case .file: "file"
        case .otlpHTTP: "otlp_http"
        case .otlpGRPC: "otlp_grpc"
        case .agent: "agent"
        }
    }

    // MARK: Spans and events

    private mutating func span(_ span: SpanView, _ batch: Batch) {
        if !span.traceID.isZero { member("trace_id", span.traceID.hex) }
        member("span_id", span.spanID.hex)
        if let parent = span.parentSpanID { member("parent_span_id", parent.hex) }
        member("kind", Self.name(span.kind))
        member("start", TimeText.rfc3339(span.start))
        member("end", TimeText.rfc3339(span.end))
        writer.key("span_status")
        writer.string(Self.name(span.status))
        text("status_message", span.statusMessage, batch)
        text("trace_state", span.traceState, batch)
        if span.flags != 0 { member("flags", span.flags) }
        attributes("attributes", span.attributes, batch)
        if span.events.count > 0 {
            writer.key("events")
            writer.beginArray()
            for event in span.events {
                writer.beginObject()
                member("time", TimeText.rfc3339(event.time))
                member("name", batch.text(event.name))
                attributes("attributes", event.attributes, batch)
                dropped("dropped_attributes", event.droppedAttributes)
                writer.endObject()
            }
            writer.endArray()
        }
        links(span.links, batch)
        dropped("dropped_attributes", span.droppedAttributes)
        dropped("dropped_events", span.droppedEvents)
        dropped("dropped_links", span.droppedLinks)
        scope(span.scope, batch)
    }

    private mutating func links(_ links: LinkList, _ batch: Batch) {
        guard links.count > 0 else { return }
        writer.key("links")
        writer.beginArray()
        for link in links {
            writer.beginObject()
            member("trace_id", link.traceID.hex)
            member("span_id", link.spanID.hex)
            attributes("attributes", link.attributes, batch)
            text("trace_state", link.traceState, batch)
            if link.flags != 0 { member("flags", link.flags) }
            dropped("dropped_attributes", link.droppedAttributes)
            writer.endObject()
        }
        writer.endArray()
    }

    private mutating func log(_ log: LogView, _ batch: Batch) {
        if !log.traceID.isZero { member("trace_id", log.traceID.hex) }
        if let span = log.spanID { member("span_id", span.hex) }
        if log.observedTime != 0 { member("observed_time", TimeText.rfc3339(log.observedTime)) }
        if log.severity != 0 { member("severity", log.severity) }
        text("severity_text", log.severityText, batch)
        text("event_name", log.eventName, batch)
        if let body = log.body {
            writer.key("body")
            value(body, batch)
        }
        if log.flags != 0 { member("flags", log.flags) }
        attributes("attributes", log.attributes, batch)
        dropped("dropped_attributes", log.droppedAttributes)
        scope(log.scope, batch)
    }

    // MARK: Values and tables

    /// Attributes as an object. Keys may repeat in a record but not in an object that programs read: what
    /// follows the first of a key goes to `<name>_repeated`, as key and value.
    mutating func attributes(_ name: String, _ list: AttributeList, _ batch: Batch) {
        guard !list.isEmpty else { return }
        writer.key(name)
        let repeated = object(list, batch)
        guard !repeated.isEmpty else { return }
        writer.key(name + "_repeated")
        writer.beginArray()
        for (key, value) in repeated {
            writer.beginObject()
            member("key", batch.text(key))
            writer.key("value")
            self.value(value, batch)
            writer.endObject()
        }
        writer.endArray()
    }

    private mutating func object(_ list: AttributeList, _ batch: Batch)
        -> [(key: TextRef, value: Value)]
    {
        var seen: Set<String> = []
        var repeated: [(key: TextRef, value: Value)] = []
        writer.beginObject()
        for (key, value) in list {
            let name = batch.text(key)
            guard seen.insert(name).inserted else {
                repeated.append((key, value))
                continue
            }
            writer.key(name)
            self.value(value, batch)
        }
        writer.endObject()
        return repeated
    }

    /// A value; bytes are an object of one member, `base64`. The validator has bounded the nesting.
    private mutating func value(_ value: Value, _ batch: Batch) {
        switch value {
        case .none: writer.null()
        case .string(let ref): writer.string(batch.text(ref))
        case .bool(let value): writer.bool(value)
        case .int(let value): writer.integer(value)
        case .double(let value): writer.double(value)
        case .bytes(let ref):
            writer.beginObject()
            member("base64", Base64.text(batch.data(ref)))
            writer.endObject()
        case .array(let values):
            writer.beginArray()
            for value in values { self.value(value, batch) }
            writer.endArray()
        case .map(let entries): _ = object(entries, batch)
        }
    }

    private mutating func resource(_ batch: Batch) {
        let resource = batch.resource
        guard !resource.attributes.isEmpty || !resource.schemaURL.isNone else { return }
        writer.key("resource")
        writer.beginObject()
        attributes("attributes", resource.attributes, batch)
        text("schema_url", resource.schemaURL, batch)
        dropped("dropped_attributes", resource.droppedAttributes)
        writer.endObject()
    }

    mutating func scope(_ index: Int, _ batch: Batch) {
        guard index > 0 else { return }
        let scope = batch.scope(index)
        writer.key("scope")
        writer.beginObject()
        text("name", scope.name, batch)
        text("version", scope.version, batch)
        text("schema_url", scope.schemaURL, batch)
        attributes("attributes", scope.attributes, batch)
        dropped("dropped_attributes", scope.droppedAttributes)
        writer.endObject()
    }

    // MARK: Members

    mutating func member(_ key: String, _ value: String) {
        writer.key(key)
        writer.string(value)
    }

    mutating func member(_ key: String, _ value: some BinaryInteger) {
        writer.key(key)
        writer.integer(value)
    }

    mutating func member(_ key: String, _ value: Bool) {
        writer.key(key)
        writer.bool(value)
    }

    mutating func member(_ key: String, _ value: Double?) {
        guard let value else { return }
        writer.key(key)
        writer.double(value)
    }

    mutating func text(_ key: String, _ ref: TextRef, _ batch: Batch) {
        if !ref.isNone { member(key, batch.text(ref)) }
    }

    mutating func array(_ key: String, _ body: (inout JSONWriter) -> Void) {
        writer.key(key)
        writer.beginArray()
        body(&writer)
        writer.endArray()
    }

    mutating func object(_ key: String, _ body: (inout RecordJSON) -> Void) {
        writer.key(key)
        writer.beginObject()
        body(&self)
        writer.endObject()
    }

    mutating func objects(_ key: String, _ bodies: [(inout RecordJSON) -> Void]) {
        writer.key(key)
        writer.beginArray()
        for body in bodies {
            writer.beginObject()
            body(&self)
            writer.endObject()
        }
        writer.endArray()
    }

    private mutating func dropped(_ key: String, _ count: UInt32) {
        if count != 0 { member(key, count) }
    }

    private static func name(_ kind: SpanKind) -> String {
        switch kind {
        case .unspecified: "unspecified"
        case .internal: "internal"
        case .server: "server"
        case .client: "client"
        case .producer: "producer"
        case .consumer: "consumer"
        }
    }

    private static func name(_ status: SpanStatus) -> String {
        switch status {
        case .unset: "unset"
        case .ok: "ok"
        case .error: "error"
        }
    }
}

/// RFC 4648 §4.
enum Base64 {
    private static let alphabet = Array(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    static func text(_ bytes: ArraySlice<UInt8>) -> String {
        var text: [UInt8] = []
        text.reserveCapacity((bytes.count + 2) / 3 * 4)
        var rest = bytes[...]
        while let first = rest.first {
            let group = rest.prefix(3)
            rest = rest.dropFirst(3)
            let padded = [first] + group.dropFirst() + [0, 0]
            let word = UInt32(padded[0]) << 16 | UInt32(padded[1]) << 8 | UInt32(padded[2])
            for place in 0..<4 {
                let isPadding = place > group.count
                let digit = Int(word >> UInt32(18 - 6 * place)) & 63
                text.append(isPadding ? UInt8(ascii: "=") : alphabet[digit])
            }
        }
        return String(decoding: text, as: UTF8.self)
    }
}
