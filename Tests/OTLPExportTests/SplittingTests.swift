import ByteCoding
import Export
import OTLPCodec
import SystemIO
import TelemetryBatch
import Testing

@testable import OTLPExport

extension `An exporter of OTLP` {
    /// Takes requests of so many bytes at most.
    private func limited(to bytes: Int) -> (OutgoingRequest) -> SendOutcome {
        { request in
            request.body.count <= bytes
                ? ScriptedSender.taken
                : .answered(status: 413, retryAfter: nil, contentType: nil, body: [])
        }
    }

    private func ids(_ request: OutgoingRequest, _ encoding: OTLPEncoding) throws -> [SpanID] {
        var decoder = OTLPDecoder()
        let found = try decoder.decode(
            request.body.span.bytes, signal: .traces, encoding: encoding,
            producer: ID128(high: 0, low: 1), sequence: 1)
        var ids: [SpanID] = []
        for batch in found.batches {
            for case .span(let span) in try Batch(batch.payload).records { ids.append(span.spanID) }
        }
        return ids
    }

    @Test(arguments: [OTLPEncoding.protobuf, .json])
    func `a request that is too large is taken apart, and never sent again at its size`(
        _ encoding: OTLPEncoding
    ) throws {
        var exporting = try Exporting {
            $0.encoding = encoding
            $0.isCompressed = false
            $0.mark = HopMark(log: ID128(high: 7, low: 7))
        }
        defer { remove(exporting) }
        try exporting.resume()
        // Of several batches, so that it is split between them and within.
        for count in [300, 1, 77, 500] { try exporting.take(spans: count) }
        exporting.sender.decide = limited(to: encoding == .json ? 20_000 : 4_000)
        for _ in 0..<200 where !exporting.step(stopping: true).isDone {}
        #expect(exporting.ledger.counts[.delivered] == 878)
        #expect(exporting.ledger.pending == 0)
        let refused = exporting.sender.refused.map(\.body)
        #expect(Set(refused).count == refused.count)
        #expect(Set(refused).isDisjoint(with: exporting.sender.accepted.map(\.body)))
        let spans = try exporting.sender.accepted.flatMap { try ids($0, encoding) }
        let wanted = [300, 1, 77, 500].flatMap { (1...$0).map { SpanID(rawValue: UInt64($0)) } }
        #expect(spans == wanted)
        #expect(exporting.exporter.details["split_requests"] != nil)
    }

    @Test func `what a death amid the parts of a request had answered does not come again`() throws
    {
        var exporting = try Exporting { $0.isCompressed = false }
        defer { remove(exporting) }
        try exporting.resume()
        for count in [5, 300] { try exporting.take(spans: count) }
        let limit = limited(to: 4_000)
        var left = 2
        exporting.sender.decide = { request in
            let answer = limit(request)
            guard answer == ScriptedSender.taken else { return answer }
            // The third part has no answer any more.
            left -= 1
            return left >= 0 ? answer : .failed("it is gone")
        }
        for _ in 0..<10 { exporting.step(stopping: true) }
        let before = exporting.sender.accepted.count
        #expect(before == 2)
        try exporting.resume()
        exporting.sender.decide = limit
        for count in [5, 300] { try exporting.take(spans: count) }
        for _ in 0..<50 where !exporting.step(stopping: true).isDone {}
        #expect(exporting.sender.accepted.count > before)
        #expect(exporting.ledger.counts[.delivered] == 305)
        let spans = try exporting.sender.accepted.flatMap { try ids($0, .protobuf) }
        #expect(spans == [5, 300].flatMap { (1...$0).map { SpanID(rawValue: UInt64($0)) } })
    }

    @Test func `one record that is too large is refused for good, and the others arrive`() throws {
        var exporting = try Exporting { $0.isCompressed = false }
        defer { remove(exporting) }
        try exporting.resume()
        try exporting.take(spans: 7)
        exporting.sender.decide = { request in
            // The span with the highest id is in it.
            let isIn = request.body.contains(7)
            return isIn
                ? .answered(status: 413, retryAfter: nil, contentType: nil, body: [])
                : ScriptedSender.taken
        }
        for _ in 0..<50 where !exporting.step(stopping: true).isDone {}
        #expect(exporting.ledger.counts[.lost(.rejected)] == 1)
        #expect(exporting.ledger.counts[.delivered] == 6)
        // It is known after a death, too.
        try exporting.resume()
        try exporting.take(spans: 7)
        #expect(exporting.ledger.counts[.lost(.rejected)] == 1)
        #expect(exporting.ledger.counts[.delivered] == 6)
    }

    @Test func `records that come back are known, whoever else passed them on`() throws {
        let own = HopMark(log: ID128(high: 1, low: 1))
        let other = HopMark(log: ID128(high: 2, low: 1))
        var builder = BatchBuilder(producer: ID128(high: 1, low: 1))
        builder.begin(baseTime: 1)
        builder.beginLog(time: 1, severity: 9)
        _ = builder.endRecord()
        var request = try encoded(Batch(builder.finish(sequence: 1)), own)
        for mark in [other, own] {
            var decoder = OTLPDecoder(ownMark: HopMark(log: ID128(high: 3, low: 1)))
            let taken = try decoder.decode(
                request.span.bytes, signal: .logs, encoding: .protobuf,
                producer: ID128(high: 0, low: 1), sequence: 1)
            #expect(taken.accepted == 1)
            let batch = try Batch(taken.batches[0].payload)
            request = try encoded(batch, mark)
            let names = batch.string(HopMark.key, in: batch.resource.attributes)
            #expect(names?.hasPrefix(own.name) == true)
            #expect(batch.resource.attributes.count == 1)
        }
        for mark in [own, other] {
            var decoder = OTLPDecoder(ownMark: mark)
            let found = try decoder.decode(
                request.span.bytes, signal: .logs, encoding: .protobuf,
                producer: ID128(high: 0, low: 1), sequence: 1)
            #expect(found.accepted == 0)
            #expect(found.rejections.counts == [.loop: 1])
            #expect(found.rejections.description.contains("come back"))
        }
    }

    private func encoded(_ batch: Batch, _ mark: HopMark) throws -> [UInt8] {
        var encoder = OTLPEncoder(signal: .logs, mark: mark)
        encoder.append(batch)
        return encoder.bytes(.protobuf)
    }
}
