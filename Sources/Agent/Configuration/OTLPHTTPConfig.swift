/// Forwarding to a backend as OTLP over HTTP. Keys: `exporters.otlp_http` and `exporters.otlp_http/NAME`, also
/// written `otlphttp`.
package struct OTLPHTTPConfig: Sendable, Equatable {
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
    }

    /// Key `enabled`, default true.
    package var enabled = true
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
    /// Key `start_at`, default `end`.
    package var startAt = AgentConfig.StartAt.end

    /// The defaults, without an endpoint.
    package init() {}

    /// All that is set, for the rules of endpoints.
    var addresses: [HTTPAddress] {
        [endpoint, tracesEndpoint, logsEndpoint, metricsEndpoint].compactMap(\.self)
    }

    /// Every key below the exporter's with its value; headers' values are secrets.
    var entries: [(String, String)] {
        [
            ("enabled", "\(enabled)"),
            ("endpoint", endpoint?.description ?? ""),
            ("traces_endpoint", tracesEndpoint?.description ?? ""),
            ("logs_endpoint", logsEndpoint?.description ?? ""),
            ("metrics_endpoint", metricsEndpoint?.description ?? ""),
            ("encoding", encoding.rawValue),
            ("compression", compression.rawValue),
            ("timeout", Quantity.duration(timeout)),
            ("retry_on_failure.initial_interval", Quantity.duration(retryInitial)),
            ("retry_on_failure.max_interval", Quantity.duration(retryLongest)),
            ("sending_queue.batch.max_size", "\(batchRecordsMax)"),
            ("sending_queue.batch.flush_timeout", Quantity.duration(flushInterval)),
            ("start_at", startAt.rawValue),
        ].filter { !$0.1.isEmpty } + headers.map { ("headers.\($0.name)", "****") }
    }
}

/// The URL of a backend.
package struct HTTPAddress: Sendable, Equatable, CustomStringConvertible {
    /// As it was written, without a slash at its end.
    package let description: String
    /// The host, in lower case.
    package let host: String
    /// The port.
    package let port: Int

    /// Reads `http://HOST[:PORT][/PATH]`, or `https`; nil if it is neither.
    package init?(_ text: String) {
        let isSecure = text.hasPrefix("https://")
        guard isSecure || text.hasPrefix("http://"),
            text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F })
        else { return nil }
        let rest = text.dropFirst(isSecure ? 8 : 7)
        let authority = rest.prefix { $0 != "/" && $0 != "?" && $0 != "#" }
        guard !authority.contains("@") else { return nil }
        var host = authority
        var port = isSecure ? 443 : 80
        if let colon = authority.lastIndex(of: ":"), !authority.hasSuffix("]") {
            guard let number = Int(authority[authority.index(after: colon)...]),
                (1...65_535).contains(number)
            else { return nil }
            host = authority[..<colon]
            port = number
        }
        guard !host.isEmpty else { return nil }
        self.host = host.lowercased()
        self.port = port
        description = String(text.hasSuffix("/") ? text.dropLast() : text[...])
    }

    /// The base of what may be a signal's own URL.
    package var base: String {
        for path in ["/v1/traces", "/v1/logs", "/v1/metrics"] where description.hasSuffix(path) {
            return String(description.dropLast(path.count))
        }
        return description
    }
}
