import ByteCoding
import TelemetryBatch

/// A batch that every reader must take.
struct ValidCase {
    var name: String
    var note: String
    /// The content to encode, if the bytes are the reference encoding of one.
    var model: BatchModel?
    /// The bytes, if not.
    var bytes: [UInt8]?
}

let someProducer = ProducerID(high: 0x1011_1213_1415_1617, low: 0x1819_1A1B_1C1D_1E1F)
let someTime: UInt64 = 1_760_000_000_000_000_000
let someTrace = TraceID(high: 0x0AF7_6519_16CD_43DD, low: 0x8448_EB21_1C80_319C)
let otherTrace = TraceID(high: 0x4BF9_2F35_77B3_4DA6, low: 0xA3CE_929D_0E0E_4736)
let someSpan = SpanID(rawValue: 0xB7AD_6B71_6920_3331)
let otherSpan = SpanID(rawValue: 0x00F0_67AA_0BA9_02B7)

func header(_ change: (inout BatchHeader) -> Void = { _ in }) -> BatchHeader {
    var header = BatchHeader(producer: someProducer, sequence: 1, baseTime: someTime)
    change(&header)
    return header
}

func model(
    _ records: [RecordModel], scopes: [Scope] = [], metrics: [MetricModel] = [],
    resource: Resource = Resource()
) -> BatchModel {
    BatchModel(
        header: header { $0.recordCount = UInt32(records.count) }, resource: resource,
        scopes: scopes, metrics: metrics, records: records)
}

func span(_ change: (inout SpanModel) -> Void = { _ in }) -> SpanModel {
    var span = SpanModel(
        trace: someTrace, span: someSpan, name: "codex.tool", start: someTime, duration: 1_240_312)
    change(&span)
    return span
}

func metric(_ kind: MetricKind, _ change: (inout Metric) -> Void = { _ in }) -> MetricModel {
    var metric = Metric(kind: kind, name: "m")
    change(&metric)
    return MetricModel(metric: metric)
}

func point(_ value: PointModelValue, _ change: (inout PointModel) -> Void = { _ in }) -> PointModel
{
    var point = PointModel(metric: 1, time: someTime + 1, value: value)
    change(&point)
    return point
}

let everyValue: [Attribute] = [
    Attribute("none", .none), Attribute("string", .string("text")),
    Attribute("string.empty", .string("")), Attribute("false", .bool(false)),
    Attribute("true", .bool(true)), Attribute("int.zero", .int(0)),
    Attribute("int.minus", .int(-1)), Attribute("int.max", .int(.max)),
    Attribute("int.min", .int(.min)), Attribute("double", .double(1240.312)),
    Attribute("double.minus.zero", .double(-0.0)), Attribute("double.nan", .double(.nan)),
    Attribute("double.infinity", .double(.infinity)),
    Attribute("double.minus.infinity", .double(-.infinity)),
    Attribute("double.smallest", .double(.leastNonzeroMagnitude)),
    Attribute("bytes", .bytes([0x00, 0xFF, 0x80])), Attribute("bytes.empty", .bytes([])),
    Attribute("bytes.of.text", .bytes(Array("text".utf8))),
    Attribute("array.empty", .array([])),
    Attribute("array", .array([.int(1), .string("text"), .none, .array([.bool(true)])])),
    Attribute("map.empty", .map([])),
    Attribute(
        "map",
        .map([
            Attribute("k", .int(1)), Attribute("k", .string("again")),
            Attribute("inner", .map([Attribute("k", .double(0.5))])),
        ])),
    Attribute("", .string("empty key")), Attribute("string", .string("repeated key")),
]

func nested(_ depth: Int) -> AttributeValue {
    (0..<depth).reduce(.int(7)) { value, level in
        level % 2 == 0 ? .array([value]) : .map([Attribute("k", value)])
    }
}

let codexResource = Resource(
    attributes: [
        Attribute("service.name", .string("codex-cli")),
        Attribute("service.version", .string("0.163.0")),
        Attribute("process.pid", .int(4_242)),
    ], schemaURL: "https://opentelemetry.io/schemas/1.37.0", droppedAttributes: 2)

let codexScope = Scope(
    name: "codex", version: "1.2.3", schemaURL: "https://example.com/schema",
    attributes: [Attribute("library", .bool(true))], droppedAttributes: 1)

