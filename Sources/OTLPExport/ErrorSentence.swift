import AsyncHTTPClient
import NIOCore
import NIOHTTP2
import NIOSSL
import SystemIO

/// What the libraries' errors mean, in words for `status` and for standard error.
enum ErrorSentence {
    /// A part of a sentence; never a dump of a value.
    static func of(_ error: any Error) -> String {
        switch error {
        case let error as ConnectionProblem: error.description
        case let error as IOError: SystemError.reason(error.errnoCode)
        case let error as ChannelError: channel(error)
        case let error as NIOSSLError: secure(error)
        case let error as BoringSSLError: handshake("\(error)")
        case let error as NIOSSLExtraError where error == .failedToValidateHostname:
            "its certificate is another host's; name the endpoint as the certificate does"
        case is NIOSSLExtraError: "its certificate or its name cannot be used for TLS"
        case let error as HTTPClientError: error.shortDescription
        case is any NIOHTTP2Error:
            "what came is not HTTP/2; is it the port of OTLP over gRPC, and does the backend want TLS?"
        case is SocketAddressError: "the name of the host is not known"
        default: "an unexpected error of type \(type(of: error))"
        }
    }

    private static func channel(_ error: ChannelError) -> String {
        switch error {
        case .connectTimeout(let limit):
            "nobody answered within \(limit.nanoseconds / 1_000_000_000) s"
        case .ioOnClosedChannel, .alreadyClosed, .inputClosed, .outputClosed, .eof:
            "the backend closed the connection"
        default: "the connection cannot be used"
        }
    }

    private static func secure(_ error: NIOSSLError) -> String {
        switch error {
        case .handshakeFailed(let reason), .shutdownFailed(let reason): handshake("\(reason)")
        case .uncleanShutdown: "the backend closed the connection without a word"
        case .noSuchFilesystemObject: "there is no such file"
        case .failedToLoadCertificate: "it is not a certificate"
        case .failedToLoadPrivateKey: "it is not a key"
        case .noCertificateToValidate, .unableToValidateCertificate:
            "its certificate cannot be verified"
        default: "TLS broke off"
        }
    }

    /// `dump`: the library's own description, which has one reason in capitals.
    private static func handshake(_ dump: String) -> String {
        let words = dump.split { !($0.isLetter || $0.isNumber || $0 == "_") }
        let reason = words.last { $0.contains("_") && $0.allSatisfy { !$0.isLowercase } } ?? ""
        let meaning =
            switch reason {
            case "CERTIFICATE_VERIFY_FAILED":
                "its certificate is not trusted; name its authority's in tls.ca_file"
            case "WRONG_VERSION_NUMBER", "HTTP_REQUEST":
                "the backend speaks no TLS on this port; use http:// if that is right"
            case "TLSV1_ALERT_UNKNOWN_CA", "TLSV1_ALERT_CERTIFICATE_REQUIRED",
                "SSLV3_ALERT_BAD_CERTIFICATE", "SSLV3_ALERT_CERTIFICATE_UNKNOWN":
                "the backend does not take our certificate; see tls.cert_file"
            case "": "the backend broke it off"
            default: reason.lowercased().replacing("_", with: " ")
            }
        return "TLS failed: \(meaning)"
    }
}

extension HTTP2ErrorCode {
    /// As RFC 9113 names it.
    var name: String {
        let names = [
            "NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR",
            "SETTINGS_TIMEOUT", "STREAM_CLOSED", "FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL",
            "COMPRESSION_ERROR", "CONNECT_ERROR", "ENHANCE_YOUR_CALM", "INADEQUATE_SECURITY",
            "HTTP_1_1_REQUIRED",
        ]
        return names.indices.contains(networkCode) ? names[networkCode] : "error \(networkCode)"
    }
}
