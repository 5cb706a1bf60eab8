internal import ByteCoding
internal import Export
internal import OTLPCodec
internal import OTLPExport

extension OTLPHTTPConfig {
    /// How the backend is reached.
    func connection(environment: (String) -> String?) -> ConnectionSettings {
        var settings = ConnectionSettings()
        settings.caFile = caFile.isEmpty ? nil : caFile
        settings.certificateFile = certificateFile.isEmpty ? nil : certificateFile
        settings.keyFile = keyFile.isEmpty ? nil : keyFile
        settings.skipsVerification = skipsVerification
        settings.proxy = ProxyRules(environment: environment)
        settings.proxy.explicit = ProxyAddress(proxy)
        return settings
    }

    /// As the exporter of the agent with a log takes it.
    func exporter(log: ID128) -> OTLPExportConfiguration {
        var configuration = OTLPExportConfiguration()
        let own: [(OTLPSignal, HTTPAddress?)] = [
            (.traces, tracesEndpoint), (.logs, logsEndpoint), (.metrics, metricsEndpoint),
        ]
        for (signal, address) in own {
            configuration.endpoints[signal] =
                address?.description ?? endpoint.map { "\($0.base)/v1/\(signal.rawValue)" }
        }
        configuration.encoding = encoding == .json ? .json : .protobuf
        configuration.isCompressed = compression == .gzip
        configuration.headers = headers.map { .init(name: $0.name, value: $0.value) }
        configuration.timeout = timeout
        configuration.retry = RetryPolicy(initial: retryInitial, longest: retryLongest)
        configuration.recordsMax = batchRecordsMax
        configuration.flushInterval = flushInterval
        // What leaves this host has no way back to a receiver of the loopback.
        if marksHops, addresses.contains(where: \.isThisHost) {
            configuration.mark = HopMark(log: log)
        }
        return configuration
    }
}
