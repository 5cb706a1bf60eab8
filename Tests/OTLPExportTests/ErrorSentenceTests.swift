import NIOCore
import NIOHTTP2
import NIOSSL
import Testing

@testable import OTLPExport

@Suite struct `What is wrong with a connection` {
    @Test func `is told in words`() {
        let known: [(any Error, String)] = [
            (IOError(errnoCode: 104, reason: "read(descriptor:)"), "Connection reset by peer"),
            (ChannelError.connectTimeout(.seconds(10)), "nobody answered within 10 s"),
            (ChannelError.ioOnClosedChannel, "the backend closed the connection"),
            (NIOSSLError.uncleanShutdown, "the backend closed the connection without a word"),
            (NIOSSLError.handshakeFailed(.zeroReturn), "TLS failed: the backend broke it off"),
            (
                NIOSSLExtraError.failedToValidateHostname,
                "its certificate is another host's; name the endpoint as the certificate does"
            ),
            (
                NIOHTTP2Errors.badClientMagic(),
                "what came is not HTTP/2; is it the port of OTLP over gRPC, and does the backend want TLS?"
            ),
            (CancellationError(), "an unexpected error of type CancellationError"),
        ]
        for (error, words) in known { #expect(ErrorSentence.of(error) == words) }
        #expect(HTTP2ErrorCode.refusedStream.name == "REFUSED_STREAM")
        #expect(HTTP2ErrorCode(networkCode: 99).name == "error 99")
    }
}
