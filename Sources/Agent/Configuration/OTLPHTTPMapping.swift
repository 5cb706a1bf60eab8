internal import ByteCoding
internal import Export
internal import OTLPCodec
internal import OTLPExport

extension OTLPHTTPConfig {
    /// How the backend is reached.
    func connection(environment: (String) -> String?) -> ConnectionSettings {
        var settings = certificates
        settings.proxy = ProxyRules(environment: environment)
        settings.proxy.explicit = ProxyAddress(proxy)
        return settings
    }

    /// As the exporter of the agent with a log takes it.
    func exporter(log: ID128) -> OTLPExportConfiguration {
        var configuration = delivery
        let own: [(OTLPSignal, HTTPAddress?)] = [
            (.traces, tracesEndpoint), (.logs, logsEndpoint), (.metrics, metricsEndpoint),
        ]
        for (signal, address) in own {
            configuration.endpoints[signal] =
                address?.description ?? endpoint.map { "\($0.base)/v1/\(signal.rawValue)" }
        }
        configuration.encoding = encoding == .json ? .json : .protobuf
        // What leaves this host has no way back to a receiver of the loopback.
        if marksHops, addresses.contains(where: \.isThisHost) {
            configuration.mark = HopMark(log: log)
        }
        return configuration
    }
}
