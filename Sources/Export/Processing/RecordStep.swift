package import TelemetryBatch

/// What a processor does with an exporter's records of a signal. The log keeps them as they are.
package enum RecordStep: Sendable, Equatable {
    /// Changes attributes of the records that are meant.
    case attributes([AttributeAction], Choice)
    /// Changes attributes of the resource.
    case resource([AttributeAction])
    /// Leaves out what is not meant.
    case filter(Choice)

    /// What is meant: what `include` holds, unless `exclude` holds it, too.
    package struct Choice: Sendable, Equatable {
        /// Nil: everything.
        package var include: RecordMatch?
        /// Nil: nothing.
        package var exclude: RecordMatch?

        /// Everything.
        package init() {}
    }

    var isOfResource: Bool { if case .resource = self { true } else { false } }
}

/// A change of an attribute, as it is configured.
package struct AttributeAction: Sendable, Equatable {
    /// What is done.
    package var verb = AttributeEdit.Verb.upsert
    /// Of which attribute; empty only for a `delete` with a pattern.
    package var key = ""
    /// Where the value comes from; nil for `delete`.
    package var source: AttributeEdit.Source?
    /// Of `delete`: keys.
    package var pattern: TextPattern?

    /// One that is not set yet.
    package init() {}

    var edit: AttributeEdit {
        guard let pattern else { return AttributeEdit(verb, key: key, source: source) }
        let key = self.key
        return AttributeEdit(verb, key: key) { name in
            pattern.matches(name) || !key.isEmpty && name.elementsEqual(key.utf8)
        }
    }
}

extension RecordRules {
    /// A batch's records that are an exporter's, with what its processors made of them. The resource is one for a
    /// whole batch: where processors change it for some signals alone, the batch comes in a part for each signal.
    func process(
        _ batch: Batch, _ selection: inout ExportSelection
    ) -> [(batch: Batch, ranges: [Range<Int>])] {
        if steps.isEmpty || selection.ranges.isEmpty { return [(batch, selection.ranges)] }
        var present: [Signal] = []
        if batch.summary.spans > 0, signals.contains(.traces) { present.append(.traces) }
        if batch.summary.logs > 0, signals.contains(.logs) { present.append(.logs) }
        if batch.summary.points > 0, signals.contains(.metrics) { present.append(.metrics) }
        let chains = present.map { steps[$0] ?? [] }
        let isOneChain = chains.allSatisfy { $0 == chains.first }
        if isOneChain || !chains.contains(where: { $0.contains(where: \.isOfResource) }) {
            var found = ProcessedRecords(batch, selection.ranges)
            if isOneChain {
                for step in chains.first ?? [] { found.carryOut(step, on: nil) }
            } else {
                for (signal, chain) in zip(present, chains) {
                    for step in chain { found.carryOut(step, on: signal) }
                }
            }
            return found.result(&selection).map { [$0] } ?? []
        }
        return zip(present, chains).compactMap { signal, chain in
            let isFirst = signal == present[0]
            let ranges = batch.ranges(selection.ranges) { place in
                place.isOf(signal) || isFirst && !place.isOfAny
            }
            var found = ProcessedRecords(batch, ranges)
            for step in chain { found.carryOut(step, on: signal) }
            return found.result(&selection)
        }
    }
}

/// Records on their way through processors.
private struct ProcessedRecords {
    private var batch: Batch
    private var ranges: [Range<Int>]
    private var filtered = 0

    init(_ batch: Batch, _ ranges: [Range<Int>]) {
        self.batch = batch
        self.ranges = ranges
    }

    /// What is left; nil if that is nothing.
    func result(
        _ selection: inout ExportSelection
    ) -> (batch: Batch, ranges: [Range<Int>])? {
        if filtered > 0 { selection.excluded[.filtered, default: 0] += filtered }
        return ranges.isEmpty ? nil : (batch, ranges)
    }

    /// A step for the records of a signal; nil: for those of all.
    mutating func carryOut(_ step: RecordStep, on signal: RecordRules.Signal?) {
        switch step {
        case .resource(let actions):
            batch = batch.editingResource(actions.map(\.edit))
        case .attributes(let actions, let choice):
            var chosen = ChosenRecords(choice, batch)
            var ours = RangeWalk(ranges)
            batch = batch.editingRecords(actions.map(\.edit)) { place in
                ours.contains(place.index) && place.isOf(signal) && chosen.contains(place)
            }
        case .filter(let choice):
            var chosen = ChosenRecords(choice, batch)
            let before = ranges.reduce(0) { $0 + $1.count }
            ranges = batch.ranges(ranges) { !$0.isOf(signal) || chosen.contains($0) }
            filtered += before - ranges.reduce(0) { $0 + $1.count }
        }
    }
}

private struct ChosenRecords {
    private var include: BatchMatch?
    private var exclude: BatchMatch?

    init(_ choice: RecordStep.Choice, _ batch: Batch) {
        include = choice.include.map { BatchMatch($0, in: batch) }
        exclude = choice.exclude.map { BatchMatch($0, in: batch) }
    }

    mutating func contains(_ place: RecordPlace) -> Bool {
        include?.holds(place) != false && exclude?.holds(place) != true
    }
}

/// Asks of rising places whether they are in ranges.
private struct RangeWalk {
    private var ranges: ArraySlice<Range<Int>>

    init(_ ranges: [Range<Int>]) { self.ranges = ranges[...] }

    mutating func contains(_ index: Int) -> Bool {
        while let range = ranges.first, range.upperBound <= index { ranges.removeFirst() }
        return ranges.first?.contains(index) ?? false
    }
}

extension RecordPlace {
    fileprivate var isOfAny: Bool { isSpan || isLog || isPoint }

    /// Nil: of any that has attributes.
    fileprivate func isOf(_ signal: RecordRules.Signal?) -> Bool {
        switch signal {
        case nil: isOfAny
        case .traces: isSpan
        case .logs: isLog
        case .metrics: isPoint
        }
    }
}

extension Batch {
    /// The records of ranges that are wanted.
    fileprivate func ranges(
        _ some: [Range<Int>], where isWanted: (RecordPlace) -> Bool
    ) -> [Range<Int>] {
        var found = ExportSelection(ranges: [])
        var walk = RangeWalk(some)
        for place in places where walk.contains(place.index) && isWanted(place) {
            found.add(place.index)
        }
        return found.ranges
    }
}
