/// The walk over a document: takes what it knows, reports the rest with its place.
struct ConfigWalk {
    let file: String
    var config = AgentConfig()
    var origins: [String: String] = [:]
    private(set) var problems: [ConfigProblem] = []
    private(set) var warnings: [ConfigProblem] = []
    /// What the environment asked for and the file did not take the place of.
    var fromEnvironment = EnvironmentExporters()
    /// Where each key stands that the file has.
    private(set) var places: [String: YAMLPlace] = [:]
    /// Where the items of each list stand.
    private(set) var items: [String: [YAMLPlace]] = [:]
    let environment: (String) -> String?

    init(file: String, environment: @escaping (String) -> String?) {
        self.file = file
        self.environment = environment
    }

    mutating func read(_ root: YAMLNode) {
        // An empty document adds nothing to the default.
        if root.isEmpty { return }
        visit(root, ConfigSchema.root, path: "")
    }

    private mutating func visit(_ node: YAMLNode, _ schema: ConfigSchema, path: String) {
        switch schema {
        case .section(let keys): visitSection(node, keys, path)
        case .named: report(node.place, "\(path) has no name")
        case .table(let expected, let assign):
            visitTable(node, path, expected, assign)
        case .value(let expected, let assign): visitValue(node, path, expected, assign)
        case .typed(let expected, let assign):
            visitValue(node, path, expected) { assign(&$0, $1, node.isPlain) }
        case .items(let expected, let make):
            guard case .sequence(let nodes, _) = node else {
                if !node.isEmpty { report(node.place, "\(path) must be \(expected)") }
                return
            }
            for (index, item) in nodes.enumerated() {
                places["\(path)[\(index)]"] = item.place
                visit(item, make(index), path: "\(path)[\(index)]")
            }
        case .only(let text):
            if node.text?.lowercased() != text.lowercased() {
                report(node.place, "\(path) must be \(text), or be left out")
            }
        case .list(let expected, let assign):
            visitList(node, path, expected, assign)
        case .present(let next, let assign):
            assign(&config)
            origins[path] = "\(file):\(node.place.line)"
            visit(node, next, path: path)
        case .accepted(let why):
            warn(node.place, "\(path) has no effect: \(why)")
        case .refused(let why):
            report(node.place, "\(path): \(why)")
        }
    }

    private mutating func visitValue(
        _ node: YAMLNode, _ path: String, _ expected: String,
        _ assign: (inout AgentConfig, String) -> Bool
    ) {
        guard let raw = node.text else {
            report(node.place, "\(path) must be \(expected)")
            return
        }
        guard let value = substitute(raw, node.place, path) else { return }
        guard assign(&config, value.text) else {
            // What came from a variable may be a secret.
            let of = value.isFromEnvironment ? " with its variable's value" : ""
            report(node.place, "\(path) is \(Self.quoted(raw))\(of); it must be \(expected)")
            return
        }
        note(path, node)
    }

    private mutating func visitSection(
        _ node: YAMLNode, _ keys: [String: ConfigSchema], _ path: String
    ) {
        // `journald:` with nothing after it is a section with its defaults.
        if node.isEmpty { return }
        guard case .mapping(let mapping, _) = node else {
            report(node.place, "\(path.isEmpty ? "the document" : path) must be a mapping")
            return
        }
        var seen: Set<String> = []
        for (key, value) in mapping {
            guard var name = key.text else {
                report(key.place, "a key of \(path.isEmpty ? "the document" : path) is no text")
                continue
            }
            var next = keys[name]
            if case .named(let type, let make) = keys[String(name.prefix { $0 != "/" })] {
                name = type + String(name.drop { $0 != "/" })
                next = make(name)
                guard Self.isName(name.dropFirst(type.count)) else {
                    report(
                        key.place,
                        "\(path) has a name that cannot be \(Self.quoted(name)); behind \(type)/ stand "
                            + "letters, digits, '.', '_' and '-', 64 of them at most")
                    continue
                }
            }
            let full = path.isEmpty ? name : path + "." + name
            guard let next else {
                let known = keys.keys.sorted().joined(separator: ", ")
                report(key.place, "unknown key \(full); known here: \(known)")
                continue
            }
            guard seen.insert(name).inserted else {
                report(key.place, "\(full) stands twice; keep one of them")
                continue
            }
            places[full] = key.place
            if path == "exporters" { forgetEnvironment(name) }
            visit(value, next, path: full)
        }
    }

