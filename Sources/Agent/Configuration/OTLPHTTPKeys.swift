internal import OTLPExport

extension OTLPHTTPConfig {
    static func keys(
        _ it: WritableKeyPath<AgentConfig, OTLPHTTPConfig>
    ) -> [String: ConfigSchema] {
        [
            "endpoint": .address(it.appending(path: \.endpoint)),
            "traces_endpoint": .address(it.appending(path: \.tracesEndpoint)),
            "logs_endpoint": .address(it.appending(path: \.logsEndpoint)),
            "metrics_endpoint": .address(it.appending(path: \.metricsEndpoint)),
            "encoding": .choice(it.appending(path: \.encoding)),
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
            "tls": .section(tls(it)),
            "proxy_url": .value(expected: "a proxy, as http://proxy.example:3128") {
                config, text in
                config[keyPath: it].proxy = text
                return ProxyAddress(text) != nil
            },
            "mark_hops": .flag(it.appending(path: \.marksHops)),
            "temporality": .choice(it.appending(path: \.temporality)),
            "auth": .refused(why: "there are no extensions; write the header under headers"),
            "profiles_endpoint": .accepted(why: "profiles are no signal of this agent"),
        ].merging(
            ConfigSchema.accepted(
                [
                    "compression_params", "read_buffer_size", "write_buffer_size", "max_idle_conns",
                    "max_idle_conns_per_host", "max_conns_per_host", "idle_conn_timeout",
                    "disable_keep_alives", "http2_read_idle_timeout", "http2_ping_timeout",
                    "force_attempt_http2", "cookies",
                ], "one request of each signal is under way at a time, on connections that are kept"
            ))
    }

    private static func tls(
        _ it: WritableKeyPath<AgentConfig, OTLPHTTPConfig>
    ) -> [String: ConfigSchema] {
        func file(_ path: WritableKeyPath<OTLPHTTPConfig, String>) -> ConfigSchema {
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
            "insecure": .accepted(
                why: "the endpoint's http:// or https:// says whether there is TLS"),
            "ca_pem": .refused(why: inFile), "cert_pem": .refused(why: inFile),
            "key_pem": .refused(why: inFile),
        ]
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
