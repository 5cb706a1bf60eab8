package import Export
package import Meaning

/// What a record becomes.
package enum EntrySelection: Sendable, Equatable {
    /// An entry of its own.
    case entry
    /// A part of a summary.
    case summary
    /// Nothing, and why.
    case excluded(ExclusionCause)

    /// What a record with this meaning becomes. Metric points never get entries of their own, nor do log
    /// events below INFO; a severity that is not given counts as INFO.
    package init(_ meaning: RecordMeaning, _ configuration: JournalConfiguration) {
        switch meaning.signal {
        case .metrics:
            self = configuration.metricsInterval == nil ? .excluded(.notSelected) : .summary
            return
        case .event:
            if meaning.severity > 0, meaning.severity < configuration.severityMin {
                self = .excluded(.notSelected)
                return
            }
        case .span: break
        }
        switch configuration.detail {
        case .all: self = .entry
        case .operations: self = meaning.isOperationOrError ? .entry : .excluded(.notSelected)
        }
    }
}
