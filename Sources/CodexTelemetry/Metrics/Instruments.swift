internal import Synchronization

/// A sum that only grows: counts of things that happened.
public struct Counter: Sendable {
    let handle: InstrumentHandle?

    /// Adds to the series of these attributes. A negative amount is dropped and counted.
    public func add(_ amount: Int = 1, _ attributes: [Attribute] = []) {
        guard let handle else { return }
        handle.withSeries(attributes) { $0.add(Int64(amount), series: $1) }
    }
}

/// A value that is what it was last set to.
public struct Gauge: Sendable {
    let handle: InstrumentHandle?

    /// Sets the series of these attributes.
    public func record(_ value: Double, _ attributes: [Attribute] = []) {
        guard let handle else { return }
        handle.withSeries(attributes) { $0.record(value, series: $1) }
    }
}

/// A distribution of values: durations, sizes.
public struct Histogram: Sendable {
    let handle: InstrumentHandle?

    /// Takes a value into the series of these attributes. NaN and infinities are dropped and counted.
    public func record(_ value: Double, _ attributes: [Attribute] = []) {
        guard let handle else { return }
        handle.withSeries(attributes) { $0.record(value, series: $1) }
    }
}

extension Telemetry {
    /// A counter. Ask once and keep it; asking again for the same gives the same series.
    public func counter(_ name: String, unit: String = "", description: String = "") -> Counter {
        Counter(handle: handle(name, .counter, unit, description))
    }

    /// A gauge. Ask once and keep it.
    public func gauge(_ name: String, unit: String = "", description: String = "") -> Gauge {
        Gauge(handle: handle(name, .gauge, unit, description))
    }

    /// A histogram with exponential buckets. Ask once and keep it.
    public func histogram(
        _ name: String, unit: String = "", description: String = ""
    ) -> Histogram {
        Histogram(handle: handle(name, .histogram, unit, description))
    }

    private func handle(
        _ name: String, _ kind: InstrumentKind, _ unit: String, _ description: String
    ) -> InstrumentHandle? {
        engine.map {
            InstrumentHandle(
                engine: $0,
                instrument: Instrument(
                    name: name, kind: kind, unit: unit, description: description))
        }
    }
}

/// An instrument, and its number in the current office's store: a fork makes the number void.
final class InstrumentHandle: Sendable {
    private let engine: EngineReference
    private let instrument: Instrument
    /// `generation << 32 | number + 1`; 0 unknown.
    private let known = Atomic<UInt64>(0)

    init(engine: EngineReference, instrument: Instrument) {
        self.engine = engine
        self.instrument = instrument
    }

    /// Runs `body` with the store and the series' number.
    func withSeries(_ attributes: [Attribute], _ body: (inout MetricStore, Int) -> Void) {
        let office = engine.office
        let isFirst = office.metrics.withLock { store in
            let isFirst = store.isEmpty
            if let number = number(in: &store, of: office.generation) {
                body(&store, store.find(number, attributes))
            } else {
                store.drop()
            }
            return isFirst
        }
        if isFirst { engine.announce(isFull: false) }
    }

    private func number(in store: inout MetricStore, of generation: UInt32) -> Int? {
        let cached = known.load(ordering: .relaxed)
        if cached != 0, cached >> 32 == UInt64(generation) {
            return Int(cached & 0xFFFF_FFFF) - 1
        }
        guard let number = store.register(instrument) else { return nil }
        known.store(UInt64(generation) << 32 | UInt64(number + 1), ordering: .relaxed)
        return number
    }
}
