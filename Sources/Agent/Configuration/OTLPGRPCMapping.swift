internal import ByteCoding
internal import Export
internal import OTLPCodec
internal import OTLPExport

extension OTLPGRPCConfig {
    /// The way to the backend.
    var sender: GRPCSender {
        let place: GRPCSender.Place =
            if let path = endpoint?.path {
                .path(path)
            } else {
                .tcp(host: endpoint?.bareHost ?? "", port: endpoint?.port ?? 0)
            }
        return GRPCSender(place, isSecure: isSecure, certificates)
    }

    /// As the exporter of the agent with a log takes it.
    func exporter(log: ID128) -> OTLPExportConfiguration {
        var configuration = delivery
        for signal in OTLPSignal.allCases {
            configuration.endpoints[signal] = endpoint?.description
        }
        // As for OTLP over HTTP; a socket of the file system may be a link to our own.
        if marksHops, endpoint?.isThisHost == true { configuration.mark = HopMark(log: log) }
        return configuration
    }
}
