import ByteCoding
import TelemetryBatch

/// A model's scopes and metrics in a batch that is being built, entered as they are first used.
private struct EnteredTables {
    var scopes: [Int: Int] = [:]
    var metrics: [Int: Int] = [:]
}

// From a model to bytes, in the reference encoding.
extension BatchModel {
    /// The batch. Unknown records cannot be built; the header's count is the records' number.
    func encoded() -> [UInt8] {
        var builder = BatchBuilder(producer: header.producer)
        return encoded(with: &builder)
    }

    func encoded(with builder: inout BatchBuilder) -> [UInt8] {
        guard let bytes = encodedIfItFits(with: &builder) else {
            preconditionFailure("the model fits into a batch")
        }
        return bytes
    }

    /// The batch, nil if it would pass a limit.
    func encodedIfItFits() -> [UInt8]? {
        var builder = BatchBuilder(producer: header.producer)
        return encodedIfItFits(with: &builder)
    }

    private func encodedIfItFits(with builder: inout BatchBuilder) -> [UInt8]? {
        builder.begin(baseTime: header.baseTime, resource: resource)
        var entered = EnteredTables()
        for record in records {
            guard write(record, &builder, &entered) == .appended else { return nil }
        }
        return builder.finish(
            sequence: header.sequence, samplingThreshold: header.samplingThreshold,
            dropped: header.dropped)
    }

    private func enter(
        scope index: Int, _ builder: inout BatchBuilder, _ entered: inout EnteredTables
    ) -> Int {
        if index == 0 { return 0 }
        if let known = entered.scopes[index] { return known }
        guard let found = builder.index(of: scopes[index - 1]) else { return 0 }
        entered.scopes[index] = found
        return found
    }

    private func enter(
        metric index: Int, _ builder: inout BatchBuilder, _ entered: inout EnteredTables
    ) -> Int {
        if let known = entered.metrics[index] { return known }
        let metric = metrics[index - 1]
        let scope = enter(scope: metric.scope, &builder, &entered)
        guard let found = builder.index(of: metric.metric, scope: scope) else { return 0 }
        entered.metrics[index] = found
        return found
    }

    private func write(
        _ record: RecordModel, _ builder: inout BatchBuilder, _ entered: inout EnteredTables
    ) -> AppendResult {
        switch record {
        case .span(let span):
            span.write(&builder, scope: enter(scope: span.scope, &builder, &entered))
        case .log(let log):
            log.write(&builder, scope: enter(scope: log.scope, &builder, &entered))
        case .point(let point):
            point.write(&builder, metric: enter(metric: point.metric, &builder, &entered))
        case .unknown: preconditionFailure("the builder writes no unknown records")
        }
        return builder.endRecord()
    }
}

extension SpanModel {
    func write(_ builder: inout BatchBuilder, scope: Int) {
        builder.beginSpan(
            name: builder.ref(name), kind: kind, status: status, trace: trace, span: span,
            parent: parent, start: start, duration: duration, scope: scope)
        for attribute in attributes { builder.attribute(attribute) }
        builder.statusMessage(builder.ref(statusMessage))
        builder.traceState(builder.ref(traceState))
        builder.spanFlags(flags)
        for event in events {
            builder.beginEvent(name: builder.ref(event.name), time: event.time)
            for attribute in event.attributes { builder.attribute(attribute) }
            builder.endEvent(droppedAttributes: event.droppedAttributes)
        }
        for link in links {
            builder.beginLink(trace: link.trace, span: link.span)
            for attribute in link.attributes { builder.attribute(attribute) }
            builder.endLink(
                traceState: builder.ref(link.traceState), flags: link.flags,
                droppedAttributes: link.droppedAttributes)
        }
        builder.spanDropped(
            attributes: droppedAttributes, events: droppedEvents, links: droppedLinks)
    }
}

extension LogModel {
    func write(_ builder: inout BatchBuilder, scope: Int) {
        builder.beginLog(
            time: time, trace: trace, span: span, severity: severity,
            eventName: builder.ref(eventName), scope: scope)
        if let body { builder.body(body) }
        for attribute in attributes { builder.attribute(attribute) }
        builder.observedTime(observedTime)
        builder.severityText(builder.ref(severityText))
        builder.logFlags(flags)
        builder.logDropped(attributes: droppedAttributes)
    }
}

extension PointModel {
    func write(_ builder: inout BatchBuilder, metric: Int) {
        begin(&builder, metric)
        for attribute in attributes { builder.attribute(attribute) }
        for exemplar in exemplars {
            builder.beginExemplar(time: exemplar.time)
            for attribute in exemplar.attributes { builder.attribute(attribute) }
            builder.endExemplar(exemplar.value, trace: exemplar.trace, span: exemplar.span)
        }
        builder.pointFlags(flags)
        switch value {
        case .number(let number): builder.number(number)
        case .histogram(_, _, _, let sum, let min, let max):
            builder.totals(sum: sum, min: min, max: max)
        case .exponential(
            _, _, _, let sum, let min, let max, let threshold, let positive, let negative):
            builder.totals(sum: sum, min: min, max: max)
            builder.exponentialBuckets(
                zeroThreshold: threshold, positive: positive, negative: negative)
        case .summary: break
        }
    }

    private func begin(_ builder: inout BatchBuilder, _ metric: Int) {
        switch value {
        case .number:
            builder.beginNumber(metric: metric, time: time, startTime: startTime)
        case .histogram(let count, let bounds, let buckets, _, _, _):
            let index = builder.index(ofBounds: bounds) ?? 0
            builder.beginHistogram(
                metric: metric, time: time, startTime: startTime, count: count, bounds: index,
                buckets: buckets)
        case .exponential(let count, let scale, let zeroCount, _, _, _, _, _, _):
            builder.beginExponential(
                metric: metric, time: time, startTime: startTime, count: count, scale: scale,
                zeroCount: zeroCount)
        case .summary(let count, let sum, let quantiles):
            builder.beginSummary(
                metric: metric, time: time, startTime: startTime, count: count, sum: sum,
                quantiles: quantiles.map { ($0.quantile, $0.value) })
        }
    }
}
