/// Something in a configuration file that is not as it must be.
package struct ConfigProblem: Error, Sendable, Equatable, CustomStringConvertible {
    /// The file.
    package let file: String
    /// Line and column, from 1; 0 where there is none.
    package let line: Int
    /// See `line`.
    package let column: Int
    /// What is wrong and what would be right.
    package let message: String

    /// `file:line:column: message`.
    package var description: String {
        line > 0 ? "\(file):\(line):\(column): \(message)" : "\(file): \(message)"
    }
}

/// A file's content on top of the built-in default.
package struct ConfigReading: Sendable, Equatable {
    /// The result.
    package let config: AgentConfig
    /// For each key that the file set: `FILE:LINE`.
    package let origins: [String: String]

    /// The built-in default alone.
    package static let builtIn = ConfigReading(config: AgentConfig(), origins: [:])

    /// Reads `yaml`; every problem that can be found is found in one go.
    ///
    /// - Parameter environment: for `${env:NAME}` and `${env:NAME:-default}`.
    package init(
        yaml: String, file: String, environment: (String) -> String?
    ) throws(ConfigProblems) {
        var walk = ConfigWalk(file: file)
        do {
            if let root = try YAMLNode.read(yaml) { walk.read(root, environment: environment) }
            walk.checkEndpoints()
        } catch {
            let problem = ConfigProblem(
                file: file, line: error.place?.line ?? 0, column: error.place?.column ?? 0,
                message: "not YAML: \(error.message)")
            throw ConfigProblems(problems: [problem])
        }
        guard walk.problems.isEmpty else { throw ConfigProblems(problems: walk.problems) }
        config = walk.config
        origins = walk.origins
    }

    init(config: AgentConfig, origins: [String: String]) {
        self.config = config
        self.origins = origins
    }
}

/// All that is wrong with a file.
package struct ConfigProblems: Error, Sendable, Equatable, CustomStringConvertible {
    /// At least one.
    package let problems: [ConfigProblem]
    /// One a line.
    package var description: String {
        problems.map(\.description).joined(separator: "\n")
    }
}

/// The walk over a document: takes what it knows, reports the rest with its place.
struct ConfigWalk {
    let file: String
    var config = AgentConfig()
    var origins: [String: String] = [:]
    var problems: [ConfigProblem] = []
    /// Where each component of the user's naming stands.
    private var components: [String: YAMLNode] = [:]

    init(file: String) {
        self.file = file
    }

    mutating func read(_ root: YAMLNode, environment: (String) -> String?) {
        // An empty document adds nothing to the default.
        if root.isEmpty { return }
        let schema = ConfigSchema.root
        visit(root, schema, path: "", environment: environment)
    }

    private mutating func visit(
        _ node: YAMLNode, _ schema: ConfigSchema, path: String, environment: (String) -> String?
    ) {
        switch schema {
        case .section(let keys):
            // `journald:` with nothing after it is a section with its defaults.
            if node.isEmpty { return }
            guard case .mapping(let mapping, _) = node else {
                report(node, "\(path.isEmpty ? "the document" : path) must be a mapping")
                return
            }
            var seen: Set<String> = []
            for (key, value) in mapping {
                var name = key.text ?? ""
                var next = keys[name]
                if case .named(let type, let make) = keys[String(name.prefix { $0 != "/" })] {
                    name = type + String(name.drop { $0 != "/" })
                    next = make(name)
                    components[name] = key
                }
                let full = path.isEmpty ? name : path + "." + name
                guard let next else {
                    let known = keys.keys.sorted().joined(separator: ", ")
                    report(key, "unknown key \(full); known here: \(known)")
                    continue
                }
                guard seen.insert(name).inserted else {
                    report(key, "\(full) stands twice")
                    continue
                }
                visit(value, next, path: full, environment: environment)
            }
        case .named: report(node, "\(path) has no name")
        case .table(let expected, let assign):
            if node.isEmpty { return }
            guard case .mapping(let mapping, _) = node else {
                report(node, "\(path) must be a mapping")
                return
            }
            for (key, value) in mapping {
                guard let name = key.text, let raw = value.text else {
                    report(key, "\(path) must have \(expected)")
                    continue
                }
                guard let text = substitute(raw, value, environment) else { continue }
                guard assign(&config, name, text) else {
                    report(key, "\(path).\(name) must be \(expected)")
                    continue
                }
                origins["\(path).\(name)"] = "\(file):\(value.place.line)"
            }
        case .value(let expected, let assign):
            guard let raw = node.text else {
                report(node, "\(path) must be \(expected)")
                return
            }
            guard let text = substitute(raw, node, environment) else { return }
            guard assign(&config, text) else {
                report(node, "\(path) is '\(text)'; it must be \(expected)")
                return
            }
            origins[path] = "\(file):\(node.place.line)"
        }
    }

    /// What no single value shows: an exporter without a place to send to, and one that sends to ourselves.
    mutating func checkEndpoints() {
        for (name, node) in components.sorted(by: { $0.key < $1.key }) {
            let exporter = config[otlpHTTP: name]
            guard exporter.enabled else { continue }
            if exporter.addresses.isEmpty {
                report(node, "exporters.\(name) needs an endpoint, as http://localhost:14318")
            }
            let own = config.otlp.http
            let loopback = ["localhost", "127.0.0.1", "[::1]"]
            for address in exporter.addresses
            where config.otlp.enabled && address.port == own.port
                && loopback.contains(address.host)
            {
                report(
                    node,
                    "exporters.\(name) would send to this agent's own receiver, \(address), "
                        + "without end; name the backend's endpoint, or move the receiver")
            }
        }
    }

    /// Replaces `${env:NAME}` and `${env:NAME:-default}`; reports an unset variable.
    private mutating func substitute(
        _ raw: String, _ node: YAMLNode, _ environment: (String) -> String?
    ) -> String? {
        var result = ""
        var rest = raw[...]
        while let open = rest.firstRange(of: "${env:") {
            guard let close = rest[open.upperBound...].firstIndex(of: "}") else {
                report(node, "'${env:' without its '}'")
                return nil
            }
            result += rest[..<open.lowerBound]
            let inner = rest[open.upperBound..<close]
            let fallback = inner.firstRange(of: ":-")
            let name = String(fallback.map { inner[..<$0.lowerBound] } ?? inner)
            if let value = environment(name) {
                result += value
            } else if let fallback {
                result += inner[fallback.upperBound...]
            } else {
                report(node, "the environment variable \(name) is not set in the agent")
                return nil
            }
            rest = rest[rest.index(after: close)...]
        }
        return result + rest
    }

    private mutating func report(_ node: YAMLNode, _ message: String) {
        problems.append(
            ConfigProblem(
                file: file, line: node.place.line, column: node.place.column,
                message: message))
    }
}
