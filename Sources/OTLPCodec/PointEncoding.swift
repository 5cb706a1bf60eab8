import ByteCoding
import TelemetryBatch

extension MetricKind {
    /// The tag of a `Metric`'s data.
    fileprivate var dataTag: UInt8 {
        switch self {
        case .gauge: 0x2A
        case .sum: 0x3A
        case .histogram: 0x4A
        case .exponentialHistogram: 0x52
        case .summary: 0x5A
        }
    }
}

// Metrics and their points: a `Metric` for every run of points of one metric.
extension BatchEncoding {
    /// Writes a point as a data point of the open metric.
    mutating func write(_ point: PointView, _ bytes: RawSpan, to output: inout ByteWriter) {
        if metric?.index != point.metricIndex {
            closeMetric(&output, bytes)
            let metric = point.metric
            open(scope: metric.scope, bytes, &output)
            self.metric = metric
            metricPlace = output.open(0x12, room: 2)
            output.field(0x0A, bytes: bytes.extracting(batch.range(metric.name)))
            output.field(0x12, bytes: bytes.extracting(batch.range(metric.description)))
            output.field(0x1A, bytes: bytes.extracting(batch.range(metric.unit)))
            dataPlace = output.open(metric.kind.dataTag, room: 2)
        } else {
            records += 1
        }
        let place = output.open(0x0A)
        switch point.value {
        case .number(let value): write(point, value, bytes, to: &output)
        case .histogram(let value): write(point, value, bytes, to: &output)
        case .exponential(let value): write(point, value, bytes, to: &output)
        case .summary(let value): write(point, value, bytes, to: &output)
        }
        output.close(place)
    }

    /// Writes what stands behind a metric's points.
    mutating func closeMetric(_ output: inout ByteWriter, _ bytes: RawSpan) {
        guard let metric else { return }
        if metric.kind != .gauge, metric.kind != .summary {
            output.field(0x10, varint: UInt64(metric.temporality.rawValue))
        }
        if metric.kind == .sum { output.field(0x18, varint: metric.isMonotonic ? 1 : 0) }
        output.close(dataPlace, room: 2)
        output.writeAttributes(0x62, metric.metadata, batch, bytes)
        output.close(metricPlace, room: 2)
        self.metric = nil
    }

    private func write(
        _ point: PointView, _ value: NumberValue, _ bytes: RawSpan, to output: inout ByteWriter
    ) {
        output.field(0x11, fixed64: point.startTime)
        output.field(0x19, fixed64: point.time)
        if case .double(let double) = value {
            output.explicitField(0x21, fixed64: double.bitPattern)
        }
        write(point.exemplars, 0x2A, bytes, to: &output)
        if case .int(let integer) = value {
            output.explicitField(0x31, fixed64: UInt64(bitPattern: integer))
        }
        output.writeAttributes(0x3A, point.attributes, batch, bytes)
        output.field(0x40, varint: UInt64(point.flags))
    }

    private func write(
        _ point: PointView, _ value: HistogramValue, _ bytes: RawSpan, to output: inout ByteWriter
    ) {
        output.field(0x11, fixed64: point.startTime)
        output.field(0x19, fixed64: point.time)
        output.field(0x21, fixed64: value.count)
        output.field(0x29, optional: value.sum)
        if value.buckets.count > 0 {
            output.write(uint8: 0x32)
            output.write(varint: UInt64(value.buckets.count * 8))
            for count in value.buckets { output.write(uint64: count) }
        }
        if value.bounds.count > 0 {
            output.write(uint8: 0x3A)
            output.write(varint: UInt64(value.bounds.count * 8))
            for bound in value.bounds { output.write(double: bound) }
        }
        write(point.exemplars, 0x42, bytes, to: &output)
        output.writeAttributes(0x4A, point.attributes, batch, bytes)
        output.field(0x50, varint: UInt64(point.flags))
        output.field(0x59, optional: value.min)
        output.field(0x61, optional: value.max)
    }

    private func write(
        _ point: PointView, _ value: ExponentialValue, _ bytes: RawSpan,
        to output: inout ByteWriter
    ) {
        output.writeAttributes(0x0A, point.attributes, batch, bytes)
        output.field(0x11, fixed64: point.startTime)
        output.field(0x19, fixed64: point.time)
        output.field(0x21, fixed64: value.count)
        output.field(0x29, optional: value.sum)
        output.field(0x30, varint: zigzag(value.scale))
        output.field(0x39, fixed64: value.zeroCount)
        write(value.positive, 0x42, to: &output)
        write(value.negative, 0x4A, to: &output)
        output.field(0x50, varint: UInt64(point.flags))
        write(point.exemplars, 0x5A, bytes, to: &output)
        output.field(0x61, optional: value.min)
        output.field(0x69, optional: value.max)
        output.field(0x71, double: value.zeroThreshold)
    }

    private func write(
        _ point: PointView, _ value: SummaryValue, _ bytes: RawSpan, to output: inout ByteWriter
    ) {
        output.field(0x11, fixed64: point.startTime)
        output.field(0x19, fixed64: point.time)
        output.field(0x21, fixed64: value.count)
        output.field(0x29, double: value.sum)
        for entry in value.quantiles {
            let place = output.open(0x32)
            output.field(0x09, double: entry.quantile)
            output.field(0x11, double: entry.value)
            output.close(place)
        }
        output.writeAttributes(0x3A, point.attributes, batch, bytes)
        output.field(0x40, varint: UInt64(point.flags))
    }

    private func write(
        _ side: ExponentialBuckets?, _ tag: UInt8, to output: inout ByteWriter
    ) {
        guard let side else { return }
        let place = output.open(tag)
        output.field(0x08, varint: zigzag(side.offset))
        if side.counts.count > 0 {
            let list = output.open(0x12)
            for count in side.counts { output.write(varint: count) }
            output.close(list)
        }
        output.close(place)
    }

    /// The encoding of an `sint32`.
    private func zigzag(_ value: Int32) -> UInt64 {
        UInt64(UInt32(bitPattern: (value &<< 1) ^ (value &>> 31)))
    }

    private func write(
        _ exemplars: ExemplarList, _ tag: UInt8, _ bytes: RawSpan, to output: inout ByteWriter
    ) {
        if exemplars.count == 0 { return }
        for exemplar in exemplars {
            let place = output.open(tag)
            output.field(0x11, fixed64: exemplar.time)
            if case .double(let double) = exemplar.value {
                output.explicitField(0x19, fixed64: double.bitPattern)
            }
            output.field(0x22, spanID: exemplar.span.rawValue)
            output.field(0x2A, traceID: exemplar.traceID)
            if case .int(let integer) = exemplar.value {
                output.explicitField(0x31, fixed64: UInt64(bitPattern: integer))
            }
            output.writeAttributes(0x3A, exemplar.attributes, batch, bytes)
            output.close(place)
        }
    }
}
