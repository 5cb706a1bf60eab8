#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// OpenTelemetry's exponential histogram: bucket *i* holds the values in (base^i, base^(i+1)], with
/// base = 2^(2^-scale). Two of them merge without error.
struct ExponentialHistogram: Sendable, Equatable {
    /// Buckets of one sign; past it the scale falls (OpenTelemetry SDK, "Base2 Exponential Bucket
    /// Histogram Aggregation": 160).
    static let bucketsMax = 160
    static let scaleMax: Int32 = 20

    /// Buckets of one sign.
    struct Buckets: Sendable, Equatable {
        /// Index of the first count.
        var offset: Int32 = 0
        var counts: [UInt64] = []

        var isEmpty: Bool { counts.isEmpty }
    }

    private(set) var count: UInt64 = 0
    private(set) var sum = 0.0
    private(set) var minimum = Double.infinity
    private(set) var maximum = -Double.infinity
    private(set) var scale = Self.scaleMax
    private(set) var zeroCount: UInt64 = 0
    private(set) var positive = Buckets()
    private(set) var negative = Buckets()

    /// Takes a value; NaN and infinities are left out, since no bucket holds them. False: left out.
    mutating func record(_ value: Double) -> Bool {
        guard value.isFinite else { return false }
        count += 1
        sum += value
        minimum = min(minimum, value)
        maximum = max(maximum, value)
        // A subnormal number has no exact place in the buckets of a high scale.
        guard value.magnitude >= Double.leastNormalMagnitude else {
            zeroCount += 1
            return true
        }
        if value > 0 { insert(value, \.positive) } else { insert(-value, \.negative) }
        return true
    }

    private mutating func insert(
        _ magnitude: Double, _ side: WritableKeyPath<ExponentialHistogram, Buckets>
    ) {
        var index = Self.index(magnitude, scale: scale)
        let buckets = self[keyPath: side]
        if !buckets.isEmpty {
            var low = min(buckets.offset, index)
            var high = max(buckets.offset + Int32(buckets.counts.count) - 1, index)
            var shift: Int32 = 0
            while Int(high) - Int(low) >= Self.bucketsMax {
                low >>= 1
                high >>= 1
                shift += 1
            }
            if shift > 0 {
                downscale(by: shift)
                index >>= shift
            }
        }
        self[keyPath: side].add(1, at: index)
    }

    private mutating func downscale(by shift: Int32) {
        scale -= shift
        positive.downscale(by: shift)
        negative.downscale(by: shift)
    }

    /// The bucket of a positive normal number.
    static func index(_ value: Double, scale: Int32) -> Int32 {
        let exponent = Int32(value.exponent)
        // Powers of two are upper bounds of their buckets; the logarithm might round them across.
        if value.significand == 1 {
            return scale >= 0 ? (exponent << scale) - 1 : (exponent - 1) >> -scale
        }
        guard scale > 0 else { return exponent >> -scale }
        let fraction = log2(value.significand) * Double(1 << scale)
        let inside = min(max(Int32(fraction.rounded(.up)) - 1, 0), (1 << scale) - 1)
        return (exponent << scale) + inside
    }
}

extension ExponentialHistogram.Buckets {
    fileprivate mutating func add(_ amount: UInt64, at index: Int32) {
        if counts.isEmpty {
            offset = index
            counts = [amount]
            return
        }
        if index < offset {
            counts.insert(contentsOf: repeatElement(0, count: Int(offset - index)), at: 0)
            offset = index
        }
        let place = Int(index - offset)
        if place >= counts.count {
            counts.append(contentsOf: repeatElement(0, count: place - counts.count + 1))
        }
        counts[place] += amount
    }

    fileprivate mutating func downscale(by shift: Int32) {
        guard !isEmpty else { return }
        var merged = Self()
        for (place, amount) in counts.enumerated() {
            merged.add(amount, at: (offset + Int32(place)) >> shift)
        }
        self = merged
    }
}
