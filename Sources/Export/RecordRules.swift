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

    /// The signals that it gets; of a type that is none of these only who gets everything.
    package var signals: Set<Signal>

    /// All that there is.
    package static let everything = RecordRules(signals: Set(Signal.allCases))

    /// Some signals.
    package init(signals: Set<Signal>) { self.signals = signals }

    /// Whether nothing is left out.
    package var areEverything: Bool { signals.count == Signal.allCases.count }

    /// What an exporter gets of a batch.
    package func select(from batch: Batch) -> RecordSelection {
        let count = Int(batch.header.recordCount)
        if areEverything { return RecordSelection(ranges: count > 0 ? [0..<count] : []) }
        var selection = RecordSelection(ranges: [])
        for place in batch.places {
            if takes(place) {
                selection.add(place.index)
            } else {
                selection.excluded[.notSelected, default: 0] += 1
            }
        }
        return selection
    }

    private func takes(_ place: RecordPlace) -> Bool {
        if place.isSpan { return signals.contains(.traces) }
        if place.isLog { return signals.contains(.logs) }
        return place.isPoint && signals.contains(.metrics)
    }
}

/// What an exporter gets of a batch, by the records' places in it.
package struct RecordSelection: Sendable, Equatable {
    /// Rising, apart from each other, none of them empty.
    package var ranges: [Range<Int>]
    /// The others, by cause.
    package var excluded: [ExclusionCause: Int] = [:]

    init(ranges: [Range<Int>]) { self.ranges = ranges }

    /// The next record that is in it.
    mutating func add(_ index: Int) {
        if let last = ranges.last, last.upperBound == index {
            ranges[ranges.count - 1] = last.lowerBound..<index + 1
        } else {
            ranges.append(index..<index + 1)
        }
    }
}
