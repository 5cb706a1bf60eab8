import ByteCoding
import Meaning
import TelemetryBatch

extension RecordJSON {
    /// The members of a metric point.
    mutating func point(_ point: PointView, _ batch: Batch) {
        let metric = point.metric
        member("metric_kind", Self.name(metric.kind))
        text("description", metric.description, batch)
        text("unit", metric.unit, batch)
        switch metric.temporality {
        case .unspecified: break
        case .delta: member("temporality", "delta")
        case .cumulative: member("temporality", "cumulative")
        }
        if metric.kind == .sum { member("monotonic", metric.isMonotonic) }
        if point.startTime != 0 { member("start", TimeText.rfc3339(point.startTime)) }
        switch point.value {
        case .number(let value): number(value)
        case .histogram(let histogram): self.histogram(histogram)
        case .exponential(let histogram): exponential(histogram)
        case .summary(let summary): self.summary(summary)
        }
        if point.flags != 0 { member("flags", point.flags) }
        attributes("attributes", point.attributes, batch)
        if point.exemplars.count > 0 {
            objects(
                "exemplars",
                point.exemplars.map { exemplar in
                    { json in
                        json.member("time", TimeText.rfc3339(exemplar.time))
                        json.number(exemplar.value)
                        if !exemplar.traceID.isZero {
                            json.member("trace_id", exemplar.traceID.hex)
                        }
                        if !exemplar.span.isZero { json.member("span_id", exemplar.span.hex) }
                        json.attributes("attributes", exemplar.attributes, batch)
                    }
                })
        }
        attributes("metadata", metric.metadata, batch)
        scope(metric.scope, batch)
    }

    private mutating func number(_ value: NumberValue) {
        switch value {
        case .none: break
        case .int(let value): member("value", value)
        case .double(let value): member("value", Optional(value))
        }
    }

    private mutating func histogram(_ histogram: HistogramValue) {
        member("count", histogram.count)
        member("sum", histogram.sum)
        member("min", histogram.min)
        member("max", histogram.max)
        array("bounds") { writer in for bound in histogram.bounds { writer.double(bound) } }
        array("buckets") { writer in for count in histogram.buckets { writer.integer(count) } }
    }

    private mutating func exponential(_ histogram: ExponentialValue) {
        member("count", histogram.count)
        member("sum", histogram.sum)
        member("min", histogram.min)
        member("max", histogram.max)
        member("scale", histogram.scale)
        member("zero_count", histogram.zeroCount)
        if histogram.zeroThreshold != 0 {
            member("zero_threshold", Optional(histogram.zeroThreshold))
        }
        for (key, side) in [("positive", histogram.positive), ("negative", histogram.negative)] {
            guard let side else { continue }
            object(key) { json in
                json.member("offset", side.offset)
                json.array("buckets") { writer in
                    for count in side.counts { writer.integer(count) }
                }
            }
        }
    }

    private mutating func summary(_ summary: SummaryValue) {
        member("count", summary.count)
        member("sum", Optional(summary.sum))
        objects(
            "quantiles",
            summary.quantiles.map { entry in
                { json in
                    json.member("quantile", Optional(entry.quantile))
                    json.member("value", Optional(entry.value))
                }
            })
    }

    private static func name(_ kind: MetricKind) -> String {
        switch kind {
        case .gauge: "gauge"
        case .sum: "sum"
        case .histogram: "histogram"
        case .exponentialHistogram: "exponential_histogram"
        case .summary: "summary"
        }
    }
}
