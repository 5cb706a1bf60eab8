/// What became of a record under an exporter's cursor.
package enum Outcome: Hashable, Sendable, CaseIterable {
    /// The sink has it.
    case delivered
    /// Left out on purpose.
    case excluded(ExclusionCause)
    /// It will never arrive.
    case lost(LossCause)

    package static let allCases: [Outcome] =
        [.delivered] + ExclusionCause.allCases.map { .excluded($0) }
        + LossCause.allCases.map { .lost($0) }

    /// Position among all outcomes; a part of the checkpoint's format, so it never changes.
    var index: Int {
        switch self {
        case .delivered: 0
        case .excluded(let cause): 1 + Int(cause.rawValue)
        case .lost(let cause): 1 + ExclusionCause.allCases.count + Int(cause.rawValue)
        }
    }
}

/// Why a record is left out on purpose. The order is a part of the checkpoint's format.
package enum ExclusionCause: UInt8, Sendable, CaseIterable {
    /// The exporter's detail level does not ask for it.
    case notSelected
    /// The exporter's own cap on entries or bytes is reached.
    case rateCapped
    /// It is in a summary.
    case aggregated
    /// The sampler left it out.
    case sampled
    /// A filter left it out.
    case filtered

    /// The name in `status`.
    package var name: String {
        switch self {
        case .notSelected: "not_selected"
        case .rateCapped: "rate_capped"
        case .aggregated: "aggregated"
        case .sampled: "sampled"
        case .filtered: "filtered"
        }
    }
}

/// Why a record will never arrive. The order is a part of the checkpoint's format.
package enum LossCause: UInt8, Sendable, CaseIterable {
    /// The sink refused it for good.
    case rejected
    /// Retention deleted it before the exporter read it, or the sink before it was confirmed.
    case expired
    /// Its bytes in the log are damaged.
    case damaged
    /// The file of the log that it was in was removed, and not by the log.
    case removed

    /// The name in `status`.
    package var name: String {
        switch self {
        case .rejected: "rejected"
        case .expired: "expired"
        case .damaged: "damaged"
        case .removed: "removed"
        }
    }
}

/// Records by outcome.
package struct OutcomeCounts: Equatable, Sendable {
    /// The number of different outcomes.
    package static let outcomes = 1 + ExclusionCause.allCases.count + LossCause.allCases.count

    private var counts: InlineArray<10, UInt64> = .init(repeating: 0)

    /// Nothing yet.
    package init() {}

    /// The records with an outcome.
    package subscript(outcome: Outcome) -> UInt64 {
        get { counts[outcome.index] }
        set { counts[outcome.index] = newValue }
    }

    /// All records.
    package var total: UInt64 {
        var sum: UInt64 = 0
        for index in 0..<Self.outcomes { sum += counts[index] }
        return sum
    }

    /// Adds another's records.
    package mutating func add(_ other: OutcomeCounts) {
        for index in 0..<Self.outcomes { counts[index] += other.counts[index] }
    }

    /// Takes another's records away.
    mutating func subtract(_ other: OutcomeCounts) {
        for index in 0..<Self.outcomes { counts[index] -= other.counts[index] }
    }

    /// The counts in the order of the checkpoint's format.
    var inOrder: [UInt64] { (0..<Self.outcomes).map { counts[$0] } }

    /// Counts read from a checkpoint: of one before there was the last cause, too. Nil if there are others.
    init?(inOrder values: [UInt64]) {
        guard Self.known.contains(values.count) else { return nil }
        for index in values.indices { counts[index] = values[index] }
    }

    /// How many counts a checkpoint may have.
    static let known = (outcomes - 1)...outcomes

    package static func == (left: OutcomeCounts, right: OutcomeCounts) -> Bool {
        (0..<outcomes).allSatisfy { left.counts[$0] == right.counts[$0] }
    }
}
