/// A number point's or exemplar's value.
package enum NumberValue: Equatable, Sendable {
    /// Not given.
    case none
    /// A signed integer.
    case int(Int64)
    /// A binary64.
    case double(Double)
}

/// What a histogram point holds.
package struct HistogramValue: Sendable {
    /// The number of measurements.
    package let count: UInt64
    /// The upper bounds of all buckets but the last.
    package let bounds: DoubleList
    /// The buckets' counts.
    package let buckets: BucketList
    /// The sum, if given.
    package let sum: Double?
    /// The smallest measurement, if given.
    package let min: Double?
    /// The largest measurement, if given.
    package let max: Double?
}

/// One side of an exponential histogram.
package struct ExponentialBuckets: Sendable {
    /// The exponent of the first bucket.
    package let offset: Int32
    /// The buckets' counts.
    package let counts: BucketList
}

/// What an exponential histogram point holds.
package struct ExponentialValue: Sendable {
    /// The number of measurements.
    package let count: UInt64
    /// The base of the buckets is 2^(2^−scale).
    package let scale: Int32
    /// The number of measurements that are zero or below the threshold.
    package let zeroCount: UInt64
    /// The sum, if given.
    package let sum: Double?
    /// The smallest measurement, if given.
    package let min: Double?
    /// The largest measurement, if given.
    package let max: Double?
    /// The width of the zero bucket.
    package let zeroThreshold: Double
    /// Buckets of positive measurements, if given.
    package let positive: ExponentialBuckets?
    /// Buckets of negative measurements, if given.
    package let negative: ExponentialBuckets?
}

/// What a summary point holds.
package struct SummaryValue: Sendable {
    let batch: Batch
    let place: ListPlace
    /// The number of measurements.
    package let count: UInt64
    /// The sum.
    package let sum: Double

    /// The quantiles, each in 0…1, and their values.
    package var quantiles: [(quantile: Double, value: Double)] {
        var reader = TrustedReader(batch.bytes, at: place.start)
        return (0..<place.count).map { _ in (reader.double(), reader.double()) }
    }
}

/// What a point holds, by its type.
package enum PointValue: Sendable {
    /// A gauge's or sum's number.
    case number(NumberValue)
    /// Explicit buckets.
    case histogram(HistogramValue)
    /// Exponential buckets.
    case exponential(ExponentialValue)
    /// Quantiles.
    case summary(SummaryValue)
}

/// A metric point, decoded from its record.
package struct PointView: Sendable {
    let batch: Batch
    private let attributesPlace: ListPlace
    private let exemplarsPlace: ListPlace

    /// The record's place in the batch, from 0.
    package let index: Int
    /// The metric's index in the table, from 1.
    package let metricIndex: Int
    /// When, in nanoseconds since 1970.
    package let time: UInt64
    /// What the value counts from, in nanoseconds since 1970; 0 if not given.
    package let startTime: UInt64
    /// OTLP data point flags.
    package let flags: UInt32
    /// What it holds.
    package let value: PointValue

    /// The metric's descriptor.
    package var metric: MetricView { batch.metric(metricIndex) }

    /// The attributes.
    package var attributes: AttributeList { AttributeList(batch: batch, place: attributesPlace) }

    /// The exemplars in their order.
    package var exemplars: ExemplarList {
        ExemplarList(batch: batch, place: exemplarsPlace, time: time)
    }

    init(_ reader: inout TrustedReader, _ batch: Batch, _ index: Int, _ type: UInt8) {
        self.batch = batch
        self.index = index
        let bits = reader.varint()
        metricIndex = reader.int()
        time = reader.time(from: batch.header.baseTime)
        var fixed = FixedFields()
        fixed.read(&reader, type)
        startTime = bits & PointBit.startTime != 0 ? reader.time(from: time) : 0
        attributesPlace = bits & PointBit.attributes != 0 ? reader.skipAttributes() : ListPlace()
        var exemplars = ListPlace()
        if bits & PointBit.exemplars != 0 {
            exemplars = ListPlace(count: reader.int(), start: reader.position)
            for _ in 0..<exemplars.count { _ = ExemplarView(&reader, batch, 0) }
        }
        exemplarsPlace = exemplars
        flags = bits & PointBit.flags != 0 ? reader.word() : 0
        value = fixed.value(&reader, batch, type, bits)
    }
}

extension PointView {
    /// Passes over what stands between a point's flags and its optional fields.
    static func skipToOptional(_ reader: inout TrustedReader, _ type: UInt8) {
        _ = (reader.varint(), reader.varint())
        var fixed = FixedFields()
        fixed.read(&reader, type)
    }
}

