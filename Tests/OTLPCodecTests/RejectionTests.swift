import OTLPCodec
import TelemetryBatch
import Testing

@Suite struct RejectionTests {
    static let spans: [(RejectionReason, [UInt8])] = [
        (.traceID, field(1, [1, 2, 3])), (.traceID, field(1, someTrace + [1])),
        (.spanID, field(2, [1])), (.spanID, field(4, someTrace)),
        (.enumeration, field(6, integer: 6)), (.enumeration, field(15, field(3, integer: 3))),
        (.enumeration, field(6, integer: UInt64(bitPattern: -1))),
        (.nesting, attribute(9, "k", deepValue(33))), (.traceID, field(13, field(1, [1]))),
        (.limit, (0..<4_097).flatMap { _ in attribute(9, "k", []) }),
        (.limit, (0..<4_097).flatMap { _ in field(11) }),
        (.limit, attribute(9, "k", field(1, String(repeating: "x", count: 1_048_577)))),
        (.limit, attribute(9, "k", field(5, (0..<4_097).flatMap { _ in field(1) }))),
    ]

    @Test(arguments: spans)
    func `a record that cannot be is left out alone`(_ reason: RejectionReason, _ bad: [UInt8])
        throws
    {
        let good = someIDs + field(5, "good")
        let decoded = try decode(request(good, bad, good))
        #expect(decoded.rejections.counts == [reason: 1])
        #expect(decoded.rejections.first == 1)
        #expect(decoded.accepted == 2)
        #expect(try encode(decoded) == request(good, good))
    }

    @Test func `values nested as deep as a batch allows are kept`() throws {
        let bytes = request(someIDs + attribute(9, "k", deepValue(32)))
        #expect(try encode(try decode(bytes)) == bytes)
    }

    @Test func `logs and points are left out alone too`() throws {
        let log = try decode(request(field(2, integer: 25), field(1, fixed64: 1)), .logs)
        #expect(log.rejections.counts == [.enumeration: 1])
        #expect(log.accepted == 1)
        let buckets = [UInt8](repeating: 0, count: 8 * 16_385)
        let points = try decode(
            metricRequest(field(9, field(1, field(6, buckets)), field(1))), .metrics)
        #expect(points.rejections.counts == [.limit: 1])
        #expect(points.accepted == 1)
        let temporality = try decode(
            metricRequest(field(7, field(1), field(1), field(2, integer: 3))), .metrics)
        #expect(temporality.rejections.counts == [.enumeration: 2])
    }

    @Test func `a resource or scope that is too large takes its records with it`() throws {
        let large = attribute(1, "k", field(1, String(repeating: "x", count: 70_000)))
        let bytes =
            field(1, field(1, large), field(2, field(2), field(2)))
            + field(
                1, field(2, field(1, field(1, String(repeating: "x", count: 70_000))), field(2)))
            + field(1, field(2, field(2)))
        let decoded = try decode(bytes)
        #expect(decoded.rejections.counts == [.container: 3])
        #expect(decoded.accepted == 1)
    }

    @Test func `more scopes than a batch holds become several batches`() throws {
        let scopes = (0..<2_500).map { field(2, field(1, field(1, "\($0)")), field(2, someIDs)) }
        let decoded = try decode(field(1, scopes.flatMap { $0 }))
        #expect(decoded.accepted == 2_500)
        #expect(decoded.batches.count == 3)
        #expect(try encode(decoded).count > 0)
    }

    @Test func `fields that are not known are counted by their path`() throws {
        let bytes =
            field(
                1, field(1, field(3, field(1, "entity"))), field(2, field(2, field(99, "x"))),
                field(1000)) + field(7, integer: 1)
        let found = try decode(bytes).unknownFields
        #expect(found.total == 4)
        #expect(
            Set(found.fields.map(\.path)) == [
                "Resource.3", "Span.99", "ResourceSpans.1000", "ExportTraceServiceRequest.7",
            ])
        let json =
            #"{"resourceSpans":[{"resource":{"entityRefs":[],"entity_refs":[1]},"x":null}],"y":1}"#
        let named = try decode(json: json).unknownFields
        #expect(named.total == 2)
        #expect(
            named.fields.map(\.path) == ["Resource.entity_refs", "ExportTraceServiceRequest.y"])
    }

    @Test func `text that is not UTF-8 is repaired and counted`() throws {
        let decoded = try decode(request(field(5, [0x61, 0xFF]), field(5, [0x61, 0xFF])))
        #expect(decoded.repairedTexts == 2)
        #expect(try encode(decoded) == request(field(5, "a\u{FFFD}"), field(5, "a\u{FFFD}")))
        #expect(try decode(json: spanJSON(#""name":"\ud800x""#)).repairedTexts == 1)
    }

    @Test func `a sender is told what was left out`() throws {
        let decoded = try decode(request(field(1, [1]), field(5, "x"), field(2, [1])))
        let response = ExportResponse(to: decoded)
        #expect(response.rejected == 2)
        #expect(
            response.message
                == "rejected 1 for trace id of wrong length, 1 for span id of wrong length; the first is record 0"
        )
    }
}
