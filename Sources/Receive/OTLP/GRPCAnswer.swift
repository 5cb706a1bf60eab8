internal import Compression
internal import NIOCore
internal import NIOHPACK
internal import OTLPCodec
internal import TelemetryBatch

/// The headers and the message of an answer (grpc `doc/PROTOCOL-HTTP2.md`, Responses).
enum GRPCAnswer {
    /// Before the message of an answer.
    static let head: HPACKHeaders = [
        ":status": "200", "content-type": "application/grpc",
        "grpc-accept-encoding": "identity,gzip",
    ]
    /// After it.
    static let trailers: HPACKHeaders = ["grpc-status": "0"]

    /// A message with its prefix.
    static func message(_ bytes: [UInt8]) -> ByteBuffer {
        var buffer = ByteBuffer()
        buffer.writeBytes(GRPCFormat.prefix(count: bytes.count, isCompressed: false))
        buffer.writeBytes(bytes)
        return buffer
    }

    /// A refusal: head and trailers in one.
    static func refusal(_ refusal: GRPCRefusal) -> HPACKHeaders {
        var headers: HPACKHeaders = [
            ":status": refusal.httpStatus, "content-type": "application/grpc",
            "grpc-status": "\(refusal.code.rawValue)",
        ]
        headers.add(
            name: "grpc-message", value: GRPCFormat.percentEncoded(refusal.message),
            indexing: .nonIndexable)
        if refusal.code == .unimplemented {
            headers.add(name: "grpc-accept-encoding", value: "identity,gzip")
        }
        if let seconds = refusal.retryAfter {
            let status = RPCStatus(
                code: Int32(refusal.code.rawValue), message: refusal.message,
                retryNanoseconds: seconds * 1_000_000_000)
            headers.add(
                name: "grpc-status-details-bin", value: status.grpcDetails, indexing: .nonIndexable)
        }
        return headers
    }
}

extension GRPCRefusal {
    static let late = GRPCRefusal(
        code: .deadlineExceeded, message: "the message did not come in time")

    /// The refusal that a verdict is; nil if the call's records are in the log.
    init?(_ verdict: OTLPVerdict) {
        switch verdict {
        case .stored: return nil
        case .busy: self = .busy
        case .tooLarge(let limit): self = .tooLarge(limit)
        case .damaged(let error): self.init(code: .internalError, message: error.description)
        case .malformed(let error):
            self.init(
                code: error.isTooLarge ? .resourceExhausted : .invalidArgument,
                message: "\(error)")
        case .failed(.storageFull):
            self.init(.unavailable, .logFull)
        case .failed(.limitExceeded):
            self.init(
                code: .resourceExhausted, message: "a batch is too large for the log")
        case .failed(let code):
            self.init(.unavailable, .notStored(code))
        }
    }
}
