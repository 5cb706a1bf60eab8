internal import Export
internal import OTLPCodec
internal import OTLPExport

extension OTLPHTTPConfig {
    /// As the exporter takes it.
    var exporter: OTLPExportConfiguration {
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
        return configuration
    }
}
