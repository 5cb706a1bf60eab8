internal import OTLPExport

extension ConfigWalk {
    /// A proxy that somebody asked for and that is not used is said: what it was for goes another way.
    mutating func checkProxies() {
        var rules = ProxyRules(environment: environment)
        // Which of both gRPC would go through is nothing that every SDK agrees on: that for TLS has no other meaning.
        rules.plain = nil
        let used = config.exporters.sorted { $0.key < $1.key }
            .filter { $0.value.settings.basics.enabled && config.isUsed($0.key) }
        var places: [(isSecure: Bool, host: String)] = []
        for (name, exporter) in used {
            switch exporter {
            case .otlpHTTP(let its) where its.proxy.isEmpty:
                places += its.addresses.map { ($0.isSecure, $0.host) }
            case .otlpGRPC(let its):
                guard let host = its.endpoint?.host, !host.isEmpty,
                    rules.proxy(isSecure: true, host: host) != nil
                else { continue }
                warn(
                    variable:
                        "HTTPS_PROXY is not used by exporters.\(name): gRPC goes without a proxy; "
                        + "through one goes otlp_http")
            case .otlpHTTP, .file, .debug: continue
            }
        }
        for problem in ProxyRules.problems(for: places, environment: environment) {
            warn(variable: problem)
        }
    }
}
