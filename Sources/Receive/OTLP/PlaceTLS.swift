internal import NIOSSL
internal import TLSFiles

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

    /// Reads the files; throws with the key whose file is wrong.
    func context() throws(PEMProblem) -> NIOSSLContext {
        let chain = try PEMFile(certificateFile, key: "tls.cert_file").certificates()
        let keyFile = PEMFile(keyFile, key: "tls.key_file")
        var tls = TLSConfiguration.makeServerConfiguration(
            certificateChain: chain.map { .certificate($0) },
            privateKey: .privateKey(try keyFile.privateKey()))
        tls.minimumTLSVersion = .tlsv12
        tls.applicationProtocols = [applicationProtocol]
        if let clientCAFile {
            tls.trustRoots = .certificates(
                try PEMFile(clientCAFile, key: "tls.client_ca_file").certificates())
            // A client is known by who vouches for it; it has no name to be asked for.
            tls.certificateVerification = .noHostnameVerification
        }
        do { return try NIOSSLContext(configuration: tls) } catch {
            throw keyFile.isNotKey(of: certificateFile)
        }
    }

    /// What is wrong with the files now, nil if nothing is: the key whose file it is, and a sentence about it.
    package func fileMistake() -> (key: String, message: String)? {
        do throws(PEMProblem) {
            _ = try context()
            return nil
        } catch {
            return error.mistake
        }
    }
}
