import ByteCoding
import Export
import TelemetryBatch

/// Records as the Collector's debug exporter prints them.
enum RecordText {
    /// `Traces, logs, metrics` by their number.
    static func counts(_ export: ExportBatch) -> String {
        var (spans, logs, points) = (0, 0, 0)
        for place in export.batch.places
        where export.ranges.contains(where: { $0.contains(place.index) }) {
            if place.isSpan { spans += 1 }
            if place.isLog { logs += 1 }
            if place.isPoint { points += 1 }
        }
        let found = [
            ("Traces spans", spans), ("Logs log records", logs), ("Metrics data points", points),
        ]
        let parts = found.filter { $0.1 > 0 }.map { "\($0.0): \($0.1)" }
        return parts.isEmpty ? "Nothing of a known type" : parts.joined(separator: ", ")
    }

    /// A record in one line.
    static func line(_ record: Record, _ batch: Batch) -> String {
        switch record {
        case .span(let span):
            return joined(
                [batch.text(span.name), span.traceID.hex, span.spanID.hex]
                    + pairs(span.attributes, batch))
        case .log(let log):
            let body = log.body.map { plain($0, batch) } ?? ""
            return joined([batch.text(log.eventName), body] + pairs(log.attributes, batch))
        case .point(let point):
            let name = batch.text(point.metric.name)
            let attributes = pairs(point.attributes, batch).joined(separator: ",")
            return joined(["\(name){\(attributes)}", number(point.value)])
        case .unknown: return "a record of no known type"
        }
    }

    /// What a batch's records share.
    static func resource(_ batch: Batch) -> [String] {
        ["Resource SchemaURL: \(batch.text(batch.resource.schemaURL))"]
            + list("Resource attributes:", batch.resource.attributes, batch, "")
    }

    /// All of a record.
    static func details(_ record: Record, _ batch: Batch) -> [String] {
        switch record {
        case .span(let span): return details(span, batch)
        case .log(let log): return details(log, batch)
        case .point(let point): return details(point, batch)
        case .unknown: return ["a record of no known type"]
        }
    }

    private static func details(_ span: SpanView, _ batch: Batch) -> [String] {
        var lines =
            scope(span.scope, batch) + [
                "Span #\(span.index)",
                "    Trace ID       : \(span.traceID.hex)",
                "    Parent ID      : \(span.parentSpanID?.hex ?? "")",
                "    ID             : \(span.spanID.hex)",
                "    Name           : \(batch.text(span.name))",
                "    Kind           : \(capital("\(span.kind)"))",
                "    Start time     : \(span.start)",
                "    End time       : \(span.end)",
                "    Status code    : \(capital("\(span.status)"))",
                "    Status message : \(batch.text(span.statusMessage))",
            ]
        if span.traceState != .none {
            lines.append("    TraceState     : \(batch.text(span.traceState))")
        }
        lines += list("Attributes:", span.attributes, batch, "")
        for (number, event) in span.events.enumerated() {
            lines += [
                "SpanEvent #\(number)", "     -> Name: \(batch.text(event.name))",
                "     -> Timestamp: \(event.time)",
            ]
            lines += list("     -> Attributes:", event.attributes, batch, "     ")
        }
        for (number, link) in span.links.enumerated() {
            lines += [
                "SpanLink #\(number)", "     -> Trace ID: \(link.traceID.hex)",
                "     -> ID: \(link.spanID.hex)",
            ]
            lines += list("     -> Attributes:", link.attributes, batch, "     ")
        }
        return lines
    }

    private static func details(_ log: LogView, _ batch: Batch) -> [String] {
        scope(log.scope, batch) + [
            "LogRecord #\(log.index)",
            "ObservedTimestamp: \(log.observedTime)",
            "Timestamp: \(log.time)",
            "SeverityText: \(batch.text(log.severityText))",
            "SeverityNumber: \(log.severity)",
            "EventName: \(batch.text(log.eventName))",
            "Body: \(log.body.map { typed($0, batch) } ?? "Empty()")",
        ] + list("Attributes:", log.attributes, batch, "") + [
            "Trace ID: \(log.traceID.hex)", "Span ID: \(log.spanID?.hex ?? "")",
            "Flags: \(log.flags)",
        ]
    }

    private static func details(_ point: PointView, _ batch: Batch) -> [String] {
        let metric = point.metric
        return scope(metric.scope, batch) + [
            "Metric",
            "     -> Name: \(batch.text(metric.name))",
            "     -> Description: \(batch.text(metric.description))",
            "     -> Unit: \(batch.text(metric.unit))",
            "     -> DataType: \(capital("\(metric.kind)"))",
            "     -> IsMonotonic: \(metric.isMonotonic)",
            "     -> AggregationTemporality: \(capital("\(metric.temporality)"))",
            "DataPoint #\(point.index)",
        ] + list("Data point attributes:", point.attributes, batch, "") + [
            "StartTimestamp: \(point.startTime)", "Timestamp: \(point.time)",
            "Value: \(number(point.value))",
        ]
    }

    private static func scope(_ index: Int, _ batch: Batch) -> [String] {
        if index == 0 { return [] }
        let scope = batch.scope(index)
        return ["InstrumentationScope \(batch.text(scope.name)) \(batch.text(scope.version))"]
    }

    // MARK: Values

    private static func list(
        _ title: String, _ list: AttributeList, _ batch: Batch, _ indent: String
    ) -> [String] {
        if list.isEmpty { return [] }
        return [title]
            + list.map { "\(indent)     -> \(batch.text($0.key)): \(typed($0.value, batch))" }
    }

    private static func pairs(_ list: AttributeList, _ batch: Batch) -> [String] {
        list.map { "\(batch.text($0.key))=\(plain($0.value, batch))" }
    }

    private static func plain(_ value: Value, _ batch: Batch) -> String {
        switch value {
        case .none: ""
        case .string(let text): batch.text(text)
        case .bool(let value): "\(value)"
        case .int(let value): "\(value)"
        case .double(let value): "\(value)"
        case .bytes(let bytes): "\(batch.data(bytes).count) bytes"
        case .array(let values):
            "[" + values.map { plain($0, batch) }.joined(separator: ", ") + "]"
        case .map(let list): "{" + pairs(list, batch).joined(separator: ", ") + "}"
        }
    }

    private static func typed(_ value: Value, _ batch: Batch) -> String {
        let text = plain(value, batch)
        return switch value {
        case .none: "Empty()"
        case .string: "Str(\(text))"
        case .bool: "Bool(\(text))"
        case .int: "Int(\(text))"
        case .double: "Double(\(text))"
        case .bytes: "Bytes(\(text))"
        case .array: "Slice(\(text))"
        case .map: "Map(\(text))"
        }
    }

    private static func number(_ value: PointValue) -> String {
        switch value {
        case .number(.none): "none"
        case .number(.int(let value)): "\(value)"
        case .number(.double(let value)): "\(value)"
        case .histogram(let value):
            "count=\(value.count)" + (value.sum.map { " sum=\($0)" } ?? "")
        case .exponential(let value):
            "count=\(value.count)" + (value.sum.map { " sum=\($0)" } ?? "")
        case .summary(let value): "count=\(value.count) sum=\(value.sum)"
        }
    }

    private static func joined(_ parts: [String]) -> String {
        parts.filter { !$0.isEmpty }.joined(separator: " ")
    }

    private static func capital(_ name: String) -> String {
        name.prefix(1).uppercased() + name.dropFirst()
    }
}
