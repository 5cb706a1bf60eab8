/// What kind of metric an instrument makes.
enum InstrumentKind: Sendable, Hashable {
    /// Sums of integers that only grow; deltas are sent.
    case counter
    /// The last value.
    case gauge
    /// A distribution; deltas are sent.
    case histogram
}

/// An instrument: what a metric is called and means.
struct Instrument: Sendable, Hashable {
    let name: String
    let kind: InstrumentKind
    let unit: String
    let description: String
}

/// One interval's aggregate of one series.
enum SeriesValue: Sendable, Equatable {
    case sum(Int64)
    case last(Double)
    case distribution(ExponentialHistogram)
}

/// A series with something to send.
struct Point: Sendable, Equatable {
    let instrument: Int
    let attributes: [Attribute]
    let value: SeriesValue
}

/// Aggregates metrics in the process, one value a series and flush interval. Bounded: past the cap a
/// new series is counted into its instrument's overflow series, so that totals stay right.
struct MetricStore {
    /// Series of all instruments, the overflow series not counted.
    static let seriesMax = 2_000
    static let instrumentsMax = 500

    private struct Series {
        let instrument: Int
        let attributes: [Attribute]
        var value: SeriesValue
        var isTouched: Bool
    }

    private struct Key: Hashable {
        let instrument: Int
        let attributes: [Attribute]
    }

    private(set) var instruments: [Instrument] = []
    private var instrumentNumbers: [Instrument: Int] = [:]
    private var series: [Series?] = []
    private var numbers: [Key: Int] = [:]
    private var free: [Int] = []
    private var touched: [Int] = []
    private(set) var intervalStart: UInt64
    /// Values that no bucket or sum can hold, and those of instruments past the cap.
    private(set) var dropped = 0

    /// `now` in nanoseconds since 1970: where the first interval begins.
    init(now: UInt64) { intervalStart = now }

    /// Nothing recorded since the last `drain`.
    var isEmpty: Bool { touched.isEmpty }

    /// The instrument's number; the same for the same description. Nil past the cap.
    mutating func register(_ instrument: Instrument) -> Int? {
        if let number = instrumentNumbers[instrument] { return number }
        guard instruments.count < Self.instrumentsMax else { return nil }
        instruments.append(instrument)
        instrumentNumbers[instrument] = instruments.count - 1
        return instruments.count - 1
    }

    /// Counts a value that no series can take.
    mutating func drop() { dropped += 1 }

    /// Adds to a counter.
    mutating func add(_ amount: Int64, series number: Int) {
        guard amount >= 0, case .sum(let sum)? = series[number]?.value else {
            dropped += 1
            return
        }
        let (total, isTooMuch) = sum.addingReportingOverflow(amount)
        set(.sum(isTooMuch ? .max : total), number)
    }

    /// Sets a gauge, or takes a value into a histogram.
    mutating func record(_ value: Double, series number: Int) {
        switch series[number]?.value {
        case .last: set(.last(value), number)
        case .distribution(var histogram):
            // Moved out and back, so that the buckets are changed in place.
            series[number]?.value = .last(0)
            if !histogram.record(value) { dropped += 1 }
            set(.distribution(histogram), number)
        case .sum, nil: dropped += 1
        }
    }

    /// The number of a series, made if it is new.
    mutating func find(_ instrument: Int, _ attributes: [Attribute]) -> Int {
        let key = Key(instrument: instrument, attributes: attributes)
        if let number = numbers[key] { return number }
        if numbers.count >= Self.seriesMax { evict() }
        if numbers.count >= Self.seriesMax, !attributes.isEmpty {
            let overflow = Key(
                instrument: instrument,
                attributes: [Attribute("otel.metric.overflow", .bool(true))])
            return numbers[overflow] ?? insert(overflow)
        }
        return insert(key)
    }

    /// Values dropped since the last call.
    mutating func takeDropped() -> Int {
        let taken = dropped
        dropped = 0
        return taken
    }

    /// What was recorded since the last call, and the interval's start; the next begins at `now`.
    mutating func drain(now: UInt64) -> (points: [Point], start: UInt64) {
        let start = intervalStart
        intervalStart = now
        var points: [Point] = []
        points.reserveCapacity(touched.count)
        for number in touched {
            guard let one = series[number] else { continue }
            points.append(
                Point(instrument: one.instrument, attributes: one.attributes, value: one.value))
            series[number]?.value = Self.zero(instruments[one.instrument].kind)
            series[number]?.isTouched = false
        }
        touched.removeAll(keepingCapacity: true)
        return (points, start)
    }

    private mutating func set(_ value: SeriesValue, _ number: Int) {
        series[number]?.value = value
        if series[number]?.isTouched == false {
            series[number]?.isTouched = true
            touched.append(number)
        }
    }

    private mutating func insert(_ key: Key) -> Int {
        let one = Series(
            instrument: key.instrument, attributes: key.attributes,
            value: Self.zero(instruments[key.instrument].kind), isTouched: false)
        let number: Int
        if let reused = free.popLast() {
            number = reused
            series[number] = one
        } else {
            number = series.count
            series.append(one)
        }
        numbers[key] = number
        return number
    }

    /// Deltas hold nothing between intervals, so a series that is silent now may be forgotten.
    private mutating func evict() {
        for (key, number) in numbers {
            guard let one = series[number], !one.isTouched else { continue }
            numbers[key] = nil
            series[number] = nil
            free.append(number)
        }
    }

    private static func zero(_ kind: InstrumentKind) -> SeriesValue {
        switch kind {
        case .counter: .sum(0)
        case .gauge: .last(0)
        case .histogram: .distribution(ExponentialHistogram())
        }
    }
}
