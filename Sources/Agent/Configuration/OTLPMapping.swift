internal import Export
internal import OTLPExport

extension OTLPSettings {
    /// How the backend is reached, but for a proxy.
    var certificates: ConnectionSettings {
        var settings = ConnectionSettings()
        settings.caFile = caFile.isEmpty ? nil : caFile
        settings.certificateFile = certificateFile.isEmpty ? nil : certificateFile
        settings.keyFile = keyFile.isEmpty ? nil : keyFile
        settings.skipsVerification = skipsVerification
        return settings
    }

    /// As the exporter takes it, but for where to.
    var delivery: OTLPExportConfiguration {
        var configuration = OTLPExportConfiguration()
        configuration.isCompressed = compression == .gzip
        configuration.headers = headers.map { .init(name: $0.name, value: $0.value) }
        configuration.timeout = timeout
        configuration.retry = RetryPolicy(initial: retryInitial, longest: retryLongest)
        configuration.recordsMax = batchRecordsMax
        configuration.flushInterval = flushInterval
        return configuration
    }
}
