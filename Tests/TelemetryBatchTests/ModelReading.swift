import ByteCoding
import TelemetryBatch

// From a batch's views to a model.
extension BatchModel {
    init(_ batch: Batch) {
        let resource = batch.resource
        self.init(
            header: batch.header,
            resource: Resource(
                attributes: batch.model(resource.attributes),
                schemaURL: batch.text(resource.schemaURL),
                droppedAttributes: resource.droppedAttributes))
        for index in 0..<batch.scopeCount {
            let scope = batch.scope(index + 1)
            scopes.append(
                Scope(
                    name: batch.text(scope.name), version: batch.text(scope.version),
                    schemaURL: batch.text(scope.schemaURL),
                    attributes: batch.model(scope.attributes),
                    droppedAttributes: scope.droppedAttributes))
        }
        for index in 0..<batch.metricCount {
            let metric = batch.metric(index + 1)
            metrics.append(
                MetricModel(
                    metric: Metric(
                        kind: metric.kind, temporality: metric.temporality,
                        isMonotonic: metric.isMonotonic, name: batch.text(metric.name),
                        description: batch.text(metric.description), unit: batch.text(metric.unit),
                        metadata: batch.model(metric.metadata)), scope: metric.scope))
        }
        for record in batch.records { records.append(batch.model(record)) }
    }
}

extension Batch {
    func model(_ list: AttributeList) -> [Attribute] {
        list.map { Attribute(text($0.key), model($0.value)) }
    }

    func model(_ value: Value) -> AttributeValue {
        switch value {
        case .none: .none
        case .string(let ref): .string(text(ref))
        case .bool(let value): .bool(value)
        case .int(let value): .int(value)
        case .double(let value): .double(value)
        case .bytes(let ref): .bytes(Array(data(ref)))
        case .array(let list): .array(list.map { model($0) })
        case .map(let list): .map(model(list))
        }
    }

    func model(_ record: Record) -> RecordModel {
        switch record {
        case .span(let span): .span(model(span))
        case .log(let log): .log(model(log))
        case .point(let point): .point(model(point))
        case .unknown(let type, _): .unknown(type)
        }
    }

    private func model(_ span: SpanView) -> SpanModel {
        SpanModel(
            kind: span.kind, status: span.status, statusMessage: text(span.statusMessage),
            trace: span.traceID, span: span.spanID, parent: span.parent, name: text(span.name),
            start: span.start, duration: span.durationNanoseconds,
            attributes: model(span.attributes), scope: span.scope,
            traceState: text(span.traceState), flags: span.flags,
            events: span.events.map {
                EventModel(
                    time: $0.time, name: text($0.name), attributes: model($0.attributes),
                    droppedAttributes: $0.droppedAttributes)
            },
            links: span.links.map {
                LinkModel(
                    trace: $0.traceID, span: $0.spanID, attributes: model($0.attributes),
                    traceState: text($0.traceState), flags: $0.flags,
                    droppedAttributes: $0.droppedAttributes)
            },
            droppedAttributes: span.droppedAttributes, droppedEvents: span.droppedEvents,
            droppedLinks: span.droppedLinks)
    }

    private func model(_ log: LogView) -> LogModel {
        LogModel(
            time: log.time, observedTime: log.observedTime, trace: log.traceID, span: log.span,
            severity: log.severity, severityText: text(log.severityText),
            eventName: text(log.eventName), body: log.body.map { model($0) },
            attributes: model(log.attributes), scope: log.scope, flags: log.flags,
            droppedAttributes: log.droppedAttributes)
    }

    private func model(_ point: PointView) -> PointModel {
        PointModel(
            metric: point.metricIndex, time: point.time, startTime: point.startTime,
            attributes: model(point.attributes),
            exemplars: point.exemplars.map {
                ExemplarModel(
                    time: $0.time, attributes: model($0.attributes), trace: $0.traceID,
                    span: $0.span, value: $0.value)
            }, flags: point.flags, value: model(point.value))
    }

    private func model(_ value: PointValue) -> PointModelValue {
        switch value {
        case .number(let number): return .number(number)
        case .histogram(let value):
            return .histogram(
                count: value.count, bounds: Array(value.bounds), buckets: Array(value.buckets),
                sum: value.sum, min: value.min, max: value.max)
        case .exponential(let value):
            let side = { (side: ExponentialBuckets) in
                ExponentialSide(offset: side.offset, counts: Array(side.counts))
            }
            return .exponential(
                count: value.count, scale: value.scale, zeroCount: value.zeroCount,
                sum: value.sum, min: value.min, max: value.max,
                zeroThreshold: value.zeroThreshold, positive: value.positive.map(side),
                negative: value.negative.map(side))
        case .summary(let value):
            return .summary(
                count: value.count, sum: value.sum,
                quantiles: value.quantiles.map { Quantile(quantile: $0.quantile, value: $0.value) })
        }
    }
}
