internal import NIOHTTP1
internal import OTLPCodec
internal import TelemetryBatch

/// What a sender is told who is to send a request again, over HTTP (`Retry-After`) and gRPC (`google.rpc.RetryInfo`)
/// alike.
struct ComeAgain: Equatable {
    /// What is wrong.
    let message: String
    /// After how long.
    let seconds: UInt64

    static let busy = ComeAgain(
        message: "the agent has too much under way; send it again", seconds: 1)

    static let crowded = ComeAgain(message: "others need the connection; come again", seconds: 1)

    static let logFull = ComeAgain(message: "the log cannot take more; keep it", seconds: 5)

    static func notStored(_ code: WireError) -> ComeAgain {
        ComeAgain(message: "nothing can be stored (\(code.name))", seconds: 30)
    }
}

extension HTTPRefusal {
    /// The answer to a request that may come again.
    init(_ status: HTTPResponseStatus, _ again: ComeAgain, closes: Bool = false) {
        self.init(
            status: status, message: again.message, retryAfter: again.seconds, closes: closes)
    }

    static let busy = HTTPRefusal(.tooManyRequests, .busy)

    static let crowded = HTTPRefusal(.serviceUnavailable, .crowded, closes: true)
}

extension GRPCRefusal {
    /// The answer to a call that may come again.
    init(_ code: GRPCCode, _ again: ComeAgain) {
        self.init(code: code, message: again.message, retryAfter: again.seconds)
    }

    static let busy = GRPCRefusal(.resourceExhausted, .busy)

    static let crowded = GRPCRefusal(.unavailable, .crowded)
}
