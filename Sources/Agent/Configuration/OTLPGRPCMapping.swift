internal import ByteCoding
internal import Export
internal import OTLPCodec
internal import OTLPExport

extension OTLPGRPCConfig {
    /// How the backend is reached.
    var connection: ConnectionSettings {
        var settings = ConnectionSettings()
        settings.caFile = caFile.isEmpty ? nil : caFile
        settings.certificateFile = certificateFile.isEmpty ? nil : certificateFile
        settings.keyFile = keyFile.isEmpty ? nil : keyFile
        settings.skipsVerification = skipsVerification
        return settings
    }

    /// The way to the backend.
    var sender: GRPCSender {
        let place: GRPCSender.Place =
            if let path = endpoint?.path {
                .path(path)
            } else {
                .tcp(host: endpoint?.bareHost ?? "", port: endpoint?.port ?? 0)
            }
        return GRPCSender(place, isSecure: isSecure, connection)
    }

    /// As the exporter of the agent with a log takes it.
    func exporter(log: ID128) -> OTLPExportConfiguration {
        var configuration = OTLPExportConfiguration()
        for signal in OTLPSignal.allCases {
            configuration.endpoints[signal] = endpoint?.description
        }
        configuration.isCompressed = compression == .gzip
        configuration.headers = headers.map { .init(name: $0.name, value: $0.value) }
        configuration.timeout = timeout
        configuration.retry = RetryPolicy(initial: retryInitial, longest: retryLongest)
        configuration.recordsMax = batchRecordsMax
        configuration.flushInterval = flushInterval
        // As for OTLP over HTTP; a socket of the file system may be a link to our own.
        if marksHops, endpoint?.isThisHost == true { configuration.mark = HopMark(log: log) }
        return configuration
    }
}
