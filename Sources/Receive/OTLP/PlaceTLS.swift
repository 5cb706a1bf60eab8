internal import NIOSSL

/// TLS of a place where the receiver listens.
package struct PlaceTLS: Sendable, Hashable {
    /// Our certificates in PEM, the first ours.
    package var certificateFile: String
    /// The first one's key, in PEM.
    package var keyFile: String
    /// Who vouches for clients, in PEM; nil: clients need no certificate.
    package var clientCAFile: String?
    /// What is agreed upon (ALPN), `http/1.1` or `h2`: OTLP/HTTP is not taken over HTTP/2.
    package var applicationProtocol: String

    /// All given.
    package init(
        certificateFile: String, keyFile: String, clientCAFile: String?,
        applicationProtocol: String
    ) {
        self.certificateFile = certificateFile
        self.keyFile = keyFile
        self.clientCAFile = clientCAFile
        self.applicationProtocol = applicationProtocol
    }

    /// Reads the files; throws a sentence that names the one that is wrong.
    func context() throws(PlaceTLSProblem) -> NIOSSLContext {
        let chain = try certificates(certificateFile, "cert_file")
        let key: NIOSSLPrivateKey
        do { key = try NIOSSLPrivateKey(file: keyFile, format: .pem) } catch {
            throw PlaceTLSProblem("tls.key_file \(keyFile) cannot be used: \(error)")
        }
        var tls = TLSConfiguration.makeServerConfiguration(
            certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(key))
        tls.minimumTLSVersion = .tlsv12
        tls.applicationProtocols = [applicationProtocol]
        if let clientCAFile {
            tls.trustRoots = .certificates(try certificates(clientCAFile, "client_ca_file"))
            // A client is known by who vouches for it; it has no name to be asked for.
            tls.certificateVerification = .noHostnameVerification
        }
        do { return try NIOSSLContext(configuration: tls) } catch {
            throw PlaceTLSProblem("tls.cert_file and tls.key_file cannot be used: \(error)")
        }
    }

    /// What is wrong with the files now, nil if nothing is: the key whose file it is, and a sentence about it.
    package func fileMistake() -> (key: String, message: String)? {
        do throws(PlaceTLSProblem) {
            _ = try context()
            return nil
        } catch {
            let key = error.description.prefix { $0 != " " }
            let rest = error.description.dropFirst(key.count + 1)
            if rest.hasPrefix("and ") {
                return (
                    "tls.key_file",
                    "\(keyFile) is not the key of tls.cert_file \(certificateFile); "
                        + "name the key that the certificate was made with"
                )
            }
            return (
                String(key), "\(rest); it must be a file in PEM that the agent's user may read"
            )
        }
    }

    private func certificates(
        _ file: String, _ key: String
    ) throws(PlaceTLSProblem) -> [NIOSSLCertificate] {
        do {
            let found = try NIOSSLCertificate.fromPEMFile(file)
            if !found.isEmpty { return found }
        } catch {
            throw PlaceTLSProblem("tls.\(key) \(file) cannot be used: \(error)")
        }
        throw PlaceTLSProblem("tls.\(key) \(file) has no certificate")
    }
}

/// Why a place cannot have TLS: a sentence.
struct PlaceTLSProblem: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}
