import ByteCoding
import TelemetryBatch

/// Numbers of a point that stand in lists, in memory that is kept from point to point.
struct PointNumbers: Sendable {
    var bounds: [Double] = []
    var counts: [UInt64] = []
    var negativeCounts: [UInt64] = []
    var quantiles: [(quantile: Double, value: Double)] = []
}

/// A point's fields before they are written. Fields that a kind does not have stay at their defaults.
private struct PointFields {
    var start: UInt64 = 0
    var time: UInt64 = 0
    var value = NumberValue.none
    var count: UInt64 = 0
    var sum: Double?
    var min: Double?
    var max: Double?
    var scale: Int32 = 0
    var zeroCount: UInt64 = 0
    var zeroThreshold = 0.0
    var positive: Int32?
    var negative: Int32?
    var flags: UInt32 = 0
    var attributes = FieldRun()
    var exemplars = FieldRun()
    /// Whether a list is longer than a batch may hold.
    var isTooLong = false
}

// Points of all kinds.
extension OTLPDecoder {
    /// Decodes the point that the reader is confined to.
    mutating func decodePoint(
        _ reader: inout ByteReader, _ kind: MetricKind
    ) throws(ByteError) {
        defer { work.records += 1 }
        let limit = reader.end
        let fields =
            switch kind {
            case .gauge, .sum: try readNumber(&reader)
            case .histogram: try readHistogram(&reader)
            case .exponentialHistogram: try readExponential(&reader)
            case .summary: try readSummary(&reader)
            }
        if fields.isTooLong { return reject(.limit) }
        if work.metric.temporality > 2 { return reject(.enumeration) }
        let bytes = reader.bytes
        let (attributesTag, exemplarsTag) = OTLPDecoder.tags(kind)
        repeat {
            guard try prepareMetric(bytes, time: fields.time), let metric = work.metricIndex
            else { return reject(work.refusal) }
            work.reason = .limit
            guard let bounds = builder.index(ofBounds: numbers.bounds) else {
                // The table is full, unless it is empty and these are too many.
                if builder.isEmpty { return reject(.limit) }
                flush()
                continue
            }
            begin(fields, kind, metric: metric, bounds: bounds)
            try writeAttributes(fields.attributes, attributesTag, end: limit, bytes)
            if fields.exemplars.count > 0 {
                try writeExemplars(fields.exemplars, exemplarsTag, end: limit, bytes)
            }
            builder.pointFlags(fields.flags)
            writeRest(fields, kind)
            if !end(point: fields) { return }
        } while true
    }

    /// Ends the open point; true if it must be written again.
    private mutating func end(point fields: borrowing PointFields) -> Bool {
        let before = builder.recordCount
        if endRecord() { return true }
        if builder.recordCount > before {
            work.points += 1
            note(time: fields.time)
        }
        return false
    }

    /// The tags of a point's attributes and exemplars.
    private static func tags(_ kind: MetricKind) -> (attributes: UInt64, exemplars: UInt64) {
        switch kind {
        case .gauge, .sum: (0x3A, 0x2A)
        case .histogram: (0x4A, 0x42)
        case .exponentialHistogram: (0x0A, 0x5A)
        case .summary: (0x3A, 0)
        }
    }

    private mutating func begin(
        _ fields: borrowing PointFields, _ kind: MetricKind, metric: Int, bounds: Int
    ) {
        switch kind {
        case .gauge, .sum:
            builder.beginNumber(metric: metric, time: fields.time, startTime: fields.start)
        case .histogram:
            builder.beginHistogram(
                metric: metric, time: fields.time, startTime: fields.start, count: fields.count,
                bounds: bounds, buckets: numbers.counts)
        case .exponentialHistogram:
            builder.beginExponential(
                metric: metric, time: fields.time, startTime: fields.start, count: fields.count,
                scale: fields.scale, zeroCount: fields.zeroCount)
        case .summary:
            builder.beginSummary(
                metric: metric, time: fields.time, startTime: fields.start, count: fields.count,
                sum: fields.sum ?? 0, quantiles: numbers.quantiles)
        }
    }

    private mutating func writeRest(_ fields: borrowing PointFields, _ kind: MetricKind) {
        switch kind {
        case .gauge, .sum: builder.number(fields.value)
        case .histogram: builder.totals(sum: fields.sum, min: fields.min, max: fields.max)
        case .exponentialHistogram:
            builder.totals(sum: fields.sum, min: fields.min, max: fields.max)
            builder.exponentialBuckets(
                zeroThreshold: fields.zeroThreshold,
                positive: fields.positive.map {
                    ExponentialSide(offset: $0, counts: numbers.counts)
                },
                negative: fields.negative.map {
                    ExponentialSide(offset: $0, counts: numbers.negativeCounts)
                })
        case .summary: break
        }
    }

