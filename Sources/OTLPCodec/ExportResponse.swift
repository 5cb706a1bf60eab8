import ByteCoding

/// The answer to an export request that was taken, in part or in full.
package struct ExportResponse: Equatable, Sendable {
    /// The records that were left out; sending them again would be of no use.
    package var rejected: Int64
    /// Why, or a warning if none was left out.
    package var message: String

    /// An answer; everything was taken by default.
    package init(rejected: Int64 = 0, message: String = "") {
        self.rejected = rejected
        self.message = message
    }

    /// What the sender of a request is told.
    package init(to request: DecodedRequest) {
        rejected = Int64(clamping: request.rejections.total)
        message = request.rejections.description
    }

    /// The answer's body. If everything was taken and there is nothing to say, `partial_success` is not
    /// set, as OTLP demands: no bytes in protobuf.
    package func encoded(_ signal: OTLPSignal, _ encoding: OTLPEncoding) -> [UInt8] {
        var writer = ByteWriter()
        if rejected != 0 || !message.isEmpty {
            let place = writer.open(0x0A)
            writer.field(0x08, varint: UInt64(bitPattern: rejected))
            writer.field(0x12, text: message)
            writer.close(place)
        }
        if encoding == .protobuf { return writer.bytes }
        var json = JSONWriter()
        writer.writeJSON(as: signal.response, to: &json)
        return json.bytes
    }

    /// Reads an answer's body. Throws if it is none; then what came of the request is not known.
    package init(
        _ bytes: RawSpan, _ signal: OTLPSignal, _ encoding: OTLPEncoding
    ) throws(OTLPError) {
        self.init()
        let protobuf = try protobufBytes(bytes, encoding, as: signal.response)
        do throws(ByteError) {
            var reader = ByteReader(protobuf.span)
            while !reader.isAtEnd {
                let tag = try reader.readVarint()
                if tag == 0x0A {
                    let outer = try reader.enterField()
                    try readPartialSuccess(&reader)
                    reader.leave(to: outer)
                } else {
                    try reader.skipField(tag)
                }
            }
        } catch {
            throw OTLPError(error)
        }
    }

    private mutating func readPartialSuccess(_ reader: inout ByteReader) throws(ByteError) {
        while !reader.isAtEnd {
            let tag = try reader.readVarint()
            switch tag {
            case 0x08: rejected = Int64(bitPattern: try reader.readVarint())
            case 0x12: message = try reader.readText()
            default: try reader.skipField(tag)
            }
        }
    }
}

