/// What goes to the journal, and how (`exporters: journald:` of the configuration).
package struct JournalConfiguration: Sendable, Equatable {
    /// How much becomes an entry. Key `detail`, `operations` or `all`; default `operations`.
    package enum Detail: String, Sendable {
        /// The operations of a coding agent, whatever dialect reported them, and every error.
        case operations
        /// Every span, and every log event from INFO on.
        case all
    }

    /// See `Detail`.
    package var detail = Detail.operations
    /// The time that one summary of metric points covers. Key `metrics_interval`, default 60 s; nil: no
    /// summaries, and metric points are `not_selected`.
    package var metricsInterval: Duration? = .seconds(60)
    /// Entries a second on average, with bursts of ten seconds' worth. Key `entries_per_second_max`, default
    /// 1,000; nil (0 in the file): no cap.
    package var entriesPerSecond: UInt64? = 1000
    /// Bytes of entries a day (UTC). Key `bytes_per_day_max`, default 256 MiB; nil (0 in
    /// the file): no cap.
    package var bytesPerDay: UInt64? = 256 << 20
    /// The lowest severity number of a log event that becomes an entry: INFO.
    package var severityMin: UInt8 = 9
    /// journald's socket; of another namespace by choice.
    package var socketPath = "/run/systemd/journal/socket"
    /// The journal's namespace, nil for the usual one.
    package var namespace: String?

    /// The defaults.
    package init() {}
}
