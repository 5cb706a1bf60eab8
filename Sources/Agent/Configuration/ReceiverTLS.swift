/// TLS of a receiver. Key: `receivers.otlp.protocols.http.tls`, and of `grpc`.
package struct ReceiverTLS: Sendable, Equatable {
    /// Key `cert_file`: our certificates in PEM, the first ours.
    package var certificateFile = ""
    /// Key `key_file`: the first one's key.
    package var keyFile = ""
    /// Key `client_ca_file`: who vouches for clients, which then need certificates; empty: they need none.
    package var clientCAFile = ""

    /// None.
    package init() {}

    /// Whether it is set.
    package var isOn: Bool { self != ReceiverTLS() }

    /// What may stand below `tls`.
    static func keys(_ it: WritableKeyPath<AgentConfig, ReceiverTLS>) -> ConfigSchema {
        func file(_ path: WritableKeyPath<ReceiverTLS, String>) -> ConfigSchema {
            .value(expected: "the absolute path of a file in PEM") { config, text in
                config[keyPath: it][keyPath: path] = text
                return text.hasPrefix("/")
            }
        }
        return .section([
            "cert_file": file(\.certificateFile), "key_file": file(\.keyFile),
            "client_ca_file": file(\.clientCAFile),
        ])
    }

    /// What `config` shows, below a path.
    func entries(_ path: String) -> [(String, String)] {
        [
            ("cert_file", certificateFile), ("key_file", keyFile), ("client_ca_file", clientCAFile),
        ].filter { !$0.1.isEmpty }.map { ("\(path).tls.\($0.0)", $0.1) }
    }

    /// What is wrong with it at an endpoint, with the key below the protocol's.
    func mistake(at endpoint: Endpoint) -> (key: String, message: String)? {
        if !isOn {
            if endpoint.isLoopback { return nil }
            return (
                "endpoint",
                "is reached from other hosts: it needs tls with cert_file and key_file; "
                    + "or choose localhost:\(endpoint.port), which needs none"
            )
        }
        if certificateFile.isEmpty { return ("tls", "needs cert_file, too") }
        if keyFile.isEmpty { return ("tls", "needs key_file, too") }
        return nil
    }
}
