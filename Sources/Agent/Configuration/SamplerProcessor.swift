/// Key `processors.probabilistic_sampler`: spans and log events by the randomness in their trace id, so that a
/// trace is kept or left out as a whole, here and at everyone who samples so.
package struct SamplerProcessor: Sendable, Equatable {
    /// Key `sampling_percentage`, 0 to 100, default 0 as in the Collector.
    package var percentage = 0.0

    /// One that keeps nothing.
    package init() {}

    /// OpenTelemetry's threshold: what is kept has at least this in the low 56 bits of its trace id.
    package var threshold: UInt64 {
        UInt64((1 - min(percentage, 100) / 100) * Double(1 << 56))
    }

    var entries: [(String, String)] { [(".sampling_percentage", "\(percentage)")] }

    static func schema(_ name: String) -> ConfigSchema {
        let keys: [String: ConfigSchema] = [
            "sampling_percentage": .value(expected: "a number from 0 to 100, as 12.5") {
                config, text in
                guard let percentage = Double(text), (0...100).contains(percentage) else {
                    return false
                }
                config[sampler: name].percentage = percentage
                return true
            },
            "attribute_source": .only("traceID"),
            "from_attribute": .refused(why: "records are sampled by their trace ids alone"),
            "sampling_priority": .refused(why: "records are sampled by their trace ids alone"),
        ].merging(
            ConfigSchema.accepted(
                ["hash_seed", "mode", "sampling_precision", "fail_closed"],
                "what is kept is decided by the trace id's own randomness, as OpenTelemetry has it")
        )
        return .present(.section(keys)) { $0[sampler: name] = $0[sampler: name] }
    }
}

extension AgentConfig {
    /// One sampler; made by setting it.
    subscript(sampler name: String) -> SamplerProcessor {
        get { if case .sampler(let it) = processors[name] { it } else { SamplerProcessor() } }
        set { processors[name] = .sampler(newValue) }
    }
}
