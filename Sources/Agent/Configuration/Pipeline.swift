internal import Export

/// Which exporters get a signal, and through which processors. Key: `service.pipelines.SIGNAL` or
/// `service.pipelines.SIGNAL/NAME`.
///
/// A pipeline takes every record of its signal, whichever receiver took it.
package struct Pipeline: Sendable, Equatable {
    /// Key `receivers`: named for the Collector's sake.
    package var receivers: [String] = []
    /// Key `processors`, in their order.
    package var processors: [String] = []
    /// Key `exporters`.
    package var exporters: [String] = []

    /// One that leads nowhere.
    package init() {}

    /// Every key below the pipeline's with its value.
    var entries: [(String, String)] {
        [("receivers", receivers), ("processors", processors), ("exporters", exporters)]
            .map { ($0.0, "[\($0.1.joined(separator: ", "))]") }
    }

    /// The signal that a pipeline's name begins with.
    static func signal(of name: String) -> RecordRules.Signal? {
        RecordRules.Signal(rawValue: String(name.prefix { $0 != "/" }))
    }

    /// What may stand below `service.pipelines`.
    static var keys: [String: ConfigSchema] {
        var keys: [String: ConfigSchema] = [:]
        for signal in ["traces", "metrics", "logs"] {
            keys[signal] = .named(type: signal) { name in
                let it: WritableKeyPath<AgentConfig, Pipeline> = \.[pipeline: name]
                return .present(
                    .section([
                        "receivers": names(it.appending(path: \.receivers)),
                        "processors": names(it.appending(path: \.processors)),
                        "exporters": names(
                            it.appending(path: \.exporters), as: ConfigSchema.componentName),
                    ])
                ) { config in config[keyPath: it] = config[keyPath: it] }
            }
        }
        keys["profiles"] = .refused(
            why: "profiles are no signal of this agent; send them to their backend directly")
        return keys
    }

    /// `name`: a component's as we call it. Only exporters have several: `otlp` is one of them, and a receiver.
    private static func names(
        _ path: WritableKeyPath<AgentConfig, [String]>,
        as name: @escaping (String) -> String = { $0 }
    ) -> ConfigSchema {
        .list(expected: "a list of names, as [otlp_http, file]") { config, names in
            config[keyPath: path] = names.map(name)
            return names.allSatisfy { !$0.isEmpty }
        }
    }
}

extension AgentConfig {
    /// One pipeline; made by setting it.
    subscript(pipeline name: String) -> Pipeline {
        get { pipelines[name] ?? Pipeline() }
        set { pipelines[name] = newValue }
    }
}

extension ConfigSchema {
    /// An exporter's name with its type as we call it: `logging/mine` is `debug/mine`.
    static func componentName(_ written: String) -> String {
        let type = written.prefix { $0 != "/" }
        for known in ExporterConfig.types where known.names.contains(String(type)) {
            return known.type + written.dropFirst(type.count)
        }
        return written
    }
}
