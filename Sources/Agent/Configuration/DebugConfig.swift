internal import DebugExport

/// Printing records on the agent's standard error. Keys: `exporters.debug` and `exporters.debug/NAME`, also
/// written `logging`.
package struct DebugConfig: ExporterSettings {
    static let type = "debug"
    static let aliases = ["logging"]

    /// How much of what there is.
    package enum Verbosity: String, Sendable, CaseIterable {
        /// Numbers, a line a record, or everything.
        case basic, normal, detailed
    }

    /// Keys `enabled` and `start_at`.
    package var basics = ExporterBasics()
    /// Key `verbosity`, default `basic`.
    package var verbosity = Verbosity.basic
    /// Key `lines_per_second_max`, default 1,000.
    package var linesPerSecondMax = 1000

    /// The defaults.
    package init() {}

    var entries: [(String, String)] {
        [
            ("verbosity", verbosity.rawValue),
            ("lines_per_second_max", "\(linesPerSecondMax)"),
        ]
    }

    static func keys(_ it: WritableKeyPath<AgentConfig, DebugConfig>) -> [String: ConfigSchema] {
        let why = "lines_per_second_max bounds what is printed"
        return [
            "verbosity": .choice(it.appending(path: \.verbosity)),
            "lines_per_second_max": .number(
                it.appending(path: \.linesPerSecondMax), 1...1_000_000),
            "sampling_initial": .accepted(why: why),
            "sampling_thereafter": .accepted(why: why),
            "use_internal_logger": .accepted(why: "lines go to the agent's standard error"),
            "loglevel": .refused(why: "write verbosity: basic, normal or detailed instead"),
        ]
    }

    /// As the exporter takes it.
    var exporter: DebugExportConfiguration {
        var configuration = DebugExportConfiguration()
        configuration.verbosity =
            switch verbosity {
            case .basic: .basic
            case .normal: .normal
            case .detailed: .detailed
            }
        configuration.linesPerSecond = linesPerSecondMax
        return configuration
    }
}

extension AgentConfig {
    /// One exporter; made by setting it.
    subscript(debug name: String) -> DebugConfig {
        get { if case .debug(let it) = exporters[name] { it } else { DebugConfig() } }
        set { exporters[name] = .debug(newValue) }
    }
}
