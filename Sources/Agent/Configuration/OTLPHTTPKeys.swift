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
            "retry_on_failure": .section([
                "initial_interval": .duration(
                    it.appending(path: \.retryInitial), .milliseconds(10)...(.seconds(3600))),
                "max_interval": .duration(
                    it.appending(path: \.retryLongest), .milliseconds(10)...(.seconds(3600))),
            ]),
            "sending_queue": .section([
                "batch": .section([
                    "max_size": .number(it.appending(path: \.batchRecordsMax), 1...65_536),
                    "flush_timeout": .duration(
                        it.appending(path: \.flushInterval), .milliseconds(1)...(.seconds(60))),
                ])
            ]),
        ]
    }
}