let spanCases: [ValidCase] = [
    ValidCase(name: "empty", note: "a batch without sections", model: model([])),
    ValidCase(
        name: "header-every-field", note: "dropped counts, threshold, a late sequence",
        model: BatchModel(
            header: header {
                $0.sequence = .max
                $0.baseTime = .max
                $0.samplingThreshold = BatchLimits.samplingThresholdMax
                $0.dropped = DroppedCounts(spans: 1, logs: 2, points: .max)
            })),
    ValidCase(
        name: "resource", note: "a resource alone", model: model([], resource: codexResource)),
    ValidCase(name: "span-minimal", note: "only the fixed fields", model: model([.span(span())])),
    ValidCase(
        name: "span-zero", note: "no trace, no name, zero time and duration",
        model: model([.span(SpanModel(kind: .unspecified))])),
    ValidCase(
        name: "span-typical", note: "what an agent's tool call looks like",
        model: model(
            [
                .span(
                    span {
                        $0.parent = otherSpan
                        $0.kind = .client
                        $0.status = .error
                        $0.scope = 1
                        $0.attributes = [
                            Attribute("session.id", .string("s-7f3a")),
                            Attribute("gen_ai.tool.name", .string("shell")),
                            Attribute("gen_ai.tool.call.id", .string("call_1")),
                            Attribute("error.type", .string("tool_failed")),
                        ]
                    })
            ], scopes: [codexScope], resource: codexResource)),
    ValidCase(
        name: "span-every-field", note: "events, links, trace state, flags, dropped counts",
        model: model(
            [
                .span(
                    span {
                        $0.kind = .consumer
                        $0.status = .ok
                        $0.parent = otherSpan
                        $0.statusMessage = "fine — ünïcødé 🚀"
                        $0.attributes = [Attribute("k", .string("codex.tool"))]
                        $0.scope = 1
                        $0.traceState = "vendor=1,other=2"
                        $0.flags = 0x0000_0301
                        $0.events = [
                            EventModel(time: someTime + 5, name: "first"),
                            EventModel(
                                time: someTime - 5, name: "second",
                                attributes: [Attribute("k", .int(1))], droppedAttributes: 9),
                            EventModel(time: 0, name: "", droppedAttributes: .max),
                        ]
                        $0.links = [
                            LinkModel(trace: otherTrace, span: otherSpan),
                            LinkModel(
                                trace: someTrace, span: .zero,
                                attributes: [Attribute("link", .bool(false))], traceState: "a=b",
                                flags: .max, droppedAttributes: 3),
                        ]
                        $0.droppedAttributes = 1
                        $0.droppedEvents = 300
                        $0.droppedLinks = .max
                    })
            ], scopes: [Scope(name: "s")])),
    ValidCase(
        name: "span-values", note: "every value tag, nested ones, empty and repeated keys",
        model: model([.span(span { $0.attributes = everyValue })])),
    ValidCase(
        name: "span-times", note: "differences of times modulo 2^64",
        model: model([
            .span(span { $0.start = 0 }), .span(span { $0.start = .max }),
            .span(span { $0.duration = .max }), .span(span { $0.start = someTime - 1 }),
            .span(span { $0.start = 1 << 63 }),
        ])),
    ValidCase(
        name: "spans-shared-tables", note: "texts and traces stand once; order of first use",
        model: model(
            (0..<6).map { number in
                .span(
                    span {
                        $0.trace = number % 2 == 0 ? someTrace : otherTrace
                        $0.name = number % 3 == 0 ? "codex.turn" : "codex.tool"
                        $0.scope = number % 3
                        $0.kind = SpanKind(rawValue: UInt8(number)) ?? .internal
                        $0.attributes = [Attribute("n", .int(Int64(number) - 3))]
                    })
            }, scopes: [Scope(name: "codex.tool"), Scope(name: "codex", version: "n")])),
    ValidCase(
        name: "span-long-body", note: "a record and an attribute list of more than 127",
        model: model([
            .span(
                span {
                    $0.attributes = (0..<200).map { Attribute("key.\($0)", .int($0)) }
                    $0.events = (0..<130).map { EventModel(time: someTime + $0, name: "e") }
                })
        ])),
    ValidCase(
        name: "span-nesting-limit", note: "32 arrays and maps inside one another",
        model: model([.span(span { $0.attributes = [Attribute("deep", nested(32))] })])),
]

let logCases: [ValidCase] = [
    ValidCase(name: "log-empty", note: "no field at all", model: model([.log(LogModel())])),
    ValidCase(
        name: "log-typical", note: "an event of a turn",
        model: model([
            .log(
                LogModel(
                    time: someTime + 1_000, trace: someTrace, span: someSpan, severity: 9,
                    eventName: "codex.user_prompt",
                    attributes: [Attribute("prompt_length", .int(42))]))
        ])),
    ValidCase(
        name: "log-every-field", note: "each presence bit",
        model: model(
            [
                .log(
                    LogModel(
                        time: someTime, observedTime: someTime + 7, trace: someTrace,
                        span: someSpan, severity: 24, severityText: "FATAL4", eventName: "boom",
                        body: .map([Attribute("message", .string("boom"))]),
                        attributes: everyValue, scope: 1, flags: 1, droppedAttributes: 5))
            ], scopes: [codexScope])),
    ValidCase(
        name: "log-observed-only", note: "time 0, as the real Codex sends it",
        model: model([
            .log(LogModel(observedTime: someTime + 5, severity: 1, body: AttributeValue.none))
        ])),
    ValidCase(
        name: "log-bodies", note: "a body of every kind of value",
        model: model(
            everyValue.map { .log(LogModel(time: someTime, body: $0.value)) })),
]
