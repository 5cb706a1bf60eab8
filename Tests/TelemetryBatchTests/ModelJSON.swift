import ByteCoding
import TelemetryBatch

// A model as the canonical JSON of contrib/protocol/vectors/README.md.
extension JSONWriter {
    mutating func field(_ name: String, _ value: String) {
        key(name)
        string(value)
    }

    /// A 64-bit integer is a decimal string, since many readers of JSON have only doubles.
    mutating func field(_ name: String, wide value: some BinaryInteger) {
        field(name, String(value))
    }

    mutating func field(_ name: String, _ value: some BinaryInteger) {
        key(name)
        integer(value)
    }

    mutating func field(_ name: String, _ value: Bool) {
        key(name)
        bool(value)
    }

    mutating func field(_ name: String, _ value: Double?) {
        key(name)
        if let value { double(value) } else { null() }
    }

    mutating func field<Element>(
        _ name: String, _ list: [Element], _ write: (inout JSONWriter, Element) -> Void
    ) {
        key(name)
        beginArray()
        for element in list { write(&self, element) }
        endArray()
    }

    mutating func wide(_ value: UInt64) { string(String(value)) }

    mutating func field(_ name: String, _ attributes: [Attribute]) {
        field(name, attributes) { $0.attribute($1) }
    }

    mutating func attribute(_ attribute: Attribute) {
        beginArray()
        string(attribute.key)
        value(attribute.value)
        endArray()
    }

    mutating func value(_ value: AttributeValue) {
        beginObject()
        switch value {
        case .none:
            key("none")
            null()
        case .string(let text): field("string", text)
        case .bool(let value): field("bool", value)
        case .int(let value): field("int", wide: value)
        case .double(let value): field("double", value)
        case .bytes(let bytes): field("bytes", hex(bytes))
        case .array(let values): field("array", values) { $0.value($1) }
        case .map(let entries): field("map", entries)
        }
        endObject()
    }

    mutating func number(_ value: NumberValue) {
        beginObject()
        switch value {
        case .none:
            key("none")
            null()
        case .int(let value): field("int", wide: value)
        case .double(let value): field("double", value)
        }
        endObject()
    }
}

func hex(_ bytes: some Sequence<UInt8>) -> String {
    String(
        decoding: bytes.flatMap { [Hexadecimal.digit($0 >> 4), Hexadecimal.digit($0 & 15)] },
        as: UTF8.self)
}

extension BatchModel {
    /// The whole content, with the summary that a validator gives.
    func json(_ summary: BatchSummary) -> String {
        var json = JSONWriter()
        json.beginObject()
        json.key("header")
        json.beginObject()
        json.field("version", 0)
        json.field("record_count", header.recordCount)
        json.field("producer", header.producer.hex)
        json.field("sequence", wide: header.sequence)
        json.field("base_time", wide: header.baseTime)
        json.field("sampling_threshold", wide: header.samplingThreshold)
        json.field("dropped_spans", header.dropped.spans)
        json.field("dropped_logs", header.dropped.logs)
        json.field("dropped_points", header.dropped.points)
        json.endObject()
        json.key("resource")
        json.beginObject()
        json.field("schema_url", resource.schemaURL)
        json.field("dropped_attributes", resource.droppedAttributes)
        json.field("attributes", resource.attributes)
        json.endObject()
        json.field("scopes", scopes) { $1.write(&$0) }
        json.field("metrics", metrics) { $1.write(&$0) }
        json.field("records", records) { $1.write(&$0) }
        json.key("summary")
        summary.write(&json)
        json.endObject()
        return json.text
    }
}

extension BatchSummary {
    func write(_ json: inout JSONWriter) {
        json.beginObject()
        json.field("spans", spans)
        json.field("logs", logs)
        json.field("points", points)
        json.field("others", others)
        json.field("earliest", wide: earliest)
        json.field("latest", wide: latest)
        json.field("trace_ids", traceIDs) { $0.string($1.hex) }
        json.endObject()
    }
}

extension Scope {
    func write(_ json: inout JSONWriter) {
        json.beginObject()
        json.field("name", name)
        json.field("version", version)
        json.field("schema_url", schemaURL)
        json.field("dropped_attributes", droppedAttributes)
        json.field("attributes", attributes)
        json.endObject()
    }
}

extension MetricModel {
    func write(_ json: inout JSONWriter) {
        json.beginObject()
        json.field("kind", metric.kind.rawValue)
        json.field("temporality", metric.temporality.rawValue)
        json.field("monotonic", metric.isMonotonic)
        json.field("name", metric.name)
        json.field("description", metric.description)
        json.field("unit", metric.unit)
        json.field("scope", scope)
        json.field("metadata", metric.metadata)
        json.endObject()
    }
}

