internal import OTLPCodec

/// Limits of an OTLP receiver, beside the budget of bytes that all receivers share.
package struct OTLPLimits: Sendable, Equatable {
    /// Bytes of a body over HTTP, as sent and once decompressed: the Collector's.
    package var bodyBytesMax = 20 << 20
    /// Bytes of a message over gRPC, as sent and once decompressed: the Collector's.
    package var messageBytesMax = 4 << 20
    /// Calls under way on one connection over gRPC.
    package var streamsMax = 100
    /// PING, SETTINGS and the like that an HTTP/2 connection may send within a second. A peer of grpc-go sends a
    /// PING for every answer, one at a time.
    package var controlFramesPerSecondMax = 2000
    /// What the batches of a request may cost, in bytes.
    package var batchBytesMax = OTLP.requestBatchBytesMax
    /// Open connections; when there are more, the one that was idle for longest makes room.
    package var connectionsMax = 512
    /// How long a request may take from its head to its last byte.
    package var requestDeadline = Duration.seconds(30)
    /// How long a connection may be idle, or take for a head.
    package var idleDeadline = Duration.seconds(180)
    /// How long a peer may go on sending after its last answer before the connection is cut.
    package var leavingDeadline = Duration.milliseconds(500)

    /// The defaults.
    package init() {}
}
