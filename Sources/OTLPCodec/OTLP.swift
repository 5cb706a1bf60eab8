import ByteCoding

// The protocol as this module knows it: contrib/protocol/otlp.md.

/// What a request carries.
package enum OTLPSignal: String, CaseIterable, Sendable {
    /// Spans.
    case traces
    /// Log events.
    case logs
    /// Metric points.
    case metrics
}

/// How a request or response is written.
package enum OTLPEncoding: Sendable {
    /// Protocol buffers.
    case protobuf
    /// OTLP's own JSON: ids in hexadecimal, enumerations as numbers.
    case json

    /// As in `Content-Type`.
    package var mediaType: String {
        switch self {
        case .protobuf: "application/x-protobuf"
        case .json: "application/json"
        }
    }
}

/// The protocol's version and our limits.
package enum OTLP {
    /// The release of opentelemetry-proto whose fields are known, those of status "Development"
    /// (`entity_refs`, `key_strindex`, `string_value_strindex`, all of profiles) excepted.
    package static let protoVersion = "1.10.0"
    /// `ResourceSpans`, `ResourceLogs` or `ResourceMetrics` in a request.
    package static let resourcesMax = 65_536
    /// Bytes of one resource, scope or metric without its points. They stand in every batch that is made of
    /// their records, so that a larger one could make much of little.
    package static let containerBytesMax = 65_536
    /// Bytes of all batches of a request, each with `batchCost` beside its own: more than 20 MiB of sensible records make.
    package static let requestBatchBytesMax = 24 << 20
    /// What a batch costs beside its payload, about: its facts, and its place in queues.
    package static let batchCost = 512
    /// Objects and arrays inside one another in JSON: enough for values nested as deeply as a batch
    /// allows.
    package static let jsonDepthMax = 192
}

/// Why bytes are not a request: all of it is refused (HTTP 400, gRPC INVALID_ARGUMENT).
package struct OTLPError: Error, Equatable, Sendable, CustomStringConvertible {
    /// Where in the bytes.
    package let position: Int
    /// What is wrong there.
    package let reason: String
    /// Whether it is a request, but too large a one.
    package let isTooLarge: Bool

    init(_ reason: String, at position: Int, isTooLarge: Bool = false) {
        self.reason = reason
        self.position = position
        self.isTooLarge = isTooLarge
    }

    init(_ error: ByteError) {
        switch error {
        case .truncated(let position):
            self.init("a field longer than what it stands in", at: position)
        case .badVarint(let position): self.init("not protobuf", at: position)
        }
    }

    init(_ error: TranscodingError) {
        switch error {
        case .notJSON(.syntax(let position)): self.init("not JSON", at: position)
        case .notJSON(.tooDeep(let position)):
            self.init("JSON nested deeper than \(OTLP.jsonDepthMax)", at: position)
        case .wrongType(let position): self.init("JSON of the wrong type", at: position)
        }
    }

    /// A sentence for the sender.
    package var description: String { "\(reason) at byte \(position)" }
}
