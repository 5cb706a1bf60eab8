package import Export

/// Forwarding to a backend as OTLP over gRPC. Keys: `exporters.otlp_grpc` and `exporters.otlp_grpc/NAME`, also
/// written `otlp`.
package struct OTLPGRPCConfig: OTLPSettings {
    static let type = "otlp_grpc"
    static let aliases = ["otlp"]

    /// Keys `enabled` and `start_at`.
    package var basics = ExporterBasics()
    /// Key `endpoint`.
    package var endpoint: GRPCAddress?
    /// Key `tls.insecure`, default false: whether an endpoint without a scheme is spoken to without TLS.
    package var isInsecure = false
    /// Key `tls.ca_file`: certificates that are trusted instead of the system's.
    package var caFile = ""
    /// Key `tls.cert_file`: our own certificate, for a backend that wants one.
    package var certificateFile = ""
    /// Key `tls.key_file`: its key.
    package var keyFile = ""
    /// Key `tls.insecure_skip_verify`, default false: whether anybody may be the backend.
    package var skipsVerification = false
    /// Key `compression`, default `gzip`.
    package var compression = OTLPHTTPConfig.Compression.gzip
    /// Key `headers`: metadata of every call.
    package var headers: [OTLPHTTPConfig.Header] = []
    /// Key `timeout`, default 30 s.
    package var timeout = Duration.seconds(30)
    /// Key `retry_on_failure.initial_interval`, default 1 s.
    package var retryInitial = Duration.seconds(1)
    /// Key `retry_on_failure.max_interval`, default 30 s.
    package var retryLongest = Duration.seconds(30)
    /// Key `mark_hops`, default true: whether what goes to an endpoint of this host is marked, so that it is known
    /// when it comes back.
    package var marksHops = true
    /// Key `sending_queue.batch.max_size`, default 8,192 records.
    package var batchRecordsMax = 8192
    /// Key `sending_queue.batch.flush_timeout`, default 200 ms.
    package var flushInterval = Duration.milliseconds(200)

    /// Key `temporality`, default `any`: what the backend can take of metrics; the rest is left out and counted as
    /// filtered.
    package var temporality = RecordRules.Temporality.any

    /// The defaults, without an endpoint.
    package init() {}

    /// Whether TLS is spoken.
    package var isSecure: Bool { endpoint?.isSecure ?? !isInsecure }

    /// Every key below the exporter's with its value; headers' values are secrets.
    var entries: [(String, String)] {
        [
            ("endpoint", endpoint?.description ?? ""),
            ("tls.insecure", "\(isInsecure)"),
            ("tls.ca_file", caFile), ("tls.cert_file", certificateFile),
            ("tls.key_file", keyFile),
            ("tls.insecure_skip_verify", "\(skipsVerification)"),
            ("mark_hops", "\(marksHops)"),
            ("compression", compression.rawValue),
            ("temporality", temporality.rawValue),
            ("timeout", Quantity.duration(timeout)),
            ("retry_on_failure.initial_interval", Quantity.duration(retryInitial)),
            ("retry_on_failure.max_interval", Quantity.duration(retryLongest)),
            ("sending_queue.batch.max_size", "\(batchRecordsMax)"),
            ("sending_queue.batch.flush_timeout", Quantity.duration(flushInterval)),
        ].filter { !$0.1.isEmpty } + headers.map { ("headers.\($0.name)", "****") }
    }

    func mistakes(in config: AgentConfig) -> [(key: String, message: String)] {
        guard let endpoint else { return [("", "needs an endpoint, as localhost:14317")] }
        if let certificateMistake { return [certificateMistake] }
        let reserved: Set = ["te", "host", "connection", "content-length", "transfer-encoding"]
        for header in headers {
            let name = header.name.lowercased()
            if reserved.contains(name) || name.hasPrefix("grpc-") || name.hasPrefix(":") {
                return [("headers.\(header.name)", "is gRPC's own; choose another name")]
            }
        }
        // A path is compared by name only: one that is a link to our own socket shows by its hop marks.
        guard let address = HTTPAddress("http://\(endpoint.host):\(endpoint.port)") else {
            return []
        }
        return config.ownReceiver(address).map { [("endpoint", $0)] } ?? []
    }

    static func keys(
        _ it: WritableKeyPath<AgentConfig, OTLPGRPCConfig>
    ) -> [String: ConfigSchema] {
        [
            "endpoint": .value(
                expected: "a host and port, as collector.example:4317, an http:// or https:// URL "
                    + "without a path, or unix:///PATH"
            ) { config, text in
                guard let address = GRPCAddress(text) else { return false }
                config[keyPath: it].endpoint = address
                return true
            },
            "keepalive": .accepted(
                why:
                    "a connection over which nothing comes is let go of with the call that got no answer"
            ),
            "proxy_url": .refused(why: "gRPC goes without a proxy; through one goes otlp_http"),
            "balancer_name": .accepted(why: "there is one connection"),
            "wait_for_ready": .accepted(why: "what cannot be sent waits in the log"),
        ].merging(common(it, insecure: .flag(it.appending(path: \.isInsecure))))
    }
}

extension AgentConfig {
    /// One exporter; made by setting it.
    subscript(otlpGRPC name: String) -> OTLPGRPCConfig {
        get { if case .otlpGRPC(let it) = exporters[name] { it } else { OTLPGRPCConfig() } }
        set { exporters[name] = .otlpGRPC(newValue) }
    }
}
