internal import NIOCore
internal import NIOHPACK
internal import NIOHTTP2

/// What an HTTP/2 connection may cost, beside what `OTLPLimits` says.
enum GRPCSettings {
    /// What every connection begins with (RFC 9113, 6.9.2).
    static let initialWindowBytes = 65_535
    /// Bytes that may be under way on a connection before we say that there is room for more.
    static let windowBytes = 8 << 20

    /// A handler for one connection; `goodbye` sees what it says.
    static func handler(_ limits: OTLPLimits, _ goodbye: GoodbyeWatch) -> NIOHTTP2Handler {
        var connection = NIOHTTP2Handler.ConnectionConfiguration()
        connection.initialSettings = [
            HTTP2Setting(parameter: .maxConcurrentStreams, value: limits.streamsMax),
            HTTP2Setting(
                parameter: .maxHeaderListSize, value: HPACKDecoder.defaultMaxHeaderListSize),
            // A message that is taken fits, with its prefix and some padding; more is refused before.
            HTTP2Setting(
                parameter: .initialWindowSize, value: limits.messageBytesMax + (64 << 10)),
        ]
        // All streams may be refused at once while their messages are under way.
        connection.maximumRecentlyResetStreams = limits.streamsMax
        connection.controlFrameRateLimit.maximumCount = limits.controlFramesPerSecondMax
        connection.controlFrameRateLimit.windowLength = .seconds(1)
        connection.maximumBufferedControlFrames = 1000
        return NIOHTTP2Handler(
            mode: .server, frameDelegate: goodbye, connectionConfiguration: connection,
            streamConfiguration: NIOHTTP2Handler.StreamConfiguration())
    }
}

/// Whether a connection's end was announced, by us or by the protocol's handler.
final class GoodbyeWatch: NIOHTTP2FrameDelegate {
    private(set) var isSaid = false
    /// For a fault of the peer's.
    private(set) var isForFault = false

    func wroteFrame(_ frame: HTTP2Frame) {
        guard case .goAway(_, let code, _) = frame.payload else { return }
        isSaid = true
        if code != .noError { isForFault = true }
    }
}