/// The fields of a point that stand before its optional ones.
private struct FixedFields {
    var count: UInt64 = 0
    var bounds = 0
    var buckets = ListPlace()
    var scale: Int32 = 0
    var zeroCount: UInt64 = 0
    var sum = 0.0

    mutating func read(_ reader: inout TrustedReader, _ type: UInt8) {
        if type == RecordType.number { return }
        count = reader.varint()
        switch type {
        case RecordType.histogram:
            bounds = reader.int()
            buckets = reader.skipBuckets()
        case RecordType.exponential:
            scale = Int32(truncatingIfNeeded: reader.zigzag())
            zeroCount = reader.varint()
        default:
            sum = reader.double()
            buckets = ListPlace(count: reader.int(), start: reader.position)
            reader.position += buckets.count * 16
        }
    }

    func value(
        _ reader: inout TrustedReader, _ batch: Batch, _ type: UInt8, _ bits: UInt64
    ) -> PointValue {
        switch type {
        case RecordType.number:
            if bits & PointBit.integer != 0 { return .number(.int(reader.zigzag())) }
            if bits & PointBit.double != 0 { return .number(.double(reader.double())) }
            return .number(.none)
        case RecordType.summary:
            return .summary(SummaryValue(batch: batch, place: buckets, count: count, sum: sum))
        default: break
        }
        let sum = bits & PointBit.sum != 0 ? reader.double() : nil
        let min = bits & PointBit.min != 0 ? reader.double() : nil
        let max = bits & PointBit.max != 0 ? reader.double() : nil
        if type == RecordType.histogram {
            return .histogram(
                HistogramValue(
                    count: count, bounds: batch.bounds(bounds),
                    buckets: BucketList(batch: batch, place: buckets), sum: sum, min: min, max: max)
            )
        }
        let threshold = bits & PointBit.zeroThreshold != 0 ? reader.double() : 0
        let positive = bits & PointBit.positive != 0 ? side(&reader, batch) : nil
        let negative = bits & PointBit.negative != 0 ? side(&reader, batch) : nil
        return .exponential(
            ExponentialValue(
                count: count, scale: scale, zeroCount: zeroCount, sum: sum, min: min, max: max,
                zeroThreshold: threshold, positive: positive, negative: negative))
    }

    private func side(_ reader: inout TrustedReader, _ batch: Batch) -> ExponentialBuckets {
        ExponentialBuckets(
            offset: Int32(truncatingIfNeeded: reader.zigzag()),
            counts: BucketList(batch: batch, place: reader.skipBuckets()))
    }
}

/// A measurement that a point was made of, with its context.
package struct ExemplarView: Sendable {
    let batch: Batch
    /// When, in nanoseconds since 1970.
    package let time: UInt64
    /// The attributes that the point's stream dropped.
    package let attributes: AttributeList
    /// The trace's index in the table, 0 for none.
    package let traceIndex: Int
    /// The span's id, zero for none.
    package let span: SpanID
    /// The measurement.
    package let value: NumberValue

    /// The trace's id, zero for none.
    package var traceID: TraceID { batch.traceID(traceIndex) }

    init(_ reader: inout TrustedReader, _ batch: Batch, _ pointTime: UInt64) {
        self.batch = batch
        let bits = reader.varint()
        time = reader.time(from: pointTime)
        attributes = AttributeList(
            batch: batch,
            place: bits & ExemplarBit.attributes != 0 ? reader.skipAttributes() : ListPlace())
        traceIndex = bits & ExemplarBit.trace != 0 ? reader.int() : 0
        span = bits & ExemplarBit.span != 0 ? reader.spanID() : .zero
        if bits & ExemplarBit.integer != 0 {
            value = .int(reader.zigzag())
        } else if bits & ExemplarBit.double != 0 {
            value = .double(reader.double())
        } else {
            value = .none
        }
    }
}

/// The exemplars of a point in their order.
package struct ExemplarList: Sequence, Sendable {
    let batch: Batch
    let place: ListPlace
    let time: UInt64

    /// The number of exemplars.
    package var count: Int { place.count }

    /// The first exemplar onwards.
    package func makeIterator() -> Iterator {
        Iterator(list: self, left: place.count, reader: .init(batch.bytes, at: place.start))
    }

    /// Visits exemplars in order.
    package struct Iterator: IteratorProtocol {
        let list: ExemplarList
        var left: Int
        var reader: TrustedReader

        /// The next exemplar.
        package mutating func next() -> ExemplarView? {
            if left == 0 { return nil }
            left -= 1
            return ExemplarView(&reader, list.batch, list.time)
        }
    }
}
