import AsyncHTTPClient
import ByteCoding
import NIOCore
import NIOPosix
import NIOSSL
import SystemIO
import TLSFiles

/// How a backend is reached: certificates, and through which proxy.
package struct ConnectionSettings: Sendable, Equatable {
    /// Certificates that are trusted instead of the system's, in PEM; nil for the system's.
    package var caFile: String?
    /// Our own certificates, in PEM, the first ours, behind it those between it and its authority.
    package var certificateFile: String?
    /// The key of the first, in PEM.
    package var keyFile: String?
    /// Whether anybody may be the backend.
    package var skipsVerification = false
    /// See `ProxyRules`.
    package var proxy = ProxyRules()

    /// The defaults.
    package init() {}

    /// For connections with TLS. Reads the files; throws with the key whose file is wrong.
    func tls() throws(ConnectionProblem) -> TLSConfiguration {
        do { return try readTLS() } catch { throw ConnectionProblem(error.description) }
    }

    private func readTLS() throws(PEMProblem) -> TLSConfiguration {
        var tls = TLSConfiguration.makeClientConfiguration()
        if let caFile {
            tls.trustRoots = .certificates(
                try PEMFile(caFile, key: "tls.ca_file").certificates())
        }
        if let certificateFile {
            let own = try PEMFile(certificateFile, key: "tls.cert_file").certificates()
            tls.certificateChain = own.map { .certificate($0) }
        }
        if let keyFile {
            tls.privateKey = .privateKey(try PEMFile(keyFile, key: "tls.key_file").privateKey())
        }
        if skipsVerification { tls.certificateVerification = .none }
        return tls
    }

    /// What is wrong with the files now, nil if nothing is: the key whose file it is, and a sentence about it.
    package func fileMistake() -> (key: String, message: String)? {
        do throws(PEMProblem) {
            let tls = try readTLS()
            guard let certificateFile else { return nil }
            do { _ = try NIOSSLContext(configuration: tls) } catch {
                throw PEMFile(keyFile ?? "", key: "tls.key_file").isNotKey(of: certificateFile)
            }
            return nil
        } catch {
            return error.mistake
        }
    }

    /// What stands in the files now: another value once one of them is another.
    package var fileStamp: [UInt64] {
        [caFile, certificateFile, keyFile].compactMap { $0 }.map { file in
            do throws(SystemError) {
                let bytes = try Files.read(file, limit: 16 << 20)
                return UInt64(crc32c(bytes.span.bytes)) << 32 | UInt64(bytes.count)
            } catch {
                return UInt64(UInt32(bitPattern: error.errno))
            }
        }
    }
}

/// Why a connection cannot be tried: a sentence.
struct ConnectionProblem: Error {
    let description: String
    init(_ description: String) { self.description = description }

    /// Why there is no connection to a place, nil if that is not what the error says.
    init?(_ error: any Error, host: String, port: Int) {
        let causes = (error as? NIOConnectionError)?.connectionErrors.map(\.error) ?? [error]
        let refused = causes.filter {
            ($0 as? IOError)?.errnoCode == SystemError.connectionRefused
        }
        if !refused.isEmpty, refused.count == causes.count {
            description =
                "connection refused by \(host):\(port): nothing listens there; start the backend, or "
                + "give the exporter another endpoint"
        } else if let error = error as? NIOConnectionError {
            let names = [error.dnsAError, error.dnsAAAAError].compactMap { $0 }
            let reasons = Set((causes.isEmpty ? names : causes).map(ErrorSentence.of)).sorted()
            description = "no connection to \(host):\(port): \(reasons.joined(separator: ", "))"
        } else {
            return nil
        }
    }
}

extension ProxyAddress {
    var client: HTTPClient.Configuration.Proxy {
        guard let credentials else { return .server(host: host, port: port) }
        let parts = credentials.split(separator: ":", maxSplits: 1).map(String.init)
        return .server(
            host: host, port: port,
            authorization: .basic(
                username: parts.first ?? "", password: parts.dropFirst().first ?? ""))
    }
}
