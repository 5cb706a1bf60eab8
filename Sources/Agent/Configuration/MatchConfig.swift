internal import Export
internal import TelemetryBatch

/// Keys `include` and `exclude` of processors, as they are written: which records are meant.
package struct MatchConfig: Sendable, Equatable {
    /// Keys `include` and `exclude`.
    package struct Choice: Sendable, Equatable {
        var include: MatchConfig?
        var exclude: MatchConfig?

        var entries: [(String, String)] {
            [(".include", include), (".exclude", exclude)].compactMap { key, match in
                match.map { (key, $0.shown) }
            }
        }

        /// What it means; `path`: the key that it is below, with a dot at its end.
        func choice(_ path: String) throws(ProcessorMistake) -> RecordStep.Choice {
            var choice = RecordStep.Choice()
            choice.include = try include?.match("\(path)include")
            choice.exclude = try exclude?.match("\(path)exclude")
            return choice
        }
    }

    /// An attribute, or a library.
    package struct Pair: Sendable, Equatable {
        var key: String?
        var value: ScalarValue?
        /// Of a library: its version.
        var version: String?
    }

    var type: String?
    /// By their keys.
    var texts: [String: [String]] = [:]
    /// By their keys.
    var pairs: [String: [Pair]] = [:]
    var severityLeast: UInt8?
    var severityUndefined = false

    private var shown: String {
        let keys = texts.keys.sorted() + pairs.keys.sorted()
        let all = severityLeast == nil ? keys : keys + ["severity_number"]
        return "\(type ?? "strict") \(all.joined(separator: ", "))"
    }

    /// What it means.
    func match(_ path: String) throws(ProcessorMistake) -> RecordMatch {
        guard type != nil else {
            throw ProcessorMistake(path, "needs a match_type: strict or regexp")
        }
        var match = RecordMatch()
        match.services = try list("services", path)
        match.spanNames = try list("span_names", path)
        match.metricNames = try list("metric_names", path)
        match.bodies = try list("bodies", path) + list("log_bodies", path)
        match.severityTexts =
            try list("severity_texts", path) + list("log_severity_texts", path)
        match.severityLeast = severityLeast
        match.severityUndefined = severityUndefined
        for (index, name) in (texts["span_kinds"] ?? []).enumerated() {
            guard let kind = Self.kinds[name] else {
                throw ProcessorMistake(
                    "\(path).span_kinds",
                    "has item \(index + 1), which is none of \(Self.kinds.keys.sorted().joined(separator: ", "))"
                )
            }
            match.spanKinds.append(kind)
        }
        match.resource =
            try attributes("resources", path) + attributes("resource_attributes", path)
        match.attributes =
            try attributes("attributes", path) + attributes("record_attributes", path)
        for pair in pairs["libraries"] ?? [] {
            let full = "\(path).libraries"
            guard let name = pair.key else { throw ProcessorMistake(full, "needs a name in each") }
            var library = RecordMatch.Library(name: try text(name, full), version: nil)
            if let version = pair.version { library.version = try text(version, full) }
            match.libraries.append(library)
        }
        guard !match.isEmpty else {
            throw ProcessorMistake(
                path, "says nothing that is to match, as services: [codex-cli]")
        }
        return match
    }

    private static let kinds: [String: SpanKind] = [
        "SPAN_KIND_UNSPECIFIED": .unspecified, "SPAN_KIND_INTERNAL": .internal,
        "SPAN_KIND_SERVER": .server, "SPAN_KIND_CLIENT": .client,
        "SPAN_KIND_PRODUCER": .producer, "SPAN_KIND_CONSUMER": .consumer,
    ]

    private func text(
        _ text: String, _ key: String
    ) throws(ProcessorMistake) -> RecordMatch.Text {
        type == "strict" ? .strict(text) : .pattern(try ProcessorMistake.pattern(text, key))
    }

    private func list(
        _ key: String, _ path: String
    ) throws(ProcessorMistake) -> [RecordMatch.Text] {
        var found: [RecordMatch.Text] = []
        for item in texts[key] ?? [] { found.append(try text(item, "\(path).\(key)")) }
        return found
    }

    private func attributes(
        _ key: String, _ path: String
    ) throws(ProcessorMistake) -> [RecordMatch.Attribute] {
        var found: [RecordMatch.Attribute] = []
        for (index, pair) in (pairs[key] ?? []).enumerated() {
            let full = "\(path).\(key)[\(index)]"
            guard let name = pair.key else { throw ProcessorMistake(full, "needs a key") }
            let wanted: RecordMatch.Attribute.Wanted
            switch pair.value {
            case nil: wanted = .any
            case .string(let text) where type == "regexp":
                wanted = .pattern(try ProcessorMistake.pattern(text, full))
            case let value?: wanted = .equal(value)
            }
            found.append(RecordMatch.Attribute(key: name, value: wanted))
        }
        return found
    }
}