extension RecordModel {
    func write(_ json: inout JSONWriter) {
        json.beginObject()
        switch self {
        case .span(let span): span.write(&json)
        case .log(let log): log.write(&json)
        case .point(let point): point.write(&json)
        case .unknown(let type):
            json.field("type", "unknown")
            json.field("number", type)
        }
        json.endObject()
    }
}

extension SpanModel {
    func write(_ json: inout JSONWriter) {
        json.field("type", "span")
        json.field("kind", kind.rawValue)
        json.field("status", status.rawValue)
        json.field("status_message", statusMessage)
        json.field("trace_id", trace.hex)
        json.field("span_id", span.hex)
        json.field("parent_span_id", parent.hex)
        json.field("name", name)
        json.field("start", wide: start)
        json.field("duration", wide: duration)
        json.field("attributes", attributes)
        json.field("scope", scope)
        json.field("trace_state", traceState)
        json.field("flags", flags)
        json.field("events", events) { json, event in
            json.beginObject()
            json.field("time", wide: event.time)
            json.field("name", event.name)
            json.field("attributes", event.attributes)
            json.field("dropped_attributes", event.droppedAttributes)
            json.endObject()
        }
        json.field("links", links) { json, link in
            json.beginObject()
            json.field("trace_id", link.trace.hex)
            json.field("span_id", link.span.hex)
            json.field("attributes", link.attributes)
            json.field("trace_state", link.traceState)
            json.field("flags", link.flags)
            json.field("dropped_attributes", link.droppedAttributes)
            json.endObject()
        }
        json.field("dropped_attributes", droppedAttributes)
        json.field("dropped_events", droppedEvents)
        json.field("dropped_links", droppedLinks)
    }
}

extension LogModel {
    func write(_ json: inout JSONWriter) {
        json.field("type", "log")
        json.field("time", wide: time)
        json.field("observed_time", wide: observedTime)
        json.field("trace_id", trace.hex)
        json.field("span_id", span.hex)
        json.field("severity", severity)
        json.field("severity_text", severityText)
        json.field("event_name", eventName)
        json.key("body")
        if let body { json.value(body) } else { json.null() }
        json.field("attributes", attributes)
        json.field("scope", scope)
        json.field("flags", flags)
        json.field("dropped_attributes", droppedAttributes)
    }
}

extension PointModel {
    func write(_ json: inout JSONWriter) {
        switch value {
        case .number: json.field("type", "number")
        case .histogram: json.field("type", "histogram")
        case .exponential: json.field("type", "exponential")
        case .summary: json.field("type", "summary")
        }
        json.field("metric", metric)
        json.field("time", wide: time)
        json.field("start_time", wide: startTime)
        json.field("attributes", attributes)
        json.field("exemplars", exemplars) { json, exemplar in
            json.beginObject()
            json.field("time", wide: exemplar.time)
            json.field("attributes", exemplar.attributes)
            json.field("trace_id", exemplar.trace.hex)
            json.field("span_id", exemplar.span.hex)
            json.key("value")
            json.number(exemplar.value)
            json.endObject()
        }
        json.field("flags", flags)
        value.write(&json)
    }
}

extension PointModelValue {
    func write(_ json: inout JSONWriter) {
        switch self {
        case .number(let number):
            json.key("value")
            json.number(number)
        case .histogram(let count, let bounds, let buckets, let sum, let min, let max):
            json.field("count", wide: count)
            json.field("bounds", bounds) { $0.double($1) }
            json.field("buckets", buckets) { $0.wide($1) }
            json.field("sum", sum)
            json.field("min", min)
            json.field("max", max)
        case .exponential(
            let count, let scale, let zeroCount, let sum, let min, let max, let threshold,
            let positive, let negative):
            json.field("count", wide: count)
            json.field("scale", scale)
            json.field("zero_count", wide: zeroCount)
            json.field("sum", sum)
            json.field("min", min)
            json.field("max", max)
            json.field("zero_threshold", threshold)
            PointModelValue.write(&json, "positive", positive)
            PointModelValue.write(&json, "negative", negative)
        case .summary(let count, let sum, let quantiles):
            json.field("count", wide: count)
            json.field("sum", sum)
            json.field("quantiles", quantiles) { json, entry in
                json.beginArray()
                json.double(entry.quantile)
                json.double(entry.value)
                json.endArray()
            }
        }
    }

    private static func write(_ json: inout JSONWriter, _ name: String, _ side: ExponentialSide?) {
        json.key(name)
        guard let side else {
            json.null()
            return
        }
        json.beginObject()
        json.field("offset", side.offset)
        json.field("buckets", side.counts) { $0.wide($1) }
        json.endObject()
    }
}
