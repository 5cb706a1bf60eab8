import ByteCoding
package import TelemetryBatch

/// Which records of the log an exporter is given: what is not settled as excluded before it comes to it.
package struct RecordRules: Sendable, Equatable {
    /// What a record is.
    package enum Signal: String, Sendable, CaseIterable {
        /// Spans.
        case traces
        /// Log events.
        case logs
        /// Points.
        case metrics
    }

    /// What a backend can take of histograms and of sums that only rise.
    package enum Temporality: String, Sendable, CaseIterable {
        /// Points as they come.
        case any
        /// What was added since the point before. Sums that fall, too, may come either way: their totals are read
        /// as gauges, and an SDK that prefers deltas sends them so.
        case delta
        /// The total since the start of the stream.
        case cumulative
    }

    /// The signals that it gets; of a type that is none of these only who gets everything.
    package var signals: Set<Signal>
    /// OpenTelemetry's sampling threshold for each signal: a record whose trace id has less in its low 56 bits is
    /// left out as sampled. One without a trace id stays, and so does a point.
    package var thresholds: [Signal: UInt64] = [:]
    /// What processors do with the records of a signal, in their order; signals with which nothing is done are left out.
    package var steps: [Signal: [RecordStep]] = [:]

    /// What it can take of metrics; a point that is not so is left out as filtered.
    package var temporality = Temporality.any

    /// All that there is.
    package static let everything = RecordRules(signals: Set(Signal.allCases))

    /// Some signals.
    package init(signals: Set<Signal>) { self.signals = signals }

    /// Whether nothing is left out before the processors.
    package var areEverything: Bool {
        signals.count == Signal.allCases.count && thresholds.allSatisfy { $0.value == 0 }
            && temporality == .any
    }

    /// What an exporter gets of a batch.
    package func select(from batch: Batch) -> ExportSelection {
        let count = Int(batch.header.recordCount)
        if areEverything { return ExportSelection(ranges: count > 0 ? [0..<count] : []) }
        var selection = ExportSelection(ranges: [])
        for place in batch.places {
            if let cause = cause(of: place, batch) {
                selection.excluded[cause, default: 0] += 1
            } else {
                selection.add(place.index)
            }
        }
        return selection
    }

    /// Why a record is left out, nil if it is not.
    private func cause(of place: RecordPlace, _ batch: Batch) -> ExclusionCause? {
        if place.isSpan {
            guard signals.contains(.traces) else { return .notSelected }
            return isKept(batch.span(at: place).traceID, thresholds[.traces]) ? nil : .sampled
        }
        if place.isLog {
            guard signals.contains(.logs) else { return .notSelected }
            return isKept(batch.log(at: place).traceID, thresholds[.logs]) ? nil : .sampled
        }
        if place.isPoint {
            guard signals.contains(.metrics) else { return .notSelected }
            return isTaken(batch, place) ? nil : .filtered
        }
        return signals.count == Signal.allCases.count ? nil : .notSelected
    }

    /// Whether a point's temporality is one that can be taken.
    private func isTaken(_ batch: Batch, _ place: RecordPlace) -> Bool {
        if temporality == .any { return true }
        let metric = batch.point(at: place).metric
        switch metric.kind {
        case .gauge, .summary: return true
        case .sum where temporality == .delta && !metric.isMonotonic: return true
        case .sum, .histogram, .exponentialHistogram:
            return metric.temporality == (temporality == .delta ? .delta : .cumulative)
        }
    }

    private func isKept(_ trace: TraceID, _ threshold: UInt64?) -> Bool {
        guard let threshold, threshold > 0, trace != .zero else { return true }
        return trace.low & (1 << 56 - 1) >= threshold
    }
}

/// What an exporter gets of a batch, by the records' places in it.
package struct ExportSelection: Sendable, Equatable {
    /// Rising, apart from each other, none of them empty.
    package var ranges: [Range<Int>]
    /// The others, by cause.
    package var excluded: [ExclusionCause: Int] = [:]

    /// Nothing is left out yet.
    package init(ranges: [Range<Int>]) { self.ranges = ranges }

    /// The next record that is in it.
    package mutating func add(_ index: Int) {
        if let last = ranges.last, last.upperBound == index {
            ranges[ranges.count - 1] = last.lowerBound..<index + 1
        } else {
            ranges.append(index..<index + 1)
        }
    }
}
