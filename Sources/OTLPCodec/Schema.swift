/// How a field is written in protobuf, and what it is in JSON.
enum FieldKind: Sendable {
    case string
    /// Base64 in JSON.
    case bytes
    /// Hexadecimal in JSON: OTLP's own rule.
    case identifier
    case bool
    /// A varint; a number or a string of digits in JSON. `sint32` is zigzag.
    case int32, uint32, int64, uint64, sint32
    case fixed32, fixed64, sfixed64
    case double
    case enumeration(Enumeration)
    case message(Message)
}

/// The enumerations, with the names that JSON may have in place of their numbers.
enum Enumeration: Sendable {
    case spanKind, statusCode, severity, temporality

    private static let severities =
        ["UNSPECIFIED"]
        + ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"].flatMap {
            [$0, $0 + "2", $0 + "3", $0 + "4"]
        }

    /// The number that a name stands for.
    func number(_ name: String) -> Int? {
        switch self {
        case .spanKind:
            return Enumeration.index(
                name, "SPAN_KIND_",
                ["UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"])
        case .statusCode:
            return Enumeration.index(name, "STATUS_CODE_", ["UNSET", "OK", "ERROR"])
        case .temporality:
            return Enumeration.index(
                name, "AGGREGATION_TEMPORALITY_", ["UNSPECIFIED", "DELTA", "CUMULATIVE"])
        case .severity:
            return Enumeration.index(name, "SEVERITY_NUMBER_", Enumeration.severities)
        }
    }

    private static func index(_ name: String, _ prefix: String, _ names: [String]) -> Int? {
        guard name.hasPrefix(prefix) else { return nil }
        return names.firstIndex(of: String(name.dropFirst(prefix.count)))
    }
}

/// A field of a message.
struct FieldSchema: Sendable {
    /// The field's number; those that are known are below 17.
    let number: UInt8
    /// The name in JSON: lowerCamelCase.
    let name: StaticString
    let kind: FieldKind
    let isRepeated: Bool

    init(_ number: UInt8, _ name: StaticString, _ kind: FieldKind, repeated: Bool = false) {
        self.number = number
        self.name = name
        self.kind = kind
        isRepeated = repeated
    }
}

/// The fields that are known, message by message: what JSON is read and written by.
///
/// The protobuf side has the same numbers in its code, where they are switched over; Tests/OTLP compares
/// both with the official descriptors.
enum Schema {
    /// Fields by `Message.rawValue`.
    static let fields: [[FieldSchema]] = Message.allCases.map { fields(of: $0) }

    private static func fields(of message: Message) -> [FieldSchema] {
        switch message {
        case .traceRequest: [list(1, "resourceSpans", .resourceSpans)]
        case .logsRequest: [list(1, "resourceLogs", .resourceLogs)]
        case .metricsRequest: [list(1, "resourceMetrics", .resourceMetrics)]
        case .resourceSpans: resource(list(2, "scopeSpans", .scopeSpans))
        case .resourceLogs: resource(list(2, "scopeLogs", .scopeLogs))
        case .resourceMetrics: resource(list(2, "scopeMetrics", .scopeMetrics))
        case .scopeSpans: scope(list(2, "spans", .span))
        case .scopeLogs: scope(list(2, "logRecords", .logRecord))
        case .scopeMetrics: scope(list(2, "metrics", .metric))
        case .resource:
            [list(1, "attributes", .keyValue), FieldSchema(2, "droppedAttributesCount", .uint32)]
        case .scope:
            [
                FieldSchema(1, "name", .string), FieldSchema(2, "version", .string),
                list(3, "attributes", .keyValue), FieldSchema(4, "droppedAttributesCount", .uint32),
            ]
        case .keyValue:
            [FieldSchema(1, "key", .string), FieldSchema(2, "value", .message(.anyValue))]
        case .anyValue: anyValue
        case .arrayValue: [list(1, "values", .anyValue)]
        case .keyValueList: [list(1, "values", .keyValue)]
        case .span, .event, .link, .status: spanFields(of: message)
        case .logRecord: logRecord
        case .traceResponse: partialSuccess(.tracePartialSuccess)
        case .logsResponse: partialSuccess(.logsPartialSuccess)
        case .metricsResponse: partialSuccess(.metricsPartialSuccess)
        case .tracePartialSuccess: rejected("rejectedSpans")
        case .logsPartialSuccess: rejected("rejectedLogRecords")
        case .metricsPartialSuccess: rejected("rejectedDataPoints")
        case .rpcStatus: [FieldSchema(1, "code", .int32), FieldSchema(2, "message", .string)]
        default: metricFields(of: message)
        }
    }

