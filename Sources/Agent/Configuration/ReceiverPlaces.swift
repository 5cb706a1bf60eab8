internal import Receive

extension AgentConfig.OTLP {
    /// Where the receiver listens, beside the socket of the file system.
    var places: [OTLPServer.Place] {
        let protocols = [(http, httpTLS, "http/1.1"), (grpc, grpcTLS, "h2")]
        var found: [OTLPServer.Place] = []
        for (endpoint, tls, name) in protocols {
            for address in endpoint.addresses {
                let place: OTLPServer.Place =
                    if tls.isOn {
                        .secure(host: address, port: endpoint.port, tls.settings(name))
                    } else {
                        .tcp(host: address, port: endpoint.port)
                    }
                // Both protocols on one port is one place.
                if !found.contains(place) { found.append(place) }
            }
        }
        return found
    }
}

extension ReceiverTLS {
    /// As a place takes it.
    func settings(_ applicationProtocol: String) -> PlaceTLS {
        PlaceTLS(
            certificateFile: certificateFile, keyFile: keyFile,
            clientCAFile: clientCAFile.isEmpty ? nil : clientCAFile,
            applicationProtocol: applicationProtocol)
    }
}
