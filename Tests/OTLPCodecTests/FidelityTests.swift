import OTLPCodec
import TelemetryBatch
import Testing

/// A request of each signal in which every message of OTLP is.
let richRequests: [(OTLPSignal, [UInt8])] = [
    (.traces, richTraces), (.logs, richLogs), (.metrics, richMetrics),
]

private let resource = field(
    1, attribute(1, "service.name", field(1, "s")), field(2, integer: 3))
private let scope = field(
    1, field(1, "scope"), field(2, "1.0"), attribute(3, "k", field(2, integer: 1)),
    field(4, integer: 2))
private let schema = field(3, "https://schema")

private let values =
    attribute(9, "text", field(1, "ü")) + attribute(9, "text", field(1, ""))
    + attribute(9, "none", []) + attribute(9, "no", field(2, integer: 0))
    + attribute(9, "int", field(3, integer: UInt64(bitPattern: -1)))
    + attribute(9, "nan", field(4, double: .nan)) + attribute(9, "−0", field(4, double: -0.0))
    + attribute(9, "bytes", field(7, [0xFF, 0])) + attribute(9, "empty", field(7, []))
    + attribute(9, "array", field(5, field(1, field(3, integer: 5)), field(1, [])))
    + attribute(9, "map", field(6, attribute(1, "k", []), attribute(1, "k", field(6, []))))

private let span =
    someIDs + field(3, "a=b") + field(4, someSpan) + field(5, "name") + field(6, integer: 3)
    + field(7, fixed64: 1_790_000_000_000_000_000) + field(8, fixed64: 1_790_000_000_000_000_500)
    + values + field(10, integer: 1)
    + field(11, field(1, fixed64: 9), field(2, "event"), attribute(3, "k", field(1, "v")))
    + field(11, field(4, integer: 7)) + field(12, integer: 2)
    + field(13, someIDs, field(3, "t"), attribute(4, "k", []), field(5, integer: 8))
    + field(14, integer: 3) + field(15, field(2, "failed"), field(3, integer: 2))
    + [0x85, 0x01, 1, 1, 0, 0]

private let richTraces = field(
    1, resource, field(2, scope, field(2, span), field(2, someIDs + field(15)), schema), schema)

private let richLogs = field(
    1, resource,
    field(
        2, scope,
        field(
            2, field(1, fixed64: 5), field(2, integer: 24), field(3, "FATAL4"),
            field(5, field(1, "body")), attribute(6, "k", field(1, "v")), field(7, integer: 1),
            [0x45, 1, 0, 0, 0], field(9, someTrace), field(10, someSpan), field(11, fixed64: 6),
            field(12, "event")),
        field(2, field(5), field(11, fixed64: 8)), field(2)))

private let exemplar =
    field(2, fixed64: 4) + field(3, double: 1) + field(4, someSpan) + field(5, someTrace)
    + attribute(7, "k", field(1, "v"))
private let times = field(2, fixed64: 1) + field(3, fixed64: 2)
private let words = [3, 0, 0, 4].flatMap { field(0, fixed64: $0).dropFirst() }
private let bounds = [1.5, 2.5, .infinity].flatMap { field(0, double: $0).dropFirst() }

private let richMetrics = field(
    1,
    field(
        2, scope,
        field(
            2, field(1, "gauge"), field(2, "what"), field(3, "By"),
            field(
                5,
                field(1, times, field(4, double: -0.0), field(5, exemplar), field(8, integer: 1)),
                field(1, times, field(6, fixed64: UInt64(bitPattern: -9))),
                field(1, field(3, fixed64: 2), attribute(7, "k", field(1, "v")))),
            attribute(12, "meta", field(1, "data"))),
        field(
            2, field(1, "sum"),
            field(
                7, field(1, times, field(6, fixed64: 0)), field(2, integer: 2), field(3, integer: 1)
            )),
        field(
            2, field(1, "histogram"),
            field(
                9,
                field(
                    1, times, field(4, fixed64: 7), field(5, double: 0), field(6, words),
                    field(7, bounds), field(8, exemplar), attribute(9, "k", field(1, "v")),
                    field(10, integer: 1), field(11, double: 1), field(12, double: 2)),
                field(1, times), field(2, integer: 1))),
        field(
            2, field(1, "exponential"),
            field(
                10,
                field(
                    1, attribute(1, "k", field(1, "v")), times, field(4, fixed64: 7),
                    field(5, double: 3), field(6, integer: 5), field(7, fixed64: 2),
                    field(8, field(1, integer: 3), field(2, [1, 0, 0, 0, 0x80, 1])), field(9),
                    field(10, integer: 1), field(11, exemplar), field(12, double: 1),
                    field(13, double: 2), field(14, double: 0.5)),
                field(2, integer: 1))),
        field(
            2, field(1, "summary"),
            field(
                11,
                field(
                    1, times, field(4, fixed64: 7), field(5, double: 3),
                    field(6, field(1, double: 0.5), field(2, double: 4)), field(6),
                    attribute(7, "k", field(1, "v")), field(8, integer: 1)))), schema))

