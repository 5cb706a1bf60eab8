internal import Export

/// Key `processors.filter`: which records of a signal go on, by what they are.
package struct FilterProcessor: Sendable, Equatable {
    /// Keys `spans`, `logs`, `metrics`.
    var choices: [RecordRules.Signal: MatchConfig.Choice] = [:]

    /// One that leaves nothing out.
    init() {}

    private static let sections: [(key: String, signal: RecordRules.Signal, properties: [String])] =
        [
            (
                "spans", .traces,
                [
                    "services", "span_names", "span_kinds", "attributes", "resources", "libraries",
                ]
            ),
            (
                "logs", .logs,
                [
                    "resource_attributes", "record_attributes", "severity_texts", "severity_number",
                    "bodies",
                ]
            ),
            ("metrics", .metrics, ["metric_names", "resource_attributes"]),
        ]

    /// Every key below the processor's with its value.
    var entries: [(String, String)] {
        Self.sections.flatMap { section in
            (choices[section.signal]?.entries ?? []).map { (".\(section.key)\($0.0)", $0.1) }
        }
    }

    /// What goes on of each signal that it says something of.
    func found() throws(ProcessorMistake) -> [RecordRules.Signal: RecordStep.Choice] {
        var found: [RecordRules.Signal: RecordStep.Choice] = [:]
        for section in Self.sections {
            guard let written = choices[section.signal] else { continue }
            let choice = try written.choice("\(section.key).")
            guard choice.include != nil || choice.exclude != nil else {
                throw ProcessorMistake(section.key, "needs include or exclude")
            }
            found[section.signal] = choice
        }
        guard !found.isEmpty else {
            throw ProcessorMistake("", "needs spans, logs or metrics, with include or exclude")
        }
        return found
    }

    /// What may stand below the processor's name.
    static func schema(_ name: String) -> ConfigSchema {
        let it: WritableKeyPath<AgentConfig, FilterProcessor> = \.[filter: name]
        var keys: [String: ConfigSchema] = [
            "error_mode": .accepted(why: "there are no conditions that could fail")
        ]
        let why =
            "conditions of the transformation language are not carried out; write "
            + "include or exclude, with match_type strict or regexp, under spans, logs or metrics"
        for key in [
            "traces", "trace_conditions", "log_conditions", "metric_conditions", "profiles",
        ] {
            keys[key] = .refused(why: why)
        }
        for section in sections {
            let choice = it.appending(path: \.choices[section.signal].orNone)
            var inside = MatchConfig.choosing(choice, section.properties)
            for key in ["log_record", "metric", "datapoint"] { inside[key] = .refused(why: why) }
            keys[section.key] = .present(.section(inside)) {
                $0[keyPath: choice] = $0[keyPath: choice]
            }
        }
        return .present(.section(keys)) { $0[filter: name] = $0[filter: name] }
    }
}

extension MatchConfig.Choice? {
    /// It, or one that says nothing.
    fileprivate var orNone: MatchConfig.Choice {
        get { self ?? MatchConfig.Choice() }
        set { self = newValue }
    }
}

extension AgentConfig {
    /// One filter; made by setting it.
    subscript(filter name: String) -> FilterProcessor {
        get { if case .filter(let it) = processors[name] { it } else { FilterProcessor() } }
        set { processors[name] = .filter(newValue) }
    }
}
