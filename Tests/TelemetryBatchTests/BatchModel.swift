import ByteCoding
import TelemetryBatch

/// A batch's content as plain values: what tests compare, and what the vectors' JSON shows.
///
/// Exists only here. It is written with the builder and read with the views, so that comparing two
/// models checks both.
struct BatchModel: Equatable {
    var header: BatchHeader
    var resource = Resource()
    var scopes: [Scope] = []
    var metrics: [MetricModel] = []
    var records: [RecordModel] = []
}

struct MetricModel: Equatable {
    var metric: Metric
    var scope = 0
}

enum RecordModel: Equatable {
    case span(SpanModel)
    case log(LogModel)
    case point(PointModel)
    case unknown(UInt8)
}

struct SpanModel: Equatable {
    var kind = SpanKind.internal
    var status = SpanStatus.unset
    var statusMessage = ""
    var trace = TraceID.zero
    var span = SpanID.zero
    var parent = SpanID.zero
    var name = ""
    var start: UInt64 = 0
    var duration: UInt64 = 0
    var attributes: [Attribute] = []
    var scope = 0
    var traceState = ""
    var flags: UInt32 = 0
    var events: [EventModel] = []
    var links: [LinkModel] = []
    var droppedAttributes: UInt32 = 0
    var droppedEvents: UInt32 = 0
    var droppedLinks: UInt32 = 0
}

struct EventModel: Equatable {
    var time: UInt64
    var name: String
    var attributes: [Attribute] = []
    var droppedAttributes: UInt32 = 0
}

struct LinkModel: Equatable {
    var trace: TraceID
    var span: SpanID
    var attributes: [Attribute] = []
    var traceState = ""
    var flags: UInt32 = 0
    var droppedAttributes: UInt32 = 0
}

struct LogModel: Equatable {
    var time: UInt64 = 0
    var observedTime: UInt64 = 0
    var trace = TraceID.zero
    var span = SpanID.zero
    var severity: UInt8 = 0
    var severityText = ""
    var eventName = ""
    var body: AttributeValue?
    var attributes: [Attribute] = []
    var scope = 0
    var flags: UInt32 = 0
    var droppedAttributes: UInt32 = 0
}

struct PointModel: Equatable {
    var metric: Int
    var time: UInt64
    var startTime: UInt64 = 0
    var attributes: [Attribute] = []
    var exemplars: [ExemplarModel] = []
    var flags: UInt32 = 0
    var value: PointModelValue
}

struct ExemplarModel: Equatable {
    var time: UInt64
    var attributes: [Attribute] = []
    var trace = TraceID.zero
    var span = SpanID.zero
    var value = NumberValue.none
}

struct Quantile: Equatable {
    var quantile: Double
    var value: Double
}

enum PointModelValue: Equatable {
    case number(NumberValue)
    case histogram(
        count: UInt64, bounds: [Double], buckets: [UInt64], sum: Double?, min: Double?,
        max: Double?)
    case exponential(
        count: UInt64, scale: Int32, zeroCount: UInt64, sum: Double?, min: Double?, max: Double?,
        zeroThreshold: Double, positive: ExponentialSide?, negative: ExponentialSide?)
    case summary(count: UInt64, sum: Double, quantiles: [Quantile])
}
