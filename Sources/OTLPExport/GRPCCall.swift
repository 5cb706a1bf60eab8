import NIOCore
import NIOHPACK
import OTLPCodec

/// A unary call as it goes out.
struct GRPCCall: Sendable {
    /// All headers.
    let headers: HPACKHeaders
    /// The message with its prefix.
    let message: ByteBuffer
    let timeout: TimeAmount
    let completion: @Sendable (SendOutcome) -> Void

    /// The call for a request whose headers are HTTP's: what gRPC says otherwise is said so.
    init(
        _ request: OutgoingRequest, authority: String, isSecure: Bool, timeout: Duration,
        completion: @escaping @Sendable (SendOutcome) -> Void
    ) {
        self.timeout = TimeAmount(timeout)
        self.completion = completion
        var headers: HPACKHeaders = [
            ":method": "POST", ":scheme": isSecure ? "https" : "http",
            ":path": request.signal.grpcPath, ":authority": authority,
            "content-type": "application/grpc", "te": "trailers",
        ]
        let milliseconds = self.timeout.nanoseconds / 1_000_000
        headers.add(name: "grpc-timeout", value: "\(min(max(milliseconds, 1), 99_999_999))m")
        var isCompressed = false
        for header in request.headers {
            let name = header.name.lowercased()
            switch name {
            case "content-type": break
            case "content-encoding":
                isCompressed = true
                headers.add(name: "grpc-encoding", value: header.value)
            default: headers.add(name: name, value: header.value)
            }
        }
        headers.add(name: "grpc-accept-encoding", value: "identity")
        self.headers = headers
        var message = ByteBuffer()
        message.reserveCapacity(GRPCFormat.prefixBytes + request.body.count)
        message.writeBytes(
            GRPCFormat.prefix(count: request.body.count, isCompressed: isCompressed))
        message.writeBytes(request.body)
        self.message = message
    }
}

/// What has come of the answer to a call.
struct GRPCArrival {
    /// More is no answer of OTLP.
    static let bytesMax = 1 << 20

    private var httpStatus: Int?
    private var code: Int?
    private var message = ""
    private var retryNanoseconds: UInt64?
    private var bytes = ByteBuffer()

    /// Takes headers or trailers.
    mutating func take(_ headers: HPACKHeaders) {
        if let status = headers.first(name: ":status") { httpStatus = Int(status) }
        guard let status = headers.first(name: "grpc-status") else { return }
        code = Int(status) ?? GRPCCode.unknown.rawValue
        message = GRPCFormat.percentDecoded(headers.first(name: "grpc-message") ?? "")
        let details = headers.first(name: "grpc-status-details-bin")
        retryNanoseconds = details.flatMap { RPCStatus(grpcDetails: $0) }?.retryNanoseconds
    }

    /// Takes a part of the message; false if it is too long.
    mutating func take(_ more: ByteBuffer) -> Bool {
        bytes.writeImmutableBuffer(more)
        return bytes.readableBytes <= Self.bytesMax
    }

    /// The outcome once the answer is whole.
    var outcome: SendOutcome {
        guard let code else {
            // Not a server of gRPC: a proxy before it, or none at all.
            return .answeredCall(
                code: Self.code(ofHTTP: httpStatus),
                message: "status \(httpStatus.map(String.init) ?? "none") of HTTP",
                retryNanoseconds: nil, body: [])
        }
        return .answeredCall(
            code: GRPCCode(rawValue: code) ?? .unknown, message: message,
            retryNanoseconds: retryNanoseconds, body: body)
    }

    /// The one message, without its prefix; none if it is not whole, or compressed, which we did not ask for.
    private var body: [UInt8] {
        let start = bytes.readerIndex
        guard bytes.getInteger(at: start, as: UInt8.self) == 0,
            let count = bytes.getInteger(at: start + 1, as: UInt32.self)
        else { return [] }
        return bytes.getBytes(at: start + GRPCFormat.prefixBytes, length: Int(count)) ?? []
    }

    /// grpc `doc/http-grpc-status-mapping.md`.
    private static func code(ofHTTP status: Int?) -> GRPCCode {
        switch status {
        case 400: .internalError
        case 401: .unauthenticated
        case 403: .permissionDenied
        case 404: .unimplemented
        case 429, 502, 503, 504: .unavailable
        default: .unknown
        }
    }
}
