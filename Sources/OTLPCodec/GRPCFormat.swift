import ByteCoding

/// A status of gRPC (grpc `doc/statuscodes.md`).
package enum GRPCCode: Int, Sendable, CaseIterable {
    case ok, cancelled, unknown, invalidArgument, deadlineExceeded, notFound, alreadyExists
    case permissionDenied, resourceExhausted, failedPrecondition, aborted, outOfRange
    case unimplemented, internalError, unavailable, dataLoss, unauthenticated

    private static let names = [
        "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND",
        "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
        "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS",
        "UNAUTHENTICATED",
    ]

    /// As everybody writes it.
    package var name: String { Self.names[rawValue] }
}

/// How gRPC frames messages and writes its headers (grpc `doc/PROTOCOL-HTTP2.md`).
package enum GRPCFormat {
    /// Bytes before each message: whether it is compressed, and its length.
    package static let prefixBytes = 5

    /// The bytes before a message.
    package static func prefix(count: Int, isCompressed: Bool) -> [UInt8] {
        let length = UInt32(count)
        return [isCompressed ? 1 : 0]
            + (0..<4).map { UInt8(truncatingIfNeeded: length >> (24 - 8 * $0)) }
    }

    /// `grpc-message`: everything but printable ASCII, and `%`, as `%` and two digits.
    package static func percentEncoded(_ text: String) -> String {
        let isPlain: (UInt8) -> Bool = { (0x20...0x7E).contains($0) && $0 != 0x25 }
        if text.utf8.allSatisfy(isPlain) { return text }
        var encoded: [UInt8] = []
        for byte in text.utf8 {
            if isPlain(byte) {
                encoded.append(byte)
            } else {
                encoded.append(0x25)
                encoded.append(Hexadecimal.digit(byte >> 4))
                encoded.append(Hexadecimal.digit(byte & 0xF))
            }
        }
        return String(decoding: encoded, as: UTF8.self)
    }

    /// What a `grpc-message` says. What is not encoded as it should be stays as it is.
    package static func percentDecoded(_ text: String) -> String {
        guard text.utf8.contains(0x25) else { return text }
        let bytes = Array(text.utf8)
        var decoded: [UInt8] = []
        var place = 0
        while place < bytes.count {
            if bytes[place] == 0x25, place + 2 < bytes.count,
                let high = Hexadecimal.value(bytes[place + 1]),
                let low = Hexadecimal.value(bytes[place + 2])
            {
                decoded.append(high << 4 | low)
                place += 3
            } else {
                decoded.append(bytes[place])
                place += 1
            }
        }
        return String(decoding: decoded, as: UTF8.self)
    }
}

extension OTLPSignal {
    /// The method of the collector's service for this signal, as in `:path`.
    package var grpcPath: String {
        switch self {
        case .traces: "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
        case .logs: "/opentelemetry.proto.collector.logs.v1.LogsService/Export"
        case .metrics: "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"
        }
    }
}

extension RPCStatus {
    /// As in `grpc-status-details-bin`.
    package var grpcDetails: String { Base64.text(encoded(.protobuf)) }

    /// Reads `grpc-status-details-bin`; nil if it is none.
    package init?(grpcDetails text: String) {
        var writer = ByteWriter()
        let bytes = Array(text.utf8)
        guard writer.appendBase64(bytes.span.bytes) else { return nil }
        do throws(OTLPError) {
            try self.init(writer.span, .protobuf)
        } catch {
            return nil
        }
    }
}
