package import Export
package import OTLPCodec

/// Where an OTLP exporter sends what, and how (`otlp_http:` and `otlp_grpc:` below `exporters:` of the configuration).
package struct OTLPExportConfiguration: Sendable, Equatable {
    /// A header of every request.
    package struct Header: Sendable, Equatable {
        /// Its name.
        package var name: String
        /// Its value; may be a secret.
        package var value: String

        /// Both given.
        package init(name: String, value: String) {
            self.name = name
            self.value = value
        }
    }

    /// The whole URL for each signal; records of a signal without one are `not_selected`.
    package var endpoints: [OTLPSignal: String] = [:]
    /// How requests are written.
    package var encoding = OTLPEncoding.protobuf
    /// Whether bodies are packed by gzip.
    package var isCompressed = true
    /// Beside our own.
    package var headers: [Header] = []
    /// How long a request may take.
    package var timeout = Duration.seconds(30)
    /// When a request that failed is sent again. Without an end: records wait in the log, and retention is
    /// the end.
    package var retry = RetryPolicy()
    /// What says of a record that it left this agent, nil if nothing need: the backend cannot send it back.
    package var mark: HopMark?
    /// Records in a request.
    package var recordsMax = 8192
    /// Bytes of a request before it is packed, about.
    package var bytesMax = 2 << 20
    /// How long records wait for others.
    package var flushInterval = Duration.milliseconds(200)

    /// The defaults.
    package init() {}
}