    private static func list(
        _ number: UInt8, _ name: StaticString, _ message: Message
    ) -> FieldSchema {
        FieldSchema(number, name, .message(message), repeated: true)
    }

    private static func resource(_ scopes: FieldSchema) -> [FieldSchema] {
        [
            FieldSchema(1, "resource", .message(.resource)), scopes,
            FieldSchema(3, "schemaUrl", .string),
        ]
    }

    private static func scope(_ records: FieldSchema) -> [FieldSchema] {
        [FieldSchema(1, "scope", .message(.scope)), records, FieldSchema(3, "schemaUrl", .string)]
    }

    private static func partialSuccess(_ message: Message) -> [FieldSchema] {
        [FieldSchema(1, "partialSuccess", .message(message))]
    }

    private static func rejected(_ name: StaticString) -> [FieldSchema] {
        [FieldSchema(1, name, .int64), FieldSchema(2, "errorMessage", .string)]
    }

    private static let anyValue = [
        FieldSchema(1, "stringValue", .string), FieldSchema(2, "boolValue", .bool),
        FieldSchema(3, "intValue", .int64), FieldSchema(4, "doubleValue", .double),
        FieldSchema(5, "arrayValue", .message(.arrayValue)),
        FieldSchema(6, "kvlistValue", .message(.keyValueList)),
        FieldSchema(7, "bytesValue", .bytes),
    ]

    private static func spanFields(of message: Message) -> [FieldSchema] {
        switch message {
        case .span:
            [
                FieldSchema(1, "traceId", .identifier), FieldSchema(2, "spanId", .identifier),
                FieldSchema(3, "traceState", .string), FieldSchema(4, "parentSpanId", .identifier),
                FieldSchema(5, "name", .string), FieldSchema(6, "kind", .enumeration(.spanKind)),
                FieldSchema(7, "startTimeUnixNano", .fixed64),
                FieldSchema(8, "endTimeUnixNano", .fixed64), list(9, "attributes", .keyValue),
                FieldSchema(10, "droppedAttributesCount", .uint32), list(11, "events", .event),
                FieldSchema(12, "droppedEventsCount", .uint32), list(13, "links", .link),
                FieldSchema(14, "droppedLinksCount", .uint32),
                FieldSchema(15, "status", .message(.status)), FieldSchema(16, "flags", .fixed32),
            ]
        case .event:
            [
                FieldSchema(1, "timeUnixNano", .fixed64), FieldSchema(2, "name", .string),
                list(3, "attributes", .keyValue), FieldSchema(4, "droppedAttributesCount", .uint32),
            ]
        case .link:
            [
                FieldSchema(1, "traceId", .identifier), FieldSchema(2, "spanId", .identifier),
                FieldSchema(3, "traceState", .string), list(4, "attributes", .keyValue),
                FieldSchema(5, "droppedAttributesCount", .uint32),
                FieldSchema(6, "flags", .fixed32),
            ]
        default:
            [
                FieldSchema(2, "message", .string),
                FieldSchema(3, "code", .enumeration(.statusCode)),
            ]
        }
    }

    private static let logRecord = [
        FieldSchema(1, "timeUnixNano", .fixed64),
        FieldSchema(2, "severityNumber", .enumeration(.severity)),
        FieldSchema(3, "severityText", .string), FieldSchema(5, "body", .message(.anyValue)),
        list(6, "attributes", .keyValue), FieldSchema(7, "droppedAttributesCount", .uint32),
        FieldSchema(8, "flags", .fixed32), FieldSchema(9, "traceId", .identifier),
        FieldSchema(10, "spanId", .identifier), FieldSchema(11, "observedTimeUnixNano", .fixed64),
        FieldSchema(12, "eventName", .string),
    ]
}
