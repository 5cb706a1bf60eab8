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
                        .secure(
                            host: address, port: endpoint.port,
                            PlaceTLS(
                                certificateFile: tls.certificateFile, keyFile: tls.keyFile,
                                clientCAFile: tls.clientCAFile.isEmpty ? nil : tls.clientCAFile,
                                applicationProtocol: name))
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
