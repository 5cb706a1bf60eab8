internal import Export

/// What an exporter of OTLP has, over HTTP and over gRPC: keys, rules and how it is carried out are the same.
protocol OTLPSettings: ExporterSettings {
    /// Key `tls.ca_file`.
    var caFile: String { get set }
    /// Key `tls.cert_file`.
    var certificateFile: String { get set }
    /// Key `tls.key_file`.
    var keyFile: String { get set }
    /// Key `tls.insecure_skip_verify`.
    var skipsVerification: Bool { get set }
    /// Key `compression`.
    var compression: OTLPHTTPConfig.Compression { get set }
    /// Key `headers`.
    var headers: [OTLPHTTPConfig.Header] { get set }
    /// Key `timeout`.
    var timeout: Duration { get set }
    /// Key `retry_on_failure.initial_interval`.
    var retryInitial: Duration { get set }
    /// Key `retry_on_failure.max_interval`.
    var retryLongest: Duration { get set }
    /// Key `sending_queue.batch.max_size`.
    var batchRecordsMax: Int { get set }
    /// Key `sending_queue.batch.flush_timeout`.
    var flushInterval: Duration { get set }
    /// Key `mark_hops`.
    var marksHops: Bool { get set }
    /// Key `temporality`.
    var temporality: RecordRules.Temporality { get set }
}

extension OTLPSettings {
    /// The keys of both; `insecure` below `tls` is not the same for both.
    static func common(
        _ it: WritableKeyPath<AgentConfig, Self>, insecure: ConfigSchema
    ) -> [String: ConfigSchema] {
        [
            "compression": .choice(it.appending(path: \.compression)),
            "headers": .headers(it.appending(path: \.headers)),
            "timeout": .duration(
                it.appending(path: \.timeout), .milliseconds(100)...(.seconds(600))),
            "retry_on_failure": .section(
                [
                    "initial_interval": .duration(
                        it.appending(path: \.retryInitial), .milliseconds(10)...(.seconds(3600))),
                    "max_interval": .duration(
                        it.appending(path: \.retryLongest), .milliseconds(10)...(.seconds(3600))),
                ].merging(ConfigSchema.uselessInRetry)),
            "sending_queue": .section(
                [
                    "batch": .section(
                        [
                            "max_size": .number(it.appending(path: \.batchRecordsMax), 1...65_536),
                            "flush_timeout": .duration(
                                it.appending(path: \.flushInterval),
                                .milliseconds(1)...(.seconds(60))),
                        ].merging(ConfigSchema.uselessInBatch))
                ].merging(ConfigSchema.uselessInQueue)),
            "tls": .section(tls(it).merging(["insecure": insecure])),
            "mark_hops": .flag(it.appending(path: \.marksHops)),
            "temporality": .choice(it.appending(path: \.temporality)),
        ]
    }

    private static func tls(_ it: WritableKeyPath<AgentConfig, Self>) -> [String: ConfigSchema] {
        func file(_ path: WritableKeyPath<Self, String>) -> ConfigSchema {
            .value(expected: "the absolute path of a file in PEM") { config, text in
                config[keyPath: it][keyPath: path] = text
                return text.hasPrefix("/")
            }
        }
        let inFile = "write it to a file that the agent may read, and name that"
        return [
            "ca_file": file(\.caFile), "cert_file": file(\.certificateFile),
            "key_file": file(\.keyFile),
            "insecure_skip_verify": .flag(it.appending(path: \.skipsVerification)),
            "ca_pem": .refused(why: inFile), "cert_pem": .refused(why: inFile),
            "key_pem": .refused(why: inFile),
        ]
    }

    /// What is wrong with the certificate and its key: both, or none.
    var certificateMistake: (key: String, message: String)? {
        if certificateFile.isEmpty == keyFile.isEmpty { return nil }
        let (there, missing) =
            keyFile.isEmpty
            ? ("tls.cert_file", "tls.key_file") : ("tls.key_file", "tls.cert_file")
        return (there, "needs \(missing), too")
    }

    mutating func take(_ batching: BatchProcessor, isSet: (String) -> Bool) {
        if let size = batching.recordsMax, !isSet("sending_queue.batch.max_size") {
            batchRecordsMax = min(size, 65_536)
        }
        if let timeout = batching.timeout, !isSet("sending_queue.batch.flush_timeout") {
            flushInterval = min(max(timeout, .milliseconds(1)), .seconds(60))
        }
    }
}

extension ConfigSchema {
    /// The Collector's keys below `retry_on_failure` that do nothing here.
    static var uselessInRetry: [String: ConfigSchema] {
        accepted(
            ["enabled", "max_elapsed_time"],
            "records wait in the log until they are taken, and retention is the end"
        ).merging(
            accepted(["randomization_factor", "multiplier"], "the pause doubles, with jitter"))
    }

    /// The Collector's keys below `sending_queue` that do nothing here.
    static var uselessInQueue: [String: ConfigSchema] {
        accepted(
            [
                "enabled", "num_consumers", "queue_size", "storage", "wait_for_result",
                "block_on_overflow", "sizer",
            ], "the log is the queue, on disk, for every exporter")
    }

    /// The same for `sending_queue.batch`.
    static var uselessInBatch: [String: ConfigSchema] {
        accepted(
            ["min_size", "sizer", "enabled", "partition"],
            "a batch is sent when it has max_size records, or after flush_timeout")
    }
}
