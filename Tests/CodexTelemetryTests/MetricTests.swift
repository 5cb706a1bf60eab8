import SimulationKit
import Testing

@testable import CodexTelemetry

@Suite struct Metrics {
    func store() -> (MetricStore, counter: Int, histogram: Int) {
        var store = MetricStore(now: 100)
        let counter = store.register(
            Instrument(name: "c", kind: .counter, unit: "", description: ""))!
        let histogram = store.register(
            Instrument(name: "h", kind: .histogram, unit: "ms", description: ""))!
        return (store, counter, histogram)
    }

    @Test func `a counter's deltas add up within an interval and begin anew after it`() {
        var (store, counter, _) = store()
        let series = store.find(counter, [Attribute("a", 1)])
        store.add(2, series: series)
        store.add(3, series: series)
        let first = store.drain(now: 200)
        #expect(first.start == 100)
        #expect(first.points.map(\.value) == [.sum(5)])
        let second = store.drain(now: 300)
        #expect(second.points.isEmpty)
        store.add(1, series: store.find(counter, [Attribute("a", 1)]))
        let third = store.drain(now: 400)
        #expect(third.start == 300)
        #expect(third.points.map(\.value) == [.sum(1)])
    }

    @Test func `past the cap new series go into the instrument's overflow series`() {
        var (store, counter, _) = store()
        let count = MetricStore.seriesMax + 500
        for number in 0..<count {
            store.add(1, series: store.find(counter, [Attribute("n", .int(Int64(number)))]))
        }
        let points = store.drain(now: 200).points
        #expect(points.count == MetricStore.seriesMax + 1)
        let total = points.reduce(Int64(0)) { sum, point in
            guard case .sum(let value) = point.value else { return sum }
            return sum + value
        }
        #expect(total == Int64(count))
        #expect(
            points.contains {
                $0.attributes == [Attribute("otel.metric.overflow", true)] && $0.value == .sum(500)
            })
        // Silent series are forgotten: the next interval has room again.
        store.add(1, series: store.find(counter, [Attribute("n", -1)]))
        let later = store.drain(now: 300)
        #expect(later.points.map(\.attributes) == [[Attribute("n", -1)]])
    }

    @Test func `values that no series can hold are counted`() {
        var (store, counter, histogram) = store()
        store.add(-1, series: store.find(counter, []))
        store.record(.nan, series: store.find(histogram, []))
        store.record(.infinity, series: store.find(histogram, []))
        let dropped = [store.takeDropped(), store.takeDropped()]
        #expect(dropped == [3, 0])
    }

    @Test func `each value lies within its bucket's bounds, at every scale`() {
        var random = SeededGenerator(seed: 3)
        for _ in 0..<5_000 {
            let value = Double.random(in: 1e-6...1e9, using: &random)
            for scale in [-4, -1, 0, 1, 3, 8] as [Int32] {
                let index = ExponentialHistogram.index(value, scale: scale)
                let width = power(of: scale)
                // In logarithms to base 2: index · 2^-scale < log2(value) <= (index + 1) · 2^-scale.
                let place = logarithm(value)
                #expect(Double(index) * width <= place + 1e-9)
                #expect(place <= Double(index + 1) * width + 1e-9)
            }
        }
        #expect(ExponentialHistogram.index(1, scale: 3) == -1)
        #expect(ExponentialHistogram.index(2, scale: 0) == 0)
        #expect(ExponentialHistogram.index(4, scale: -1) == 0)
    }

    @Test func `a wide range lowers the scale and keeps every count`() {
        var histogram = ExponentialHistogram()
        for exponent in -300...300 {
            let value = Double(sign: .plus, exponent: exponent, significand: 1.5)
            let isIn = histogram.record(exponent == 0 ? 0 : value)
            #expect(isIn)
        }
        let isIn = histogram.record(-3)
        #expect(isIn)
        #expect(histogram.count == 602)
        #expect(histogram.zeroCount == 1)
        #expect(histogram.positive.counts.reduce(0, +) == 600)
        #expect(histogram.negative.counts.reduce(0, +) == 1)
        #expect(histogram.positive.counts.count <= ExponentialHistogram.bucketsMax)
        #expect(histogram.minimum == -3)
    }

    private func power(of scale: Int32) -> Double {
        Double(sign: .plus, exponent: -Int(scale), significand: 1)
    }

    /// By bisection, so that the test does not lean on the same function of libm.
    private func logarithm(_ value: Double) -> Double {
        var result = Double(value.exponent)
        var rest = value.significand
        var step = 0.5
        for _ in 0..<50 {
            rest *= rest
            if rest >= 2 {
                rest /= 2
                result += step
            }
            step /= 2
        }
        return result
    }
}
