internal import Yams

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
            if let root = try Yams.compose(yaml: yaml) {
                walk.read(root, environment: environment)
            }
        } catch let error as YamlError {
            throw ConfigProblems(problems: [ConfigWalk.problem(of: error, file: file)])
        } catch {
            let problem = ConfigProblem(file: file, line: 0, column: 0, message: "\(error)")
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

    init(file: String) {
        self.file = file
    }

    static func problem(of error: YamlError, file: String) -> ConfigProblem {
        switch error {
        case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
            .composer(_, let problem, let mark, _):
            ConfigProblem(
                file: file, line: mark.line, column: mark.column, message: "not YAML: \(problem)")
        default:
            ConfigProblem(file: file, line: 0, column: 0, message: "not YAML: \(error)")
        }
    }

    mutating func read(_ root: Node, environment: (String) -> String?) {
        // An empty document composes to an empty scalar: nothing is added to the default.
        if case .scalar(let scalar) = root, scalar.string.isEmpty { return }
        let schema = ConfigSchema.root
        visit(root, schema, path: "", environment: environment)
    }

    private mutating func visit(
        _ node: Node, _ schema: ConfigSchema, path: String, environment: (String) -> String?
    ) {
        switch schema {
        case .section(let keys):
            // `journald:` with nothing after it is a section with its defaults.
            if case .scalar(let scalar) = node, scalar.string.isEmpty || scalar.string == "null" {
                return
            }
            guard let mapping = node.mapping else {
                report(node, "\(path.isEmpty ? "the document" : path) must be a mapping")
                return
            }
            var seen: Set<String> = []
            for (key, value) in mapping {
                let name = key.string ?? ""
                let full = path.isEmpty ? name : path + "." + name
                guard let next = keys[name] else {
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
        case .value(let expected, let assign):
            guard let raw = node.scalar?.string else {
                report(node, "\(path) must be \(expected)")
                return
            }
            guard let text = substitute(raw, node, environment) else { return }
            guard assign(&config, text) else {
                report(node, "\(path) is '\(text)'; it must be \(expected)")
                return
            }
            origins[path] = "\(file):\(node.mark?.line ?? 0)"
        }
    }

    /// Replaces `${env:NAME}` and `${env:NAME:-default}`; reports an unset variable.
    private mutating func substitute(
        _ raw: String, _ node: Node, _ environment: (String) -> String?
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

    private mutating func report(_ node: Node, _ message: String) {
        problems.append(
            ConfigProblem(
                file: file, line: node.mark?.line ?? 0, column: node.mark?.column ?? 0,
                message: message))
    }
}