    private mutating func readNumber(_ reader: inout ByteReader) throws(ByteError) -> PointFields {
        var fields = PointFields()
        numbers.bounds.removeAll(keepingCapacity: true)
        while !reader.isAtEnd {
            let start = reader.position
            let tag = try reader.readVarint()
            switch tag {
            case 0x11: fields.start = try reader.readUInt64()
            case 0x19: fields.time = try reader.readUInt64()
            case 0x21: fields.value = .double(try reader.readDouble())
            case 0x31: fields.value = .int(Int64(bitPattern: try reader.readUInt64()))
            case 0x2A:
                fields.exemplars.note(start)
                _ = try reader.readRange()
            case 0x3A:
                fields.attributes.note(start)
                _ = try reader.readRange()
            case 0x40: fields.flags = try reader.readWord()
            default: try skipUnknown(tag, .numberPoint, &reader)
            }
        }
        return fields
    }

    private mutating func readHistogram(
        _ reader: inout ByteReader
    ) throws(ByteError) -> PointFields {
        var fields = PointFields()
        numbers.bounds.removeAll(keepingCapacity: true)
        numbers.counts.removeAll(keepingCapacity: true)
        while !reader.isAtEnd {
            let start = reader.position
            let tag = try reader.readVarint()
            switch tag {
            case 0x11: fields.start = try reader.readUInt64()
            case 0x19: fields.time = try reader.readUInt64()
            case 0x21: fields.count = try reader.readUInt64()
            case 0x29: fields.sum = try reader.readDouble()
            case 0x31, 0x32:
                fields.isTooLong =
                    try !reader.appendWords(to: &numbers.counts, tag) || fields.isTooLong
            case 0x39, 0x3A:
                fields.isTooLong =
                    try !reader.appendDoubles(to: &numbers.bounds, tag) || fields.isTooLong
            case 0x42:
                fields.exemplars.note(start)
                _ = try reader.readRange()
            case 0x4A:
                fields.attributes.note(start)
                _ = try reader.readRange()
            case 0x50: fields.flags = try reader.readWord()
            case 0x59: fields.min = try reader.readDouble()
            case 0x61: fields.max = try reader.readDouble()
            default: try skipUnknown(tag, .histogramPoint, &reader)
            }
        }
        return fields
    }

    private mutating func readExponential(
        _ reader: inout ByteReader
    ) throws(ByteError) -> PointFields {
        var fields = PointFields()
        numbers.bounds.removeAll(keepingCapacity: true)
        numbers.counts.removeAll(keepingCapacity: true)
        numbers.negativeCounts.removeAll(keepingCapacity: true)
        while !reader.isAtEnd {
            let start = reader.position
            let tag = try reader.readVarint()
            switch tag {
            case 0x0A:
                fields.attributes.note(start)
                _ = try reader.readRange()
            case 0x11: fields.start = try reader.readUInt64()
            case 0x19: fields.time = try reader.readUInt64()
            case 0x21: fields.count = try reader.readUInt64()
            case 0x29: fields.sum = try reader.readDouble()
            case 0x30: fields.scale = Int32(truncatingIfNeeded: try reader.readZigzag())
            case 0x39: fields.zeroCount = try reader.readUInt64()
            case 0x42:
                try readSide(&fields.positive, isNegative: false, &fields.isTooLong, &reader)
            case 0x4A:
                try readSide(&fields.negative, isNegative: true, &fields.isTooLong, &reader)
            case 0x50: fields.flags = try reader.readWord()
            case 0x5A:
                fields.exemplars.note(start)
                _ = try reader.readRange()
            case 0x61: fields.min = try reader.readDouble()
            case 0x69: fields.max = try reader.readDouble()
            case 0x71: fields.zeroThreshold = try reader.readDouble()
            default: try skipUnknown(tag, .exponentialPoint, &reader)
            }
        }
        return fields
    }

    private mutating func readSummary(
        _ reader: inout ByteReader
    ) throws(ByteError) -> PointFields {
        var fields = PointFields()
        numbers.bounds.removeAll(keepingCapacity: true)
        numbers.quantiles.removeAll(keepingCapacity: true)
        while !reader.isAtEnd {
            let start = reader.position
            let tag = try reader.readVarint()
            switch tag {
            case 0x11: fields.start = try reader.readUInt64()
            case 0x19: fields.time = try reader.readUInt64()
            case 0x21: fields.count = try reader.readUInt64()
            case 0x29: fields.sum = try reader.readDouble()
            case 0x32:
                let outer = try reader.enterField()
                try readQuantile(&reader)
                reader.leave(to: outer)
                if numbers.quantiles.count > BatchLimits.exemplarsMax {
                    fields.isTooLong = true
                    numbers.quantiles.removeAll(keepingCapacity: true)
                }
            case 0x3A:
                fields.attributes.note(start)
                _ = try reader.readRange()
            case 0x40: fields.flags = try reader.readWord()
            default: try skipUnknown(tag, .summaryPoint, &reader)
            }
        }
        return fields
    }
}
