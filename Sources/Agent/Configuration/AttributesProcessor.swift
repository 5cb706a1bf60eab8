internal import Export
internal import TelemetryBatch

/// Keys `processors.attributes` and `processors.resource`: changes of attributes, in their order.
package struct AttributesProcessor: Sendable, Equatable {
    /// An action, as it is written.
    package struct Action: Sendable, Equatable {
        var key: String?
        var verb: AttributeEdit.Verb?
        var value: ScalarValue?
        var fromAttribute: String?
        var pattern: String?
    }

    /// Key `actions`, or `attributes` of `resource`.
    var actions: [Action] = []
    /// Keys `include` and `exclude`; `resource` has none.
    var choice = MatchConfig.Choice()

    /// One that does nothing.
    init() {}

    private static let verbs: [(String, AttributeEdit.Verb)] = [
        ("insert", .insert), ("update", .update), ("upsert", .upsert), ("delete", .delete),
    ]

    /// Every key below the processor's with its value; `list`: what the actions are called. A value may be a secret, a
    /// key is none.
    func entries(_ list: String) -> [(String, String)] {
        actions.enumerated().map { index, action in
            let verb = Self.verbs.first { $0.1 == action.verb }?.0 ?? ""
            return (".\(list)[\(index)]", "\(verb) \(action.key ?? action.pattern ?? "")")
        } + choice.entries
    }

    /// What it does.
    func changes(_ list: String) throws(ProcessorMistake) -> [AttributeAction] {
        guard !actions.isEmpty else {
            throw ProcessorMistake(
                list, "needs actions, as - {key: team, action: upsert, value: blue}")
        }
        var found: [AttributeAction] = []
        for (index, action) in actions.enumerated() {
            found.append(try Self.change(action, "\(list)[\(index)]"))
        }
        return found
    }

    private static func change(
        _ action: Action, _ path: String
    ) throws(ProcessorMistake) -> AttributeAction {
        guard let verb = action.verb else {
            throw ProcessorMistake(path, "needs an action: insert, update, upsert or delete")
        }
        var change = AttributeAction()
        change.verb = verb
        change.key = action.key ?? ""
        if verb == .delete {
            guard action.value == nil, action.fromAttribute == nil else {
                throw ProcessorMistake(path, "deletes, and takes no value; take it out")
            }
            guard action.key != nil || action.pattern != nil else {
                throw ProcessorMistake(path, "needs a key, or a pattern of keys")
            }
            if let text = action.pattern {
                change.pattern = try ProcessorMistake.pattern(text, "\(path).pattern")
            }
            return change
        }
        guard action.pattern == nil else {
            throw ProcessorMistake(path, "has a pattern, which only delete takes; name a key")
        }
        guard action.key != nil else { throw ProcessorMistake(path, "needs a key") }
        switch (action.value, action.fromAttribute) {
        case (let value?, nil): change.source = .value(value)
        case (nil, let key?): change.source = .attribute(key)
        case (nil, nil): throw ProcessorMistake(path, "needs a value, or from_attribute")
        default: throw ProcessorMistake(path, "has a value and from_attribute; keep one of them")
        }
        return change
    }

    /// What may stand below the processor's name.
    static func schema(
        _ it: WritableKeyPath<AgentConfig, AttributesProcessor>, _ list: String,
        choosing: [String: ConfigSchema] = [:]
    ) -> ConfigSchema {
        let actions: ConfigSchema = .items(
            expected: "a list of actions, as [{key: team, action: upsert, value: blue}]"
        ) { index in
            let action = it.appending(path: \.[action: index])
            return .present(.section(keys(action))) { config in
                config[keyPath: action] = config[keyPath: action]
            }
        }
        return .present(.section([list: actions].merging(choosing))) { config in
            config[keyPath: it] = config[keyPath: it]
        }
    }

    private static func keys(
        _ it: WritableKeyPath<AgentConfig, Action>
    ) -> [String: ConfigSchema] {
        func text(
            _ path: WritableKeyPath<Action, String?>, _ expected: String
        ) -> ConfigSchema {
            .value(expected: expected) { config, text in
                config[keyPath: it.appending(path: path)] = text
                return !text.isEmpty
            }
        }
        return [
            "key": text(\.key, "an attribute's key"),
            "from_attribute": text(\.fromAttribute, "an attribute's key"),
            "pattern": text(\.pattern, "a regular expression"),
            "action": .value(
                expected: "insert, update, upsert or delete; this version has no others"
            ) { config, text in
                let found = verbs.first { $0.0 == text.lowercased() }
                config[keyPath: it].verb = found?.1
                return found != nil
            },
            "value": .typed(expected: "a text, a number, true or false") {
                config, text, isPlain in
                config[keyPath: it].value = ScalarValue(text, isPlain: isPlain)
                return true
            },
            "from_context": .refused(
                why: "nothing is kept of requests' metadata; write a value, or from_attribute"),
            "converted_type": .refused(
                why: "there is no action convert; an attribute keeps its type"),
        ]
    }

    /// An action; those up to it are made.
    fileprivate subscript(action index: Int) -> Action {
        get { index < actions.count ? actions[index] : Action() }
        set {
            while actions.count <= index { actions.append(Action()) }
            actions[index] = newValue
        }
    }
}

/// What is wrong with a processor as a whole.
struct ProcessorMistake: Error {
    /// The key below the processor's; "" is all of it.
    let key: String
    let message: String

    init(_ key: String, _ message: String) {
        self.key = key
        self.message = message
    }

    /// An expression, or what is wrong with it.
    static func pattern(_ text: String, _ key: String) throws(ProcessorMistake) -> TextPattern {
        do throws(PatternProblem) {
            return try TextPattern(text)
        } catch {
            throw ProcessorMistake(
                key,
                "is no regular expression that can be taken: \(error.message); RE2's are, without "
                    + "classes by name")
        }
    }
}

extension ScalarValue {
    /// What YAML takes a scalar for.
    init(_ text: String, isPlain: Bool) {
        let isNumber = text.utf8.allSatisfy { (0x2B...0x39).contains($0) || $0 | 0x20 == 0x65 }
        if !isPlain {
            self = .string(text)
        } else if ["true", "True", "TRUE"].contains(text) {
            self = .bool(true)
        } else if ["false", "False", "FALSE"].contains(text) {
            self = .bool(false)
        } else if let number = Int64(text) {
            self = .int(number)
        } else if isNumber, let number = Double(text) {
            self = .double(number)
        } else {
            self = .string(text)
        }
    }
}

extension AgentConfig {
    /// One `attributes`; made by setting it.
    subscript(attributes name: String) -> AttributesProcessor {
        get { if case .attributes(let it) = processors[name] { it } else { AttributesProcessor() } }
        set { processors[name] = .attributes(newValue) }
    }

    /// One `resource`; made by setting it.
    subscript(resource name: String) -> AttributesProcessor {
        get { if case .resource(let it) = processors[name] { it } else { AttributesProcessor() } }
        set { processors[name] = .resource(newValue) }
    }
}
