internal import NIOHPACK
internal import OTLPCodec

/// An answer that refuses a call.
struct GRPCRefusal: Error, Equatable {
    let code: GRPCCode
    /// What is wrong and what to do about it.
    let message: String
    /// Seconds after which to try again: `google.rpc.RetryInfo`.
    var retryAfter: UInt64?
    /// The status of HTTP, for those who do not speak gRPC.
    var httpStatus = "200"

    /// The answer to a message beyond the limit. Without `RetryInfo`: it would be as large again.
    static func tooLarge(_ limit: Int) -> GRPCRefusal {
        GRPCRefusal(
            code: .resourceExhausted,
            message: "the message is larger than \(limit) bytes; send smaller batches")
    }
}

/// A call as its headers describe it, after all rules of the headers.
struct GRPCCallPlan: Equatable {
    let signal: OTLPSignal
    /// Whether a message that is said to be compressed is so by gzip; else none may be.
    let isGzip: Bool
}

/// The rules for the headers of a call (OTLP/gRPC 1.x; grpc `doc/PROTOCOL-HTTP2.md`), and those against web
/// pages that HTTP/1.1 has.
struct GRPCRules: Sendable, Equatable {
    /// Host names that calls may be for; nil: any, as on a socket of the file system.
    var hosts: Set<String>? = HTTPRules.loopbackHosts

    private static let paths = Dictionary(
        uniqueKeysWithValues: OTLPSignal.allCases.map { ($0.grpcPath, $0) })

    /// What to do with a call that has these headers.
    func plan(_ headers: HPACKHeaders) throws(GRPCRefusal) -> GRPCCallPlan {
        if headers.contains(name: "origin") {
            throw GRPCRefusal(
                code: .permissionDenied, message: "requests of web pages (Origin) are not taken",
                httpStatus: "403")
        }
        if let hosts {
            let host = headers.first(name: ":authority") ?? headers.first(name: "host") ?? ""
            guard hosts.contains(HTTPRules.name(of: host)) else {
                throw GRPCRefusal(
                    code: .permissionDenied,
                    message: "this is not the host \(host.prefix(100)); use localhost",
                    httpStatus: "403")
            }
        }
        guard headers.first(name: ":method") == "POST" else {
            throw GRPCRefusal(
                code: .internalError, message: "only POST is allowed", httpStatus: "405")
        }
        let type = headers.first(name: "content-type") ?? ""
        guard Self.isGRPC(type) else {
            throw GRPCRefusal(
                code: .invalidArgument,
                message: "content-type must be application/grpc; OTLP/HTTP goes over HTTP/1.1",
                httpStatus: "415")
        }
        guard let signal = Self.paths[headers.first(name: ":path") ?? ""] else {
            throw GRPCRefusal(
                code: .unimplemented,
                message: "no such method; there is Export of opentelemetry.proto.collector's "
                    + "TraceService, LogsService and MetricsService, all v1")
        }
        switch headers.first(name: "grpc-encoding") ?? "identity" {
        case "identity": return GRPCCallPlan(signal: signal, isGzip: false)
        case "gzip": return GRPCCallPlan(signal: signal, isGzip: true)
        default:
            throw GRPCRefusal(
                code: .unimplemented, message: "grpc-encoding must be gzip or identity")
        }
    }

    /// `application/grpc`, alone or with what the message is written in, which can only be protobuf.
    private static func isGRPC(_ type: String) -> Bool {
        let media = type.lowercased().prefix { $0 != ";" && $0 != " " }
        return media == "application/grpc" || media == "application/grpc+proto"
    }
}