// Its keys in a file.
extension MatchConfig {
    /// Properties of `attributes`, and the signal that each is of, nil: of any.
    static let signals: [String: RecordRules.Signal?] = [
        "services": nil, "resources": nil, "attributes": nil, "libraries": nil,
        "span_names": .traces, "span_kinds": .traces, "log_bodies": .logs,
        "log_severity_texts": .logs, "log_severity_number": .logs, "metric_names": .metrics,
    ]

    static var ofAttributes: [String] { Array(signals.keys) }

    /// What it asks for that records of a signal do not have.
    func misfit(_ signal: RecordRules.Signal) -> String? {
        let given = texts.keys.sorted() + (severityLeast == nil ? [] : ["log_severity_number"])
        return given.first { Self.signals[$0].flatMap { $0 }.map { $0 != signal } ?? false }
    }

    /// `include` and `exclude` with some properties, of those below.
    static func choosing(
        _ it: WritableKeyPath<AgentConfig, Choice>, _ properties: [String]
    ) -> [String: ConfigSchema] {
        [
            "include": schema(it.appending(path: \.include), properties),
            "exclude": schema(it.appending(path: \.exclude), properties),
        ]
    }

    private static func schema(
        _ optional: WritableKeyPath<AgentConfig, MatchConfig?>, _ properties: [String]
    ) -> ConfigSchema {
        let it = optional.appending(path: \.orEmpty)
        var keys: [String: ConfigSchema] = [
            "match_type": .value(expected: "strict or regexp; this version has no others") {
                config, text in
                config[keyPath: it].type = text
                return ["strict", "regexp"].contains(text)
            },
            "regexp": .accepted(why: "expressions are not kept by the value that they matched"),
        ]
        for property in properties { keys[property] = schema(it, property) }
        return .present(.section(keys)) { $0[keyPath: it] = $0[keyPath: it] }
    }

    private static func schema(
        _ it: WritableKeyPath<AgentConfig, MatchConfig>, _ property: String
    ) -> ConfigSchema {
        switch property {
        case "severity_number", "log_severity_number":
            return .section([
                "min": .value(
                    expected: "a severity from 1 to 24, or TRACE, DEBUG, INFO, WARN, ERROR or FATAL"
                ) { config, text in
                    let names = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"]
                    let named = names.firstIndex(of: text.uppercased()).map { UInt8($0 * 4 + 1) }
                    guard let least = named ?? UInt8(text), (1...24).contains(least) else {
                        return false
                    }
                    config[keyPath: it].severityLeast = least
                    return true
                },
                "match_undefined": .flag(it.appending(path: \.severityUndefined)),
            ])
        case "attributes", "resources", "resource_attributes", "record_attributes", "libraries":
            let list = it.appending(path: \.pairs[property].orEmpty)
            return .items(expected: "a list, as [{key: team, value: blue}]") { index in
                let pair = list.appending(path: \.[pair: index])
                return .present(.section(keys(pair, isLibrary: property == "libraries"))) {
                    $0[keyPath: pair] = $0[keyPath: pair]
                }
            }
        default:
            return .list(expected: "a list of texts, as [one, two]") { config, texts in
                config[keyPath: it].texts[property] = texts
                return !texts.isEmpty
            }
        }
    }

    private static func keys(
        _ it: WritableKeyPath<AgentConfig, Pair>, isLibrary: Bool
    ) -> [String: ConfigSchema] {
        var keys: [String: ConfigSchema] = [
            isLibrary ? "name" : "key": .value(expected: "a name") { config, text in
                config[keyPath: it].key = text
                return !text.isEmpty
            }
        ]
        if isLibrary {
            keys["version"] = .value(expected: "a version") { config, text in
                config[keyPath: it].version = text
                return true
            }
        } else {
            keys["value"] = .typed(expected: "a text, a number, true or false") {
                config, text, isPlain in
                config[keyPath: it].value = ScalarValue(text, isPlain: isPlain)
                return true
            }
        }
        return keys
    }
}

extension [MatchConfig.Pair] {
    /// One of them; those up to it are made.
    fileprivate subscript(pair index: Int) -> MatchConfig.Pair {
        get { index < count ? self[index] : MatchConfig.Pair() }
        set {
            while count <= index { append(MatchConfig.Pair()) }
            self[index] = newValue
        }
    }
}

extension MatchConfig? {
    /// It, or an empty one.
    fileprivate var orEmpty: MatchConfig {
        get { self ?? MatchConfig() }
        set { self = newValue }
    }
}

extension [MatchConfig.Pair]? {
    /// They, or none.
    fileprivate var orEmpty: [MatchConfig.Pair] {
        get { self ?? [] }
        set { self = newValue }
    }
}