/// `google.rpc.Status`: the body of an error over HTTP, and `grpc-status-details-bin` over gRPC.
package struct RPCStatus: Equatable, Sendable {
    /// A gRPC status code.
    package var code: Int32
    /// What is wrong, for people.
    package var message: String
    /// `google.rpc.RetryInfo`: when to come again, in nanoseconds; nil if it is not said.
    package var retryNanoseconds: UInt64?

    /// A status.
    package init(code: Int32, message: String, retryNanoseconds: UInt64? = nil) {
        self.code = code
        self.message = message
        self.retryNanoseconds = retryNanoseconds
    }

    private static let retryInfo = "type.googleapis.com/google.rpc.RetryInfo"

    /// The status's bytes.
    package func encoded(_ encoding: OTLPEncoding) -> [UInt8] {
        encoding == .protobuf ? protobuf : Array(json.utf8)
    }

    private var protobuf: [UInt8] {
        var writer = ByteWriter()
        writer.field(0x08, varint: UInt64(bitPattern: Int64(code)))
        writer.field(0x12, text: message)
        if let retryNanoseconds {
            let any = writer.open(0x1A)
            writer.field(0x0A, text: RPCStatus.retryInfo)
            let info = writer.open(0x12)
            let delay = writer.open(0x0A)
            writer.field(0x08, varint: retryNanoseconds / 1_000_000_000)
            writer.field(0x10, varint: retryNanoseconds % 1_000_000_000)
            writer.close(delay)
            writer.close(info)
            writer.close(any)
        }
        return writer.bytes
    }

    private var json: String {
        var writer = JSONWriter()
        writer.beginObject()
        writer.key(literal: "code")
        writer.integer(code)
        writer.key(literal: "message")
        writer.string(message)
        if let retryNanoseconds {
            let digits = String(1_000_000_000 + retryNanoseconds % 1_000_000_000).dropFirst()
            writer.key(literal: "details")
            writer.beginArray()
            writer.beginObject()
            writer.key(literal: "@type")
            writer.string(RPCStatus.retryInfo)
            writer.key(literal: "retryDelay")
            writer.string("\(retryNanoseconds / 1_000_000_000).\(digits)s")
            writer.endObject()
            writer.endArray()
        }
        writer.endObject()
        return writer.text
    }

    /// Reads a status. Details are read in protobuf only: over HTTP the time to come again is a header.
    package init(_ bytes: RawSpan, _ encoding: OTLPEncoding) throws(OTLPError) {
        self.init(code: 0, message: "")
        let protobuf = try protobufBytes(bytes, encoding, as: .rpcStatus)
        do throws(ByteError) {
            var reader = ByteReader(protobuf.span)
            while !reader.isAtEnd {
                let tag = try reader.readVarint()
                switch tag {
                case 0x08: code = Int32(truncatingIfNeeded: try reader.readVarint())
                case 0x12: message = try reader.readText()
                case 0x1A:
                    let outer = try reader.enterField()
                    try readDetail(&reader)
                    reader.leave(to: outer)
                default: try reader.skipField(tag)
                }
            }
        } catch {
            throw OTLPError(error)
        }
    }

    /// Reads a `google.protobuf.Any`; what is not a `RetryInfo` is passed over.
    private mutating func readDetail(_ reader: inout ByteReader) throws(ByteError) {
        var type = ""
        var value = 0..<0
        while !reader.isAtEnd {
            let tag = try reader.readVarint()
            switch tag {
            case 0x0A: type = try reader.readText()
            case 0x12: value = try reader.readRange()
            default: try reader.skipField(tag)
            }
        }
        guard type == RPCStatus.retryInfo else { return }
        var info = ByteReader(reader.bytes, in: value)
        while !info.isAtEnd {
            let tag = try info.readVarint()
            if tag == 0x0A {
                let outer = try info.enterField()
                try readDelay(&info)
                info.leave(to: outer)
            } else {
                try info.skipField(tag)
            }
        }
    }

    /// Reads a `google.protobuf.Duration`; a negative one is none.
    private mutating func readDelay(_ reader: inout ByteReader) throws(ByteError) {
        var seconds: Int64 = 0
        var nanoseconds: Int64 = 0
        while !reader.isAtEnd {
            let tag = try reader.readVarint()
            switch tag {
            case 0x08: seconds = Int64(bitPattern: try reader.readVarint())
            case 0x10: nanoseconds = Int64(bitPattern: try reader.readVarint())
            default: try reader.skipField(tag)
            }
        }
        guard seconds >= 0, (0..<1_000_000_000).contains(nanoseconds) else { return }
        // Longer than a year is as good as a year.
        let bounded = UInt64(min(seconds, 31_536_000))
        retryNanoseconds = bounded * 1_000_000_000 + UInt64(nanoseconds)
    }
}

extension OTLPSignal {
    var response: Message {
        switch self {
        case .traces: .traceResponse
        case .logs: .logsResponse
        case .metrics: .metricsResponse
        }
    }
}

/// A message in protobuf, whatever it came in.
private func protobufBytes(
    _ bytes: RawSpan, _ encoding: OTLPEncoding, as message: Message
) throws(OTLPError) -> ByteWriter {
    var transcoder = JSONTranscoder()
    if encoding == .protobuf {
        transcoder.output.write(bytes: bytes)
    } else {
        do { try transcoder.transcode(bytes, as: message) } catch { throw OTLPError(error) }
    }
    return transcoder.takeOutput()
}

extension ByteReader {
    /// A text, repaired if it is not UTF-8.
    fileprivate mutating func readText() throws(ByteError) -> String {
        let text = bytes.extracting(try readRange())
        return text.withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
    }
}
