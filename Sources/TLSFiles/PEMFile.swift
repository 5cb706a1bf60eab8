package import NIOSSL

/// A file in PEM that a key of the configuration names.
package struct PEMFile: Sendable {
    private let path: String
    private let key: String

    /// `key`: as in `tls.cert_file`.
    package init(_ path: String, key: String) {
        self.path = path
        self.key = key
    }

    /// Reads its certificates, of which there is one at least.
    package func certificates() throws(PEMProblem) -> [NIOSSLCertificate] {
        do {
            let found = try NIOSSLCertificate.fromPEMFile(path)
            if !found.isEmpty { return found }
        } catch {
            throw problem("cannot be used: \(error)")
        }
        throw problem("has no certificate")
    }

    /// Reads its private key.
    package func privateKey() throws(PEMProblem) -> NIOSSLPrivateKey {
        do { return try NIOSSLPrivateKey(file: path, format: .pem) } catch {
            throw problem("cannot be used: \(error)")
        }
    }

    /// What there is to say where the key is not this certificate's.
    package func isNotKey(of certificate: String) -> PEMProblem {
        PEMProblem(
            key: key, message: "\(path) is not the key of tls.cert_file \(certificate)",
            advice: "name the key that the certificate was made with")
    }

    private func problem(_ message: String) -> PEMProblem {
        PEMProblem(
            key: key, message: "\(path) \(message)",
            advice: "it must be a file in PEM that the agent's user may read")
    }
}

/// Why a file in PEM cannot be used.
package struct PEMProblem: Error, CustomStringConvertible {
    /// The key that names it.
    package let key: String
    /// The file, and what is wrong with it.
    package let message: String
    /// What to do.
    package let advice: String

    /// Without what to do.
    package var description: String { "\(key) \(message)" }

    /// As a mistake of a configuration: the key, and a sentence about the file.
    package var mistake: (key: String, message: String) { (key, "\(message); \(advice)") }
}
