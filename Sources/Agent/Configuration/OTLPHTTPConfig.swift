package import Export

/// Forwarding to a backend as OTLP over HTTP. Keys: `exporters.otlp_http` and `exporters.otlp_http/NAME`, also
/// written `otlphttp`.
package struct OTLPHTTPConfig: OTLPSettings {
    static let type = "otlp_http"
    static let aliases = ["otlphttp"]

    /// How requests are written.
    package enum Encoding: String, Sendable, CaseIterable {
        /// Protocol buffers.
        case proto
        /// OTLP's JSON.
        case json
    }

    /// How bodies are packed.
    package enum Compression: String, Sendable, CaseIterable {
        /// By gzip, or not at all.
        case gzip, none
    }

    /// A header of every request.
    package struct Header: Sendable, Equatable {
        /// Its name.
        package let name: String
        /// Its value.
        package let value: String

        /// Whether a header may be added: in ASCII, on one line, and none of those that the body has.
        package static func isAllowed(_ name: String, _ value: String) -> Bool {
            let isToken = name.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != 0x3A }
            let own = [
                "content-length", "content-type", "content-encoding", "transfer-encoding",
                "connection",
            ]
            return !name.isEmpty && isToken && !own.contains(name.lowercased())
                && value.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7F }
        }
    }

    /// Keys `enabled` and `start_at`.
    package var basics = ExporterBasics()
    /// Key `endpoint`: the base, to which `/v1/traces` and its sisters are appended. One that ends in these
    /// is taken to its base.
    package var endpoint: HTTPAddress?
    /// Key `traces_endpoint`: the whole URL, instead of what `endpoint` gives.
    package var tracesEndpoint: HTTPAddress?
    /// Key `logs_endpoint`, as `traces_endpoint`.
    package var logsEndpoint: HTTPAddress?
    /// Key `metrics_endpoint`, as `traces_endpoint`.
    package var metricsEndpoint: HTTPAddress?
    /// Key `encoding`, default `proto`.
    package var encoding = Encoding.proto
    /// Key `compression`, default `gzip`.
    package var compression = Compression.gzip
    /// Key `headers`.
    package var headers: [Header] = []
    /// Key `timeout`, default 30 s.
    package var timeout = Duration.seconds(30)
    /// Key `retry_on_failure.initial_interval`, default 1 s.
    package var retryInitial = Duration.seconds(1)
    /// Key `retry_on_failure.max_interval`, default 30 s.
    package var retryLongest = Duration.seconds(30)
    /// Key `sending_queue.batch.max_size`, default 8,192 records.
    package var batchRecordsMax = 8192
    /// Key `sending_queue.batch.flush_timeout`, default 200 ms.
    package var flushInterval = Duration.milliseconds(200)

    /// Key `tls.ca_file`: certificates that are trusted instead of the system's.
    package var caFile = ""
    /// Key `tls.cert_file`: our own certificate, for a backend that wants one.
    package var certificateFile = ""
    /// Key `tls.key_file`: its key.
    package var keyFile = ""
    /// Key `tls.insecure_skip_verify`, default false: whether anybody may be the backend.
    package var skipsVerification = false
    /// Key `proxy_url`, default what `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` of the agent's environment say.
    package var proxy = ""
    /// Key `mark_hops`, default true: whether what goes to an endpoint of this host is marked, so that it is known
    /// when it comes back.
    package var marksHops = true

    /// Key `temporality`, default `any`: what the backend can take of metrics; the rest is left out and counted as
    /// filtered.
    package var temporality = RecordRules.Temporality.any

    /// The defaults, without an endpoint.
    package init() {}

    /// Keys of endpoints and what is set.
    private var places: [(String, HTTPAddress?)] {
        [
            ("endpoint", endpoint), ("traces_endpoint", tracesEndpoint),
            ("logs_endpoint", logsEndpoint), ("metrics_endpoint", metricsEndpoint),
        ]
    }

    /// All that is set.
    var addresses: [HTTPAddress] { places.compactMap(\.1) }

    /// Every key below the exporter's with its value; headers' values are secrets.
    var entries: [(String, String)] {
        [
            ("endpoint", endpoint?.shown ?? ""),
            ("traces_endpoint", tracesEndpoint?.shown ?? ""),
            ("logs_endpoint", logsEndpoint?.shown ?? ""),
            ("metrics_endpoint", metricsEndpoint?.shown ?? ""),
            ("encoding", encoding.rawValue),
            ("compression", compression.rawValue),
            ("temporality", temporality.rawValue),
            ("timeout", Quantity.duration(timeout)),
            ("retry_on_failure.initial_interval", Quantity.duration(retryInitial)),
            ("retry_on_failure.max_interval", Quantity.duration(retryLongest)),
            ("sending_queue.batch.max_size", "\(batchRecordsMax)"),
            ("sending_queue.batch.flush_timeout", Quantity.duration(flushInterval)),
            ("tls.ca_file", caFile), ("tls.cert_file", certificateFile),
            ("tls.key_file", keyFile),
            ("tls.insecure_skip_verify", "\(skipsVerification)"),
            ("proxy_url", proxy.isEmpty ? "" : "****"), ("mark_hops", "\(marksHops)"),
        ].filter { !$0.1.isEmpty } + headers.map { ("headers.\($0.name)", "****") }
    }

    func mistakes(in config: AgentConfig) -> [(key: String, message: String)] {
        if addresses.isEmpty { return [("", "needs an endpoint, as http://localhost:14318")] }
        if let certificateMistake { return [certificateMistake] }
        return places.compactMap { key, address in
            address.flatMap { config.ownReceiver($0) }.map { (key, $0) }
        }
    }
}

extension AgentConfig {
    /// One exporter; made by setting it.
    subscript(otlpHTTP name: String) -> OTLPHTTPConfig {
        get { if case .otlpHTTP(let it) = exporters[name] { it } else { OTLPHTTPConfig() } }
        set { exporters[name] = .otlpHTTP(newValue) }
    }
}
