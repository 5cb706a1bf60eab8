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
            "proxy_url": .value(expected: "a proxy, as http://proxy.example:3128") {
                config, text in
                config[keyPath: it].proxy = text
                return ProxyAddress(text) != nil
            },
            "auth": .refused(why: "there are no extensions; write the header under headers"),
            "profiles_endpoint": .accepted(why: "profiles are no signal of this agent"),
        ].merging(
            common(
                it,
                insecure: .accepted(
                    why: "the endpoint's http:// or https:// says whether there is TLS"))
        ).merging(
            ConfigSchema.accepted(
                [
                    "compression_params", "read_buffer_size", "write_buffer_size", "max_idle_conns",
                    "max_idle_conns_per_host", "max_conns_per_host", "idle_conn_timeout",
                    "disable_keep_alives", "http2_read_idle_timeout", "http2_ping_timeout",
                    "force_attempt_http2", "cookies",
                ], "one request of each signal is under way at a time, on connections that are kept"
            ))
    }
}