    /// Nothing, or `/` and what may be in a file's name, for that is where a cursor is kept.
    private static func isName(_ rest: Substring) -> Bool {
        let name = rest.utf8.dropFirst()
        return rest.isEmpty
            || (1...64).contains(name.count)
                && name.allSatisfy {
                    [0x2D, 0x2E, 0x5F].contains($0) || 0x30...0x39 ~= $0 || 0x41...0x5A ~= $0
                        || 0x61...0x7A ~= $0
                }
    }

    private mutating func visitTable(
        _ node: YAMLNode, _ path: String, _ expected: String,
        _ assign: (inout AgentConfig, String, String) -> Bool
    ) {
        if node.isEmpty { return }
        guard case .mapping(let mapping, _) = node else {
            report(node.place, "\(path) must be a mapping")
            return
        }
        var seen: Set<String> = []
        for (key, value) in mapping {
            guard let name = key.text, let raw = value.text else {
                report(key.place, "\(path) must have \(expected)")
                continue
            }
            guard seen.insert(name.lowercased()).inserted else {
                report(key.place, "\(path).\(name) stands twice; keep one of them")
                continue
            }
            guard let text = substitute(raw, value.place, "\(path).\(name)") else {
                continue
            }
            guard assign(&config, name, text.text) else {
                report(key.place, "\(path).\(name) must be \(expected)")
                continue
            }
            note("\(path).\(name)", value)
        }
    }

    private mutating func visitList(
        _ node: YAMLNode, _ path: String, _ expected: String,
        _ assign: (inout AgentConfig, [String]) -> Bool
    ) {
        let nodes: [YAMLNode] =
            switch node {
            case .sequence(let nodes, _): nodes
            default: node.isEmpty ? [] : [node]
            }
        var texts: [String] = []
        for item in nodes {
            guard let raw = item.text else {
                report(item.place, "\(path) must be \(expected)")
                return
            }
            guard let text = substitute(raw, item.place, path) else { return }
            texts.append(text.text)
        }
        guard assign(&config, texts) else {
            report(node.place, "\(path) must be \(expected)")
            return
        }
        items[path] = nodes.map(\.place)
        note(path, node)
    }

    private mutating func note(_ path: String, _ node: YAMLNode) {
        origins[path] = "\(file):\(node.place.line)"
        places[path] = node.place
    }

    /// A value in an error: not all of a file that has lost a quotation mark.
    static func quoted(_ text: String) -> String {
        if text.contains("://"), text.contains("@") { return "a URL with a user and a password" }
        let line = text.prefix(60).map { $0.isNewline ? " " : $0 }
        return "'\(String(line))\(text.count > 60 ? "…" : "")'"
    }

    /// Replaces what stands for variables; reports what cannot be.
    private mutating func substitute(
        _ raw: String, _ place: YAMLPlace, _ path: String
    ) -> Substitution? {
        guard !raw.utf8.contains(0) else {
            report(
                place,
                "\(path) has a NUL character in it (\\0), where everyone else ends it; take it out")
            return nil
        }
        do throws(Substitution.Problem) {
            return try Substitution(raw, environment)
        } catch {
            report(place, error.message)
            return nil
        }
    }

    /// Something is wrong; without a place, with the whole.
    mutating func report(_ place: YAMLPlace?, _ message: String) {
        problems.append(problem(place, message))
    }

    /// Something is not as it may seem.
    mutating func warn(_ place: YAMLPlace?, _ message: String) {
        warnings.append(problem(place, message))
    }

    /// A variable is not as it must be, or not used.
    mutating func warn(variable message: String) {
        let warning = ConfigProblem(file: "environment", line: 0, column: 0, message: message)
        if !warnings.contains(warning) { warnings.append(warning) }
    }

    private func problem(_ place: YAMLPlace?, _ message: String) -> ConfigProblem {
        ConfigProblem(
            file: file, line: place?.line ?? 0, column: place?.column ?? 0, message: message)
    }
}
