import ByteCoding
import TelemetryBatch

/// A metric's fields before they are written: for the points that follow, in this batch and the next.
struct MetricFields: Sendable {
    var name = 0..<0
    var description = 0..<0
    var unit = 0..<0
    /// The field of the data, 0 if there is none, and its content.
    var dataTag: UInt64 = 0
    var data = 0..<0
    var metadataStart = 0
    var metadataCount = 0
    /// Where the metric ends.
    var end = 0
    /// The bytes that stand beside the data.
    var size = 0
    var kind = MetricKind.gauge
    var temporality: UInt64 = 0
    var isMonotonic = false
}

// Metrics: what stands before their points.
extension OTLPDecoder {
    /// Decodes the `Metric` that the reader is confined to.
    mutating func decodeMetric(_ reader: inout ByteReader) throws(ByteError) {
        let bytes = reader.bytes
        let start = reader.position
        var fields = try readMetric(&reader)
        // A metric without data holds no record.
        guard let (kind, message) = OTLPDecoder.kind(fields.dataTag) else { return }
        fields.end = reader.end
        fields.kind = kind
        fields.size = fields.end - start - fields.data.count
        let points = try readData(&fields, message, bytes)
        work.metric = fields
        work.metricIndex = nil
        work.isRefused = work.isResourceRefused || work.isScopeRefused
        var left = points.count
        var reader = ByteReader(bytes, in: points.start..<fields.data.upperBound)
        while left > 0, result.overflow == nil {
            let tag = try reader.readVarint()
            if tag != 0x0A {
                try reader.skipField(tag)
                continue
            }
            left -= 1
            let outer = try reader.enterField()
            try decodePoint(&reader, kind)
            reader.leave(to: outer)
        }
    }

    private static func kind(_ tag: UInt64) -> (MetricKind, Message)? {
        switch tag {
        case 0x2A: (.gauge, .gauge)
        case 0x3A: (.sum, .sum)
        case 0x4A: (.histogram, .histogram)
        case 0x52: (.exponentialHistogram, .exponentialHistogram)
        case 0x5A: (.summary, .summary)
        default: nil
        }
    }

    private mutating func readMetric(
        _ reader: inout ByteReader
    ) throws(ByteError) -> MetricFields {
        var fields = MetricFields()
        while !reader.isAtEnd {
            let start = reader.position
            let tag = try reader.readVarint()
            switch tag {
            case 0x0A: fields.name = try reader.readRange()
            case 0x12: fields.description = try reader.readRange()
            case 0x1A: fields.unit = try reader.readRange()
            case 0x2A, 0x3A, 0x4A, 0x52, 0x5A:
                if fields.dataTag != 0 {
                    result.unknownFields.note(.metric, number: fields.dataTag >> 3)
                }
                fields.dataTag = tag
                fields.data = try reader.readRange()
            case 0x62:
                if fields.metadataCount == 0 { fields.metadataStart = start }
                fields.metadataCount += 1
                _ = try reader.readRange()
            default: try skipUnknown(tag, .metric, &reader)
            }
        }
        return fields
    }

    /// Reads what the points have in common, which stands behind them.
    private mutating func readData(
        _ fields: inout MetricFields, _ message: Message, _ bytes: RawSpan
    ) throws(ByteError) -> FieldRun {
        var points = FieldRun()
        let hasTemporality = message != .gauge && message != .summary
        var reader = ByteReader(bytes, in: fields.data)
        while !reader.isAtEnd {
            let start = reader.position
            let tag = try reader.readVarint()
            switch tag {
            case 0x0A:
                points.note(start)
                _ = try reader.readRange()
            case 0x10 where hasTemporality: fields.temporality = try reader.readVarint()
            case 0x18 where message == .sum: fields.isMonotonic = try reader.readVarint() != 0
            default: try skipUnknown(tag, message, &reader)
            }
        }
        return points
    }

    /// Sees to it that the batch has the metric of the next point. False if it passes a limit.
    mutating func prepareMetric(_ bytes: RawSpan, time: UInt64) throws(ByteError) -> Bool {
        guard try prepare(bytes, time: time) else { return false }
        if work.metricIndex != nil { return true }
        work.metricIndex = try writeMetric(bytes)
        if work.metricIndex != nil { return true }
        if builder.isEmpty {
            work.isRefused = true
            return false
        }
        flush()
        return try prepareMetric(bytes, time: time)
    }

    private mutating func writeMetric(_ bytes: RawSpan) throws(ByteError) -> Int? {
        let metric = work.metric
        guard metric.size <= OTLP.containerBytesMax,
            let temporality = Temporality(rawValue: UInt8(clamping: metric.temporality))
        else { return nil }
        builder.beginMetric(
            kind: metric.kind, temporality: temporality, isMonotonic: metric.isMonotonic,
            name: text(metric.name, bytes), description: text(metric.description, bytes),
            unit: text(metric.unit, bytes), scope: work.scopeIndex ?? 0,
            hasMetadata: metric.metadataCount > 0)
        let metadata = FieldRun(start: metric.metadataStart, count: metric.metadataCount)
        try writeAttributes(metadata, 0x62, end: metric.end, bytes)
        return builder.endMetric()
    }
}
