import ByteCoding
import SimulationKit
import TelemetryBatch

extension SeededGenerator {
    mutating func chance(_ count: Int) -> Bool { oneIn(count) }

    mutating func times(_ limit: Int) -> Range<Int> { 0..<below(limit + 1) }
}

/// Random batches of the whole data model, in a form that encodes to itself: scopes and metrics
/// stand in the order of their first use.
struct RandomModels {
    var random: SeededGenerator
    private var scopes: [Scope] = []
    private var metrics: [MetricModel] = []

    init(seed: UInt64) { random = SeededGenerator(seed: seed) }

    mutating func batch(records: Int) -> BatchModel {
        scopes = []
        metrics = []
        var header = BatchHeader(
            recordCount: UInt32(records), producer: ProducerID(random: &random),
            sequence: random.next() | 1)
        header.baseTime = time()
        header.samplingThreshold = random.next() & BatchLimits.samplingThresholdMax
        header.dropped = DroppedCounts(spans: word(), logs: word(), points: word())
        let resource = Resource(
            attributes: attributes(), schemaURL: text(), droppedAttributes: word())
        let records = (0..<records).map { _ -> RecordModel in
            switch random.below(3) {
            case 0: .span(span())
            case 1: .log(log())
            default: .point(point())
            }
        }
        return BatchModel(
            header: header, resource: resource, scopes: scopes, metrics: metrics, records: records)
    }

    private mutating func word() -> UInt32 {
        random.chance(2) ? 0 : UInt32(truncatingIfNeeded: random.next() >> UInt64(random.below(64)))
    }

    private mutating func wide() -> UInt64 { random.next() >> UInt64(random.below(64)) }

    private mutating func time() -> UInt64 {
        random.chance(5) ? random.next() : someTime &+ wide() % 1_000_000_000
    }

    private mutating func double() -> Double {
        [0, -0.0, 1.5, .infinity, -.infinity, .nan, 1e300, Double(random.below(1_000)) / 7][
            random.below(8)]
    }

    private mutating func text() -> String {
        switch random.below(6) {
        case 0: ""
        case 1: "codex.tool"
        case 2: "k\(random.below(20))"
        case 3: String(repeating: "ü🚀", count: random.below(40))
        case 4: String(repeating: "a", count: random.below(300))
        default: String(random.next(), radix: 36)
        }
    }

    private mutating func spanID() -> SpanID {
        random.chance(3) ? .zero : SpanID(random: &random)
    }

    private mutating func traceID() -> TraceID {
        [.zero, someTrace, otherTrace, TraceID(random: &random)][random.below(4)]
    }

    private mutating func value(_ depth: Int = 0) -> AttributeValue {
        switch random.below(depth < 4 ? 9 : 7) {
        case 0: .none
        case 1: .string(text())
        case 2: .bool(random.chance(2))
        case 3: .int(Int64(bitPattern: wide()))
        case 4: .double(double())
        case 5: .bytes(random.times(20).map { _ in UInt8(truncatingIfNeeded: random.next()) })
        case 6: .string("codex.tool")
        case 7: .array(random.times(4).map { _ in value(depth + 1) })
        default: .map(random.times(4).map { _ in Attribute(text(), value(depth + 1)) })
        }
    }

    private mutating func attributes() -> [Attribute] {
        let count = random.chance(20) ? 150 : random.below(5)
        return (0..<count).map { _ in Attribute(text(), value()) }
    }

    private mutating func scope() -> Int {
        let chosen = random.below(scopes.count + 2)
        if chosen > scopes.count {
            scopes.append(
                Scope(
                    name: "scope \(scopes.count)", version: text(), schemaURL: text(),
                    attributes: attributes(), droppedAttributes: word()))
        }
        return chosen
    }

    private mutating func metric(_ kinds: [MetricKind]) -> Int {
        let known = metrics.indices.filter { kinds.contains(metrics[$0].metric.kind) }
        if let first = known.randomElement(using: &random), !random.chance(3) { return first + 1 }
        let scope = scope()
        metrics.append(
            MetricModel(
                metric: Metric(
                    kind: kinds[random.below(kinds.count)],
                    temporality: Temporality.allCases[random.below(3)],
                    isMonotonic: random.chance(2), name: "metric \(metrics.count)",
                    description: text(), unit: text(), metadata: attributes()), scope: scope))
        return metrics.count
    }

    private mutating func span() -> SpanModel {
        let scope = scope()
        return SpanModel(
            kind: SpanKind.allCases[random.below(6)], status: SpanStatus.allCases[random.below(3)],
            statusMessage: text(), trace: traceID(), span: spanID(), parent: spanID(),
            name: text(), start: time(), duration: wide(), attributes: attributes(), scope: scope,
            traceState: text(), flags: word(),
            events: random.times(3).map { _ in
                EventModel(
                    time: time(), name: text(), attributes: attributes(),
                    droppedAttributes: word())
            },
            links: random.times(2).map { _ in
                LinkModel(
                    trace: traceID(), span: spanID(), attributes: attributes(), traceState: text(),
                    flags: word(), droppedAttributes: word())
            }, droppedAttributes: word(), droppedEvents: word(), droppedLinks: word())
    }

    private mutating func log() -> LogModel {
        let scope = scope()
        return LogModel(
            time: random.chance(4) ? 0 : time(), observedTime: random.chance(2) ? 0 : time(),
            trace: traceID(), span: spanID(), severity: UInt8(random.below(25)),
            severityText: text(), eventName: text(), body: random.chance(3) ? nil : value(),
            attributes: attributes(), scope: scope, flags: word(), droppedAttributes: word())
    }

    private mutating func optional() -> Double? { random.chance(2) ? nil : double() }

    private mutating func number() -> NumberValue {
        switch random.below(3) {
        case 0: .none
        case 1: .int(Int64(bitPattern: wide()))
        default: .double(double())
        }
    }

    private mutating func buckets(_ limit: Int) -> [UInt64] {
        random.times(limit).map { _ in random.chance(2) ? 0 : wide() }
    }

    private mutating func side() -> ExponentialSide? {
        random.chance(3)
            ? nil
            : ExponentialSide(
                offset: Int32(truncatingIfNeeded: random.next()), counts: buckets(60))
    }

    private mutating func point() -> PointModel {
        let metric: Int
        let value: PointModelValue
        switch random.below(4) {
        case 0:
            metric = self.metric([.gauge, .sum])
            value = .number(number())
        case 1:
            metric = self.metric([.histogram])
            value = .histogram(
                count: wide(), bounds: random.times(5).map { _ in double() },
                buckets: buckets(200), sum: optional(), min: optional(), max: optional())
        case 2:
            metric = self.metric([.exponentialHistogram])
            value = .exponential(
                count: wide(), scale: Int32(truncatingIfNeeded: random.next()),
                zeroCount: wide(), sum: optional(), min: optional(), max: optional(),
                zeroThreshold: double(), positive: side(), negative: side())
        default:
            metric = self.metric([.summary])
            value = .summary(
                count: wide(), sum: double(),
                quantiles: random.times(4).map { _ in
                    Quantile(quantile: double(), value: double())
                })
        }
        return PointModel(
            metric: metric, time: time(), startTime: random.chance(2) ? 0 : time(),
            attributes: attributes(),
            exemplars: random.times(2).map { _ in
                ExemplarModel(
                    time: time(), attributes: attributes(), trace: traceID(), span: spanID(),
                    value: number())
            }, flags: word(), value: value)
    }
}
