import OTLPCodec
import TelemetryBatch
import Testing

/// A request with a span of these members.
func spanJSON(_ members: String) -> String {
    #"{"resourceSpans":[{"scopeSpans":[{"spans":[{"# + members + "}]}]}]}"
}

private func logJSON(_ members: String) -> String {
    #"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"# + members + "}]}]}]}"
}

@Suite struct JSONRequestTests {
    static let readings: [(String, String)] = [
        (#""traceId":"","spanId":"","parentSpanId":"""#, ""),
        (#""traceId":null,"attributes":null,"status":null,"kind":null"#, ""),
        (#""kind":0,"startTimeUnixNano":"0","attributes":[],"name":"","flags":0"#, ""),
        (
            #""traceId":"0102030405060708090A0B0C0D0E0F10""#,
            #""traceId":"0102030405060708090a0b0c0d0e0f10""#
        ),
        (
            #""start_time_unix_nano":5,"end_time_unix_nano":"7""#,
            #""startTimeUnixNano":"5","endTimeUnixNano":"7""#
        ),
        (
            #""startTimeUnixNano":1.5e3,"kind":"SPAN_KIND_SERVER""#,
            #""kind":2,"startTimeUnixNano":"1500""#
        ),
        (
            #""startTimeUnixNano":18446744073709551615"#,
            #""startTimeUnixNano":"18446744073709551615""#
        ),
        (#""status":{}"#, #""status":{}"#),
        (
            #""status":{"code":"STATUS_CODE_ERROR","message":"m"}"#,
            #""status":{"message":"m","code":2}"#
        ),
        (#""n\u0061me":"\u00fc\ud834\udd1e\/\n""#, #""name":"ü𝄞/\n""#),
        (#""name":"a","name":"b""#, #""name":"b""#),
        (
            #""attributes":[{"key":"k"},{"value":{}}]"#,
            #""attributes":[{"key":"k","value":{}},{"value":{}}]"#
        ),
        (
            #""attributes":[{"key":"thread.id","value":{"intValue":2}},{"key":"thread.id","value":{"stringValue":"2"}}]"#,
            #""attributes":[{"key":"thread.id","value":{"intValue":"2"}},{"key":"thread.id","value":{"stringValue":"2"}}]"#
        ),
        (
            #""attributes":[{"key":"d","value":{"doubleValue":"NaN"}},{"key":"d","value":{"doubleValue":-0.0}},{"key":"d","value":{"doubleValue":"-Infinity"}}]"#,
            #""attributes":[{"key":"d","value":{"doubleValue":"NaN"}},{"key":"d","value":{"doubleValue":-0.0}},{"key":"d","value":{"doubleValue":"-Infinity"}}]"#
        ),
        (
            #""attributes":[{"key":"b","value":{"bytesValue":"_-8"}},{"key":"b","value":{"bytesValue":"\/+8="}}]"#,
            #""attributes":[{"key":"b","value":{"bytesValue":"/+8="}},{"key":"b","value":{"bytesValue":"/+8="}}]"#
        ),
        (
            #""attributes":[{"key":"a","value":{"arrayValue":{"values":[null,{"boolValue":false}]}}},{"key":"m","value":{"kvlistValue":{}}}]"#,
            #""attributes":[{"key":"a","value":{"arrayValue":{"values":[{},{"boolValue":false}]}}},{"key":"m","value":{"kvlistValue":{}}}]"#
        ),
    ]

    @Test(arguments: readings)
    func `JSON as senders write it is read`(_ sent: String, _ kept: String) throws {
        let decoded = try decode(json: spanJSON(sent))
        #expect(decoded.accepted == 1)
        #expect(decoded.rejections.total == 0)
        #expect(try encodeJSON(decoded) == spanJSON(kept))
    }

    @Test func `a log event of the real Codex is read`() throws {
        let sent = logJSON(
            #""timeUnixNano":"0","observedTimeUnixNano":"9","severityNumber":9,"body":null,"eventName":"src/a.rs:1","traceId":"","spanId":"","droppedAttributesCount":0"#
        )
        let decoded = try decode(json: sent, .logs)
        #expect(decoded.batches[0].summary.earliest == 9)
        #expect(
            try encodeJSON(decoded, .logs)
                == logJSON(
                    #""severityNumber":9,"observedTimeUnixNano":"9","eventName":"src/a.rs:1""#))
        let empty = try decode(json: logJSON(#""body":{}"#), .logs)
        #expect(try encodeJSON(empty, .logs) == logJSON(#""body":{}"#))
    }

    static let wrong: [(RejectionReason, String)] = [
        (.type, #""name":5"#), (.type, #""attributes":{}"#), (.type, #""attributes":[5]"#),
        (.type, #""kind":"nonsense""#), (.type, #""kind":1.5"#), (.type, #""flags":4294967296"#),
        (.type, #""startTimeUnixNano":-1"#), (.type, #""startTimeUnixNano":"x""#),
        (.type, #""startTimeUnixNano":18446744073709551616"#), (.type, #""startTimeUnixNano":"""#),
        (.type, #""status":[]"#), (.type, #""attributes":[{"value":{"boolValue":"yes"}}]"#),
        (.type, #""attributes":[{"value":{"doubleValue":"inf"}}]"#),
        (.type, #""attributes":[{"value":{"bytesValue":"a"}}]"#),
        (.type, #""attributes":[{"value":{"bytesValue":"a!=="}}]"#),
        (.traceID, #""traceId":"0102""#),
        (.traceID, #""traceId":"0102030405060708090a0b0c0d0e0fxx""#),
        (.spanID, #""spanId":"é""#), (.enumeration, #""kind":9"#),
    ]

    @Test(arguments: wrong)
    func `a record of the wrong type is left out alone`(
        _ reason: RejectionReason, _ members: String
    ) throws {
        let text = spanJSON(#""name":"a"},{"# + members + #"},{"name":"b""#)
        let decoded = try decode(json: text)
        #expect(decoded.rejections.counts == [reason: 1])
        #expect(decoded.rejections.first == 1)
        #expect(try encodeJSON(decoded) == spanJSON(#""name":"a"},{"name":"b""#))
    }

    static let broken = [
        "", " ", "nul", "[]", "5", "{", "{}}", "{} x", #"{"a"}"#, #"{"a":}"#, #"{"a":1,}"#, "{,}",
        #"{"resourceSpans":[,]}"#, #"{"resourceSpans":5}"#, #"{"resourceSpans":[5]}"#,
        #"{"resourceSpans":[{"resource":{"attributes":[1]}}]}"#, "{\"a\":\"\n\"}",
        #"{"a":"\x"}"#, #"{"a":"\u12"}"#, #"{"a":01}"#, #"{"a":1.}"#, #"{"a":-}"#, #"{"a":+1}"#,
        #"{"a":NaN}"#, #"{"a":truth}"#, #"{'a':1}"#, spanJSON(#""name":5,"x":}"#),
        spanJSON(#""name":"x"#),
    ]

    @Test(arguments: broken)
    func `what is not JSON, or of the wrong type outside of records, is refused`(_ text: String) {
        #expect(throws: OTLPError.self) { try decode(json: text) }
    }

    @Test func `an empty object is a request without records`() throws {
        let decoded = try decode(json: " { } \n")
        #expect(decoded.batches.isEmpty)
        #expect(try decode([]).batches.isEmpty)
    }
}
