import ByteCoding
import Testing

@testable import TelemetryBatch

/// A few bytes that refer to many again and again: every exporter would write them out.
@Suite struct `What a batch refers to` {
    private static let text = String(repeating: "x", count: 1 << 20)

    private func builder() -> BatchBuilder {
        var builder = BatchBuilder(producer: ID128(high: 1, low: 1))
        builder.begin(baseTime: 1)
        return builder
    }

    private func span(_ builder: inout BatchBuilder, _ name: TextRef, scope: Int = 0) {
        builder.beginSpan(
            name: name, kind: .internal, status: .unset, trace: .zero, span: SpanID(rawValue: 1),
            start: 1, duration: 1, scope: scope)
    }

    private func error(of bytes: [UInt8]) -> BatchError? {
        do throws(BatchError) {
            _ = try Batch(bytes)
            return nil
        } catch {
            return error
        }
    }

    @Test(arguments: [(64, true), (65, false)])
    func `is bounded where texts are repeated`(_ count: Int, _ isTaken: Bool) {
        var builder = builder()
        let text = builder.ref(Self.text)
        for _ in 0..<count {
            span(&builder, text)
            #expect(builder.endRecord() == .appended)
        }
        let bytes = builder.finish(sequence: 1)
        #expect(bytes.count < 2 << 20)
        #expect(error(of: bytes)?.code == (isTaken ? nil : .limitExceeded))
    }

    @Test(arguments: [(63, true), (64, false)])
    func `is bounded within one record`(_ count: Int, _ isTaken: Bool) {
        var builder = builder()
        let (key, text) = (builder.ref("k"), builder.ref(Self.text))
        span(&builder, .none)
        for _ in 0..<count { builder.attribute(key, text) }
        #expect(builder.endRecord() == .appended)
        #expect(error(of: builder.finish(sequence: 1))?.code == (isTaken ? nil : .limitExceeded))
    }

    @Test func `fills a batch before it is too much`() throws {
        var builder = builder()
        var result = AppendResult.appended
        while result == .appended {
            let name = builder.ref(Self.text)
            span(&builder, name)
            result = builder.endRecord()
        }
        #expect(result == .batchFull)
        let batch = try Batch(builder.finish(sequence: 1))
        #expect(batch.header.recordCount == 32)
    }

    @Test(arguments: [false, true])
    func `is bounded where scopes take turns`(_ taking: Bool) throws {
        var builder = builder()
        var scopes: [Int] = []
        let version = String(repeating: "v", count: 1_000_000)
        for name in ["a", "b"] {
            scopes.append(builder.index(of: Scope(name: name, version: version)) ?? 0)
        }
        #expect(scopes == [1, 2])
        for number in 0..<200 {
            span(&builder, .none, scope: scopes[taking ? number % 2 : number / 100])
            #expect(builder.endRecord() == .appended)
        }
        let found = error(of: builder.finish(sequence: 1))
        #expect(found?.code == (taking ? .limitExceeded : nil))
    }

    @Test func `fills a batch before bytes are too much`() throws {
        var builder = builder()
        let bytes = [UInt8](repeating: 7, count: 1 << 20)
        var result = AppendResult.appended
        while result == .appended {
            span(&builder, .none)
            builder.beginAttribute(builder.ref("k"))
            builder.value(builder.ref(bytes: bytes))
            result = builder.endRecord()
        }
        #expect(result == .batchFull)
        #expect(try Batch(builder.finish(sequence: 1)).header.recordCount == 32)
    }

    @Test(arguments: [(1_048_575, true), (1_048_576, false)])
    func `is bounded for a scope by itself`(_ count: Int, _ isTaken: Bool) {
        var builder = builder()
        let version = String(repeating: "v", count: count)
        let scope = builder.index(of: Scope(name: "a", version: version)) ?? 0
        span(&builder, .none, scope: scope)
        #expect(builder.endRecord() == .appended)
        #expect(error(of: builder.finish(sequence: 1))?.code == (isTaken ? nil : .limitExceeded))
    }

    @Test func `is bounded for a resource by itself`() {
        let text = String(repeating: "x", count: 1 << 17)
        for (count, isTaken) in [(7, true), (9, false)] {
            var builder = BatchBuilder(producer: ID128(high: 1, low: 1))
            builder.begin(
                baseTime: 1,
                resource: Resource(
                    attributes: (0..<count).map { Attribute("k\($0)", .string(text)) }))
            span(&builder, .none)
            #expect(builder.endRecord() == .appended)
            let found = error(of: builder.finish(sequence: 1))
            #expect(found?.code == (isTaken ? nil : .limitExceeded))
        }
    }
}
