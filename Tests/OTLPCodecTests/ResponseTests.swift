import OTLPCodec
import Testing

@Suite struct ResponseTests {
    @Test func `full success has no body in protobuf and an empty object in JSON`() {
        #expect(ExportResponse().encoded(.traces, .protobuf).isEmpty)
        #expect(ExportResponse().encoded(.traces, .json) == Array("{}".utf8))
    }

    static let names: [(OTLPSignal, String)] = [
        (.traces, "rejectedSpans"), (.logs, "rejectedLogRecords"), (.metrics, "rejectedDataPoints"),
    ]

    @Test(arguments: names)
    func `partial success is written and read`(_ signal: OTLPSignal, _ name: String) throws {
        let response = ExportResponse(rejected: 3, message: "why")
        let protobuf = response.encoded(signal, .protobuf)
        #expect(protobuf == field(1, field(1, integer: 3), field(2, "why")))
        #expect(try ExportResponse(protobuf.span.bytes, signal, .protobuf) == response)
        let json = response.encoded(signal, .json)
        #expect(
            String(decoding: json, as: UTF8.self)
                == #"{"partialSuccess":{"\#(name)":"3","errorMessage":"why"}}"#)
        #expect(try ExportResponse(json.span.bytes, signal, .json) == response)
    }

    @Test func `a status is written and read`() throws {
        let status = RPCStatus(code: 8, message: "full", retryNanoseconds: 1_500_000_000)
        let bytes = status.encoded(.protobuf)
        let info = field(
            3, field(1, "type.googleapis.com/google.rpc.RetryInfo"),
            field(2, field(1, field(1, integer: 1), field(2, integer: 500_000_000))))
        #expect(bytes == field(1, integer: 8) + field(2, "full") + info)
        #expect(try RPCStatus(bytes.span.bytes, .protobuf) == status)
        let json = status.encoded(.json)
        #expect(
            String(decoding: json, as: UTF8.self)
                == #"{"code":8,"message":"full","details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"1.500000000s"}]}"#
        )
        #expect(
            try RPCStatus(json.span.bytes, .json)
                == RPCStatus(code: 8, message: "full"))
    }

    @Test func `answers of others are read with what they add`() throws {
        let more = field(9, "new") + field(1, field(1, integer: 2), field(9, integer: 1))
        #expect(try ExportResponse(more.span.bytes, .logs, .protobuf).rejected == 2)
        let json = Array(#"{"partialSuccess":{"rejectedSpans":2,"more":[]},"x":{}}"#.utf8)
        #expect(try ExportResponse(json.span.bytes, .traces, .json).rejected == 2)
        let detail =
            field(3, field(1, "other"), field(2, "x")) + field(1, integer: UInt64(bitPattern: -1))
        #expect(try RPCStatus(detail.span.bytes, .protobuf).retryNanoseconds == nil)
        #expect(throws: OTLPError.self) {
            try ExportResponse(Array("<html>".utf8).span.bytes, .traces, .json)
        }
        #expect(throws: OTLPError.self) {
            try ExportResponse(Array("<html>".utf8).span.bytes, .traces, .protobuf)
        }
    }
}
