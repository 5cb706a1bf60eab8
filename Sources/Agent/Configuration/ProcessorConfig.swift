internal import Export

/// A processor of the user's naming. Keys `processors.TYPE` and `processors.TYPE/NAME`.
package enum ProcessorConfig: Sendable, Equatable {
    /// Sets the exporters' own batching.
    case batch(BatchProcessor)
    /// Needs nothing: memory is bounded anyway.
    case memoryLimiter
    /// Leaves traces out.
    case sampler(SamplerProcessor)
    /// Changes records' attributes.
    case attributes(AttributesProcessor)
    /// Changes the resource's attributes.
    case resource(AttributesProcessor)
    /// Leaves records out.
    case filter(FilterProcessor)

    /// Every key below the processor's with its value, each with a dot before it.
    var entries: [(String, String)] {
        switch self {
        case .batch(let batch): batch.entries
        case .memoryLimiter: [("", "{}")]
        case .sampler(let sampler): sampler.entries
        case .attributes(let it): it.entries("actions")
        case .resource(let it): it.entries("attributes")
        case .filter(let it): it.entries
        }
    }

    /// What it does with an exporter's records of each signal; nothing, if it is another kind of processor.
    func steps() throws(ProcessorMistake) -> [RecordRules.Signal: RecordStep] {
        let every: RecordStep
        switch self {
        case .batch, .memoryLimiter, .sampler: return [:]
        case .attributes(let it):
            every = .attributes(try it.changes("actions"), try it.choice.choice(""))
        case .resource(let it): every = .resource(try it.changes("attributes"))
        case .filter(let it): return try it.found().mapValues { .filter($0) }
        }
        return [.traces: every, .logs: every, .metrics: every]
    }

    /// What may stand below `processors`.
    static var keys: [String: ConfigSchema] {
        [
            "batch": .named(type: "batch") { BatchProcessor.schema($0) },
            "probabilistic_sampler": .named(type: "probabilistic_sampler") {
                SamplerProcessor.schema($0)
            },
            "memory_limiter": .named(type: "memory_limiter") { name in
                let why =
                    "records wait in the log on disk and not in memory, so there is nothing to limit"
                return .present(.accepted(why: why)) { $0.processors[name] = .memoryLimiter }
            },
            "attributes": .named(type: "attributes") { name in
                AttributesProcessor.schema(
                    \.[attributes: name], "actions",
                    choosing: MatchConfig.choosing(
                        \.[attributes: name].choice, MatchConfig.ofAttributes))
            },
            "resource": .named(type: "resource") { name in
                AttributesProcessor.schema(\.[resource: name], "attributes")
            },
            "filter": .named(type: "filter") { FilterProcessor.schema($0) },
            "redaction": .named(type: "redaction") { _ in
                .refused(
                    why: "processor redaction is known, and this version cannot carry it out; "
                        + "take it out of the file, or let a Collector behind this agent do it")
            },
        ]
    }
}

/// Key `processors.batch`: exporters batch by themselves, from the log; this sets how.
package struct BatchProcessor: Sendable, Equatable {
    /// Key `timeout`: how long records wait for others.
    package var timeout: Duration?
    /// Key `send_batch_size`: records in a request.
    package var size: Int?
    /// Key `send_batch_max_size`: the same, for those that split larger batches.
    package var sizeMax: Int?

    /// The exporters' own batching.
    package init() {}

    var entries: [(String, String)] {
        let set = [
            timeout.map { (".timeout", Quantity.duration($0)) },
            size.map { (".send_batch_size", "\($0)") },
            sizeMax.map { (".send_batch_max_size", "\($0)") },
        ].compactMap(\.self)
        return set.isEmpty ? [("", "{}")] : set
    }

    static func schema(_ name: String) -> ConfigSchema {
        let why = "records are not held apart by their senders' metadata"
        let keys: [String: ConfigSchema] = [
            "timeout": .value(expected: "a duration, as 200ms or 1s") { config, text in
                guard let timeout = Quantity.duration(parsing: text) else { return false }
                config[batch: name].timeout = timeout
                return true
            },
            "send_batch_size": size(name, \.size),
            "send_batch_max_size": size(name, \.sizeMax),
            "metadata_keys": .accepted(why: why),
            "metadata_cardinality_limit": .accepted(why: why),
        ]
        return .present(.section(keys)) { $0[batch: name] = $0[batch: name] }
    }

    /// The least that is asked for; 0 is no limit to the Collector.
    var recordsMax: Int? { [size, sizeMax].compactMap(\.self).filter { $0 > 0 }.min() }

    private static func size(
        _ name: String, _ path: WritableKeyPath<BatchProcessor, Int?>
    ) -> ConfigSchema {
        .value(expected: "a number of records") { config, text in
            guard let size = Int(text), size >= 0 else { return false }
            config[batch: name][keyPath: path] = size
            return true
        }
    }
}

extension AgentConfig {
    /// One `batch`; made by setting it.
    subscript(batch name: String) -> BatchProcessor {
        get { if case .batch(let it) = processors[name] { it } else { BatchProcessor() } }
        set { processors[name] = .batch(newValue) }
    }
}
