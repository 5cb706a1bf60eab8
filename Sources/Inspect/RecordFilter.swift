import ByteCoding
package import Meaning
package import SegmentLog

/// Which records are wanted. What is nil, or empty, does not restrict.
package struct RecordFilter: Sendable {
    /// Names of spans, events or metrics; `*` stands for any characters.
    package var names: [String] = []
    /// Operations of a coding agent.
    package var operations: [Operation] = []
    /// Services, as given.
    package var services: [String] = []
    /// Sessions: any prefix or suffix of their ids.
    package var sessions: [String] = []
    /// Originators, as given.
    package var originators: [String] = []
    /// Only what failed or was denied.
    package var onlyErrors = false
    /// Only what took at least so long, in nanoseconds.
    package var durationMin: UInt64?
    /// Only this trace.
    package var trace: IDQuery?
    /// Only from this time on, by the record's own clock; nanoseconds since 1970.
    package var since: UInt64?
    /// Only before this time.
    package var until: UInt64?

    /// Everything.
    package init() {}

    /// Whether every record is wanted.
    package var isUnrestricted: Bool {
        names.isEmpty && operations.isEmpty && services.isEmpty && sessions.isEmpty
            && originators.isEmpty && !onlyErrors && durationMin == nil && trace == nil
            && since == nil && until == nil
    }

    /// Whether any record of an entry can be wanted: a look at the envelope saves reading the batch.
    package func mayWant(_ envelope: Envelope) -> Bool {
        mayWant(
            earliest: envelope.earliest, latest: envelope.latest,
            receivedFirst: envelope.received, receivedLast: envelope.received)
    }

    /// Whether any record of a sealed segment can be wanted.
    package func mayWant(_ footer: SegmentFooter) -> Bool {
        let summary = footer.summary
        if let trace, trace.isComplete, let id = ID128(hex: trace.digits),
            !footer.filter.mayContain(id)
        {
            return false
        }
        return mayWant(
            earliest: summary.earliest, latest: summary.latest,
            receivedFirst: summary.receivedFirst, receivedLast: summary.receivedLast)
    }

    /// Records without a time count by their receipt, so both ranges decide.
    private func mayWant(
        earliest: UInt64, latest: UInt64, receivedFirst: UInt64, receivedLast: UInt64
    ) -> Bool {
        if let since, max(latest, receivedLast) < since { return false }
        if let until {
            let first = earliest == 0 ? receivedFirst : min(earliest, receivedFirst)
            if first >= until { return false }
        }
        return true
    }

    /// Whether a record is wanted.
    package func wants(_ record: StoredRecord) -> Bool {
        let meaning = record.meaning
        let batch = record.batch
        if onlyErrors, meaning.status != .error, meaning.status != .denied { return false }
        if let durationMin, (meaning.durationNanoseconds ?? 0) < durationMin { return false }
        if !operations.isEmpty {
            guard let operation = meaning.operation, operations.contains(operation) else {
                return false
            }
        }
        if let since, record.time < since { return false }
        if let until, record.time >= until { return false }
        if let trace {
            guard let id = record.traceID, trace.matches(id.hex) else { return false }
        }
        func text(_ text: MeaningText) -> String { batch.string(text) ?? "" }
        if !names.isEmpty, !names.contains(where: { Self.glob($0, text(meaning.name)) }) {
            return false
        }
        if !services.isEmpty, !services.contains(text(meaning.service)) { return false }
        if !originators.isEmpty, !originators.contains(text(meaning.originator)) { return false }
        if !sessions.isEmpty {
            let id = text(meaning.session)
            let isWanted = sessions.contains { !id.isEmpty && Self.isPart($0, of: id) }
            guard isWanted else { return false }
        }
        return true
    }

    /// A prefix or suffix; a leading `…`, as our output shortens ids, is left out.
    private static func isPart(_ given: String, of id: String) -> Bool {
        let part = given.hasPrefix("…") ? String(given.dropFirst()) : given
        return id.hasPrefix(part) || id.hasSuffix(part)
    }

    /// Whether `text` is what `pattern` says. Linear: after each `*` the earliest match is as good as any.
    static func glob(_ pattern: String, _ text: String) -> Bool {
        let parts = pattern.split(separator: "*", omittingEmptySubsequences: false)
        guard parts.count > 1, let first = parts.first, let last = parts.last else {
            return pattern == text
        }
        guard text.hasPrefix(first) else { return false }
        var rest = text.dropFirst(first.count)
        for part in parts.dropFirst().dropLast() where !part.isEmpty {
            guard let found = rest.firstRange(of: part) else { return false }
            rest = rest[found.upperBound...]
        }
        return rest.hasSuffix(last)
    }
}
