import ByteCoding

/// One side of an exponential histogram to be written.
package struct ExponentialSide: Hashable, Sendable {
    /// The exponent of the first bucket.
    package var offset: Int32
    /// The buckets' counts.
    package var counts: [UInt64]

    /// A side.
    package init(offset: Int32, counts: [UInt64]) {
        self.offset = offset
        self.counts = counts
    }
}

// Metric points: `begin…`, attributes, exemplars, flags, the values; `endRecord`. The metric must be
// of the point's kind.
extension BatchBuilder {
    /// Begins a gauge's or sum's point.
    package mutating func beginNumber(metric: Int, time: UInt64, startTime: UInt64 = 0) {
        beginPoint(RecordType.number, metric, time, startTime)
        writeStart(startTime)
    }

    /// Begins a histogram's point. `bounds` is what `index(ofBounds:)` gave.
    package mutating func beginHistogram(
        metric: Int, time: UInt64, startTime: UInt64 = 0, count: UInt64, bounds: Int,
        buckets: [UInt64]
    ) {
        beginPoint(RecordType.histogram, metric, time, startTime)
        records.write(varint: count)
        records.write(varint: UInt64(bounds))
        write(buckets: buckets)
        writeStart(startTime)
    }

    /// Begins an exponential histogram's point.
    package mutating func beginExponential(
        metric: Int, time: UInt64, startTime: UInt64 = 0, count: UInt64, scale: Int32,
        zeroCount: UInt64
    ) {
        beginPoint(RecordType.exponential, metric, time, startTime)
        records.write(varint: count)
        records.write(zigzag: Int64(scale))
        records.write(varint: zeroCount)
        writeStart(startTime)
    }

    /// Begins a summary's point.
    package mutating func beginSummary(
        metric: Int, time: UInt64, startTime: UInt64 = 0, count: UInt64, sum: Double,
        quantiles: [(quantile: Double, value: Double)]
    ) {
        beginPoint(RecordType.summary, metric, time, startTime)
        if quantiles.count > BatchLimits.exemplarsMax { record.failed = true }
        records.write(varint: count)
        records.write(double: sum)
        records.write(varint: UInt64(quantiles.count))
        for entry in quantiles {
            records.write(double: entry.quantile)
            records.write(double: entry.value)
        }
        writeStart(startTime)
    }

    /// Begins an exemplar. After the attributes. Its own may follow, then `endExemplar`.
    package mutating func beginExemplar(time: UInt64) {
        beginPart(stage: 2, bit: PointBit.exemplars)
        records.write(zigzag: Int64(bitPattern: time &- record.time))
    }

    /// Ends an exemplar.
    package mutating func endExemplar(
        _ value: NumberValue, trace: TraceID = .zero, span: SpanID = .zero
    ) {
        let trace = index(of: trace)
        var bits: UInt64 = 0
        if trace != 0 { bits |= ExemplarBit.trace }
        if !span.isZero { bits |= ExemplarBit.span }
        switch value {
        case .none: break
        case .int: bits |= ExemplarBit.integer
        case .double: bits |= ExemplarBit.double
        }
        endPart(bits: UInt8(bits))
        if trace != 0 { records.write(varint: UInt64(trace)) }
        if !span.isZero { records.write(bigEndian: span.rawValue) }
        write(value)
    }

    /// OTLP data point flags. After the exemplars.
    package mutating func pointFlags(_ flags: UInt32) {
        if flags == 0 { return }
        advance(to: 3, bit: PointBit.flags)
        records.write(varint: UInt64(flags))
    }

    /// A number point's value. Last.
    package mutating func number(_ value: NumberValue) {
        switch value {
        case .none: return
        case .int: advance(to: 4, bit: PointBit.integer)
        case .double: advance(to: 4, bit: PointBit.double)
        }
        write(value)
    }

    /// A histogram's or exponential histogram's sum and extremes, as far as given. After the flags.
    package mutating func totals(sum: Double?, min: Double?, max: Double?) {
        var bits: UInt64 = 0
        if sum != nil { bits |= PointBit.sum }
        if min != nil { bits |= PointBit.min }
        if max != nil { bits |= PointBit.max }
        if bits == 0 { return }
        advance(to: 4, bit: bits)
        if let sum { records.write(double: sum) }
        if let min { records.write(double: min) }
        if let max { records.write(double: max) }
    }

    /// An exponential histogram's zero threshold and sides, as far as given. Last.
    package mutating func exponentialBuckets(
        zeroThreshold: Double = 0, positive: ExponentialSide?, negative: ExponentialSide? = nil
    ) {
        var bits: UInt64 = 0
        let hasThreshold = zeroThreshold.bitPattern != 0
        if hasThreshold { bits |= PointBit.zeroThreshold }
        if positive != nil { bits |= PointBit.positive }
        if negative != nil { bits |= PointBit.negative }
        if bits == 0 { return }
        advance(to: 5, bit: bits)
        if hasThreshold { records.write(double: zeroThreshold) }
        for side in [positive, negative].compactMap({ $0 }) {
            records.write(zigzag: Int64(side.offset))
            write(buckets: side.counts)
        }
    }

    private mutating func beginPoint(
        _ type: UInt8, _ metric: Int, _ time: UInt64, _ startTime: UInt64
    ) {
        precondition(metric > 0 && metric <= metrics.count, "no such metric")
        beginRecord(
            type, bits: startTime != 0 ? PointBit.startTime : 0, attributes: PointBit.attributes,
            scope: 0, time: time)
        records.write(varint: UInt64(metric))
        records.write(zigzag: Int64(bitPattern: time &- baseTime))
    }

    private mutating func writeStart(_ startTime: UInt64) {
        if startTime == 0 { return }
        records.write(zigzag: Int64(bitPattern: startTime &- record.time))
    }

    private mutating func write(_ value: NumberValue) {
        switch value {
        case .none: break
        case .int(let value): records.write(zigzag: value)
        case .double(let value): records.write(double: value)
        }
    }

    private mutating func write(buckets: [UInt64]) {
        if buckets.count > BatchLimits.bucketsMax { record.failed = true }
        longTexts &+= buckets.count &* UnfoldedBytes.bucketBytes
        records.write(varint: UInt64(buckets.count))
        var index = 0
        while index < buckets.count {
            records.write(varint: buckets[index])
            index += 1
            guard buckets[index - 1] == 0 else { continue }
            let runStart = index
            while index < buckets.count, buckets[index] == 0 { index += 1 }
            records.write(varint: UInt64(index - runStart))
        }
    }
}
