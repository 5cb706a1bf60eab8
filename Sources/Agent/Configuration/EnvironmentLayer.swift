/// The exporters that the environment of `run` asks for. They stand below the file: an exporter that it names
/// itself, and any OTLP exporter of its own, takes their place.
struct EnvironmentExporters {
    /// By name; for an OTLP exporter the variable that names its endpoint.
    var asked: [String: String] = [:]

    /// Whether one sends OTLP.
    static func isOTLP(_ name: String) -> Bool { name.hasPrefix("otlp_") }
}

/// The environment of `run`, before the file: the table is in runbook/configuration.md.
extension ConfigWalk {
    /// Puts what the variables say on top of the built-in default. A bad value is one warning that names it.
    mutating func readEnvironment() {
        let wish = exportersOfList()
        for name in wish where ["console", "file"].contains(name) {
            let exporter = name == "console" ? "debug" : "file"
            set(["exporters", exporter], to: "", from: "CODEX_OTEL_EXPORTER")
            if name == "file" {
                set(["exporters", "file", "path"], to: Self.file, from: "CODEX_OTEL_EXPORTER")
            }
        }
        if wish == ["none"] {
            set(["exporters", "journald", "enabled"], to: "false", from: "CODEX_OTEL_EXPORTER")
        }
        let enabled = isOTLPEnabled()
        guard enabled ?? (wish.isEmpty || wish.contains("otlp") || wish.contains("jaeger")) else {
            return
        }
        let isEnabled = enabled == true
        let settings = OTLPEnvironment(value)
        for problem in settings.problems { warn(variable: problem) }
        if settings.signals.isEmpty, isEnabled || !wish.isEmpty {
            let asking = isEnabled ? "CODEX_OTLP_ENABLE" : "CODEX_OTEL_EXPORTER"
            warn(
                variable: "\(asking) asks for OTLP, and no variable names an endpoint: set "
                    + "CODEX_OTEL_ENDPOINT; http://localhost:4318 would be this agent itself")
        }
        for exporter in settings.exporters {
            for (key, value, variable) in exporter.values {
                set(["exporters", exporter.name] + key, to: value, from: variable)
            }
            if config.exporters[exporter.name] != nil {
                config.environmentExporters[exporter.name] = exporter.signals
                fromEnvironment.asked[exporter.name] = exporter.variable
            }
        }
    }

    /// Where the exporter `file` writes that the environment asks for.
    private static let file = "~/.codex/telemetry/codex-traces.json"

    /// A variable that is set to something.
    private func value(_ name: String) -> String? {
        environment(name).flatMap { $0.allSatisfy(\.isWhitespace) ? nil : $0 }
    }

    private mutating func exportersOfList() -> [String] {
        let known = ["console", "otlp", "jaeger", "journald", "file", "none"]
        let names = (value("CODEX_OTEL_EXPORTER") ?? "").lowercased().split(separator: ",")
            .map { $0.filter { !$0.isWhitespace } }.filter { !$0.isEmpty }
        for name in names where !known.contains(name) {
            warn(
                variable: "CODEX_OTEL_EXPORTER names \(Self.quoted(name)), which is none of "
                    + known.joined(separator: ", "))
        }
        let found = names.filter(known.contains)
        if found.count > 1, found.contains("none") {
            warn(variable: "CODEX_OTEL_EXPORTER names none beside others; the others hold")
        }
        return found.count > 1 ? found.filter { $0 != "none" } : found
    }

    /// What `CODEX_OTLP_ENABLE` says, nil if nothing.
    private mutating func isOTLPEnabled() -> Bool? {
        switch value("CODEX_OTLP_ENABLE")?.lowercased() {
        case nil: return nil
        case "true", "1", "yes", "on": return true
        case "false", "0", "no", "off": return false
        default:
            warn(variable: "CODEX_OTLP_ENABLE must be true or false; it is taken as unset")
            return nil
        }
    }

    /// Sets one key by the file's own table.
    private mutating func set(_ path: [String], to text: String, from variable: String) {
        let full = path.joined(separator: ".")
        guard !path.isEmpty, let schema = ConfigSchema.root.at(path[...]) else {
            warn(variable: "\(variable) is not used: there is no \(full) in this version")
            return
        }
        switch schema {
        case .present(_, let assign): assign(&config)
        case .named(let type, let make):
            if case .present(_, let assign) = make(type) { assign(&config) }
        case .value(let expected, let assign):
            guard assign(&config, text) else {
                warn(variable: "\(variable) is not used: it must be \(expected)")
                return
            }
            origins[full] = variable
        default: return
        }
        if path.count == 2, path[0] == "exporters" {
            config.environmentExporters[path[1]] = .some(nil)
            fromEnvironment.asked[path[1]] = variable
        }
    }

    /// Once the file is read: what it says itself takes the place of what the environment asks for, and an
    /// endpoint of the environment's that is wrong is left out; everything else goes on.
    mutating func settleEnvironment() {
        let ownOTLP = config.exporters.keys.sorted().first {
            EnvironmentExporters.isOTLP($0) && places["exporters.\($0)"] != nil
        }
        for (name, variable) in fromEnvironment.asked.sorted(by: { $0.key < $1.key }) {
            let isOwn = places["exporters.\(name)"] != nil
            if isOwn || EnvironmentExporters.isOTLP(name) && ownOTLP != nil {
                let own = isOwn ? name : ownOTLP ?? ""
                warn(
                    variable: "\(variable) is not used: the file has exporters.\(own) itself; "
                        + "${env:\(variable)} there would use it")
                if !isOwn { forgetEnvironment(name) }
                continue
            }
            guard let settings = config.exporters[name]?.settings else { continue }
            for (key, message) in settings.mistakes(in: config) {
                let cause = origins["exporters.\(name).\(key)"] ?? variable
                warn(variable: "\(cause) is not used: exporters.\(name) \(message)")
                forgetEnvironment(name)
                break
            }
        }
    }

    /// Leaves an exporter of the environment's out, its headers and all.
    mutating func forgetEnvironment(_ name: String) {
        guard fromEnvironment.asked[name] != nil else { return }
        config.environmentExporters[name] = nil
        config.exporters[name] = nil
        origins = origins.filter { !$0.key.hasPrefix("exporters.\(name).") }
    }
}

extension ConfigSchema {
    /// What stands at a path; nil if there is nothing.
    fileprivate func at(_ path: ArraySlice<String>) -> ConfigSchema? {
        guard let key = path.first else { return self }
        let rest = path.dropFirst()
        switch self {
        case .section(let keys):
            if let exact = keys[key], case .named(_, let make) = exact { return make(key).at(rest) }
            if let exact = keys[key] { return exact.at(rest) }
            guard case .named(_, let make)? = keys[String(key.prefix { $0 != "/" })] else {
                return nil
            }
            return make(key).at(rest)
        case .present(let next, _): return rest.isEmpty && path.isEmpty ? self : next.at(path)
        case .table(let expected, let assign) where rest.isEmpty:
            return .value(expected: expected) { assign(&$0, key, $1) }
        default: return nil
        }
    }
}
