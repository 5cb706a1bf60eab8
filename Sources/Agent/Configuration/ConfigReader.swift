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
    /// What the file says and does nothing, or something else than it may seem.
    package let warnings: [ConfigProblem]
    /// The file.
    let file: String
    /// Where each key stands in it.
    let places: [String: YAMLPlace]

    /// The built-in default alone.
    package static let builtIn = ConfigReading(config: AgentConfig(), origins: [:])

    /// Reads `yaml`; every problem that can be found is found in one go.
    ///
    /// - Parameter environment: for `${env:NAME}` and `${env:NAME:-default}`.
    package init(
        yaml: String, file: String, environment: @escaping (String) -> String?
    ) throws(ConfigProblems) {
        var walk = ConfigWalk(file: file, environment: environment)
        do {
            walk.readEnvironment()
            if let root = try YAMLNode.read(yaml) { walk.read(root) }
            walk.checkWhole()
        } catch {
            let problem = ConfigProblem(
                file: file, line: error.place?.line ?? 0, column: error.place?.column ?? 0,
                message:
                    "not YAML: \(error.message)\(error.isSyntax ? Self.remedy(yaml, error.place) : "")"
            )
            throw ConfigProblems(problems: [problem])
        }
        guard walk.problems.isEmpty else { throw ConfigProblems(problems: walk.problems) }
        config = walk.config
        origins = walk.origins
        warnings = walk.warnings
        places = walk.places
        self.file = file
    }

    /// What is usually behind it.
    private static func remedy(_ yaml: String, _ place: YAMLPlace?) -> String {
        let lines = yaml.split(separator: "\n", omittingEmptySubsequences: false)
        let near = place.map { lines.dropFirst(max($0.line - 2, 0)).prefix(2) } ?? []
        if near.contains(where: { $0.prefix { $0 == " " || $0 == "\t" }.contains("\t") }) {
            return "; a line is indented by a tab: YAML takes spaces alone"
        }
        return
            "; look at this line and the one before it for indentation, quotation marks and brackets"
    }

    init(config: AgentConfig, origins: [String: String]) {
        self.config = config
        self.origins = origins
        warnings = []
        file = ""
        places = [:]
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