@Suite struct FidelityTests {
    @Test(arguments: richRequests)
    func `a request comes out with the bytes it went in with`(
        _ signal: OTLPSignal, _ bytes: [UInt8]
    ) throws {
        let decoded = try decode(bytes, signal)
        #expect(decoded.rejections.total == 0)
        #expect(decoded.unknownFields.total == 0)
        #expect(try encode(decoded, signal) == bytes)
    }

    @Test(arguments: richRequests)
    func `JSON has all that protobuf has`(_ signal: OTLPSignal, _ bytes: [UInt8]) throws {
        let json = try encode(try decode(bytes, signal), signal, .json)
        let again = try decode(json, signal, .json)
        #expect(again.unknownFields.total == 0)
        #expect(try encode(again, signal) == bytes)
    }

    @Test(arguments: richRequests)
    func `what the decoder says of a batch is what the validator finds`(
        _ signal: OTLPSignal, _ bytes: [UInt8]
    ) throws {
        let decoded = try decode(bytes, signal)
        #expect(decoded.batches.count == 1)
        for made in decoded.batches {
            #expect(try BatchValidator.validate(made.payload.span.bytes) == made.summary)
        }
        #expect(UInt64(decoded.batches[0].summary.records) == decoded.accepted)
        #expect(decoded.batches[0].summary.header.sequence == 5)
    }

    @Test func `records of equal resources make one batch and keep their order`() throws {
        func part(_ name: String, _ span: String) -> [UInt8] {
            field(
                1, field(1, attribute(1, "service.name", field(1, name))),
                field(2, field(2, field(5, span))))
        }
        let bytes = part("a", "1") + part("b", "2") + part("a", "3") + field(1) + part("b", "4")
        let decoded = try decode(bytes)
        #expect(decoded.batches.map(\.summary.records) == [2, 2])
        #expect(decoded.batches.map(\.summary.header.sequence) == [5, 6])
        #expect(
            try names(decoded) == ["1", "3", "2", "4"])
    }

    @Test func `a request larger than a batch becomes several`() throws {
        let text = String(repeating: "x", count: 1_000)
        let spans = (0..<100).map { field(2, someIDs + field(5, "\($0)" + text)) }
        let bytes = field(
            1, field(1, attribute(1, "service.name", field(1, "s"))),
            field(2, field(1, field(1, "scope")), spans.flatMap { $0 }))
        let decoded = try decode(bytes, bytesMax: 16_384)
        #expect(decoded.batches.count > 6)
        #expect(decoded.accepted == 100)
        #expect(decoded.batches.allSatisfy { $0.payload.count <= 16_384 })
        #expect(try names(decoded) == (0..<100).map { "\($0)" + text })
        for made in decoded.batches {
            let batch = try Batch(made.payload)
            #expect(batch.summary == made.summary)
            #expect(batch.string("service.name", in: batch.resource.attributes) == "s")
            #expect(batch.text(batch.scope(1).name) == "scope")
        }
    }

    @Test func `a range of records is encoded`() throws {
        let bytes = request(field(5, "0"), field(5, "1"), field(5, "2"), field(5, "3"))
        let batch = try Batch(try decode(bytes).batches[0].payload)
        var encoder = OTLPEncoder(signal: .traces)
        #expect(encoder.append(batch, records: 1..<3) == 2)
        #expect(encoder.bytes(.protobuf) == request(field(5, "1"), field(5, "2")))
        #expect(encoder.append(batch, records: 4..<9) == 0)
        #expect(encoder.append(batch, records: 3..<9) == 1)
        #expect(encoder.recordCount == 3)
        var logs = OTLPEncoder(signal: .logs)
        #expect(logs.append(batch) == 0)
        #expect(logs.byteCount == 0)
    }

    private func names(_ decoded: DecodedRequest) throws -> [String] {
        try decoded.batches.flatMap { made in
            let batch = try Batch(made.payload)
            return batch.records.compactMap { record in
                if case .span(let span) = record { batch.text(span.name) } else { nil }
            }
        }
    }
}
