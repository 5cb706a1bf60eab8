import ByteCoding
import SimulationKit
import TelemetryBatch
import Testing

@Suite("The builder")
struct BuilderTests {
    private static let session = KnownText("session.id")
    private static let toolName = KnownText("gen_ai.tool.name")
    private static let callID = KnownText("gen_ai.tool.call.id")
    private static let requestModel = KnownText("gen_ai.request.model")

    /// The bytes of so many typical agent spans.
    private func typicalSpans(_ count: Int) -> [UInt8] {
        var random = SeededGenerator(seed: 4)
        var builder = BatchBuilder(producer: someProducer)
        builder.begin(baseTime: someTime, resource: codexResource)
        let tools = ["shell", "apply_patch", "read_file", "update_plan"]
        var start = someTime
        for number in 0..<count {
            start += UInt64(random.below(50_000_000))
            builder.beginSpan(
                name: builder.ref("codex.tool"), kind: .internal, status: .ok, trace: someTrace,
                span: SpanID(random: &random), parent: SpanID(random: &random), start: start,
                duration: UInt64(random.below(3_000_000_000)))
            builder.attribute(Self.session, "0192f3a4-7b1c-7c3e-9d55-2f6a1b2c3d4e")
            builder.attribute(Self.toolName, tools[random.below(tools.count)])
            builder.attribute(Self.callID, "call_\(number)")
            builder.attribute(Self.requestModel, "gpt-5-codex")
            #expect(builder.endRecord() == .appended)
        }
        return builder.finish(sequence: 1)
    }

    @Test func `4,096 typical agent spans cost at most 60 bytes each`() throws {
        for (count, limit) in [(1, 420), (8, 120), (64, 75), (4_096, 60)] {
            let bytes = typicalSpans(count)
            #expect(try BatchValidator.validate(bytes.span.bytes).spans == UInt32(count))
            #expect(bytes.count / count <= limit, "\(count) spans: \(bytes.count / count) each")
        }
    }

    @Test func `a full batch refuses a record and goes on with the next batch`() throws {
        var builder = BatchBuilder(producer: someProducer, bytesMax: 2_000)
        builder.begin(baseTime: someTime)
        var appended = 0
        while true {
            span { $0.name = "span number \(appended)" }.write(&builder, scope: 0)
            if builder.endRecord() == .batchFull { break }
            appended += 1
        }
        let bytes = builder.finish(sequence: 1)
        #expect(bytes.count <= 2_000)
        let batch = try Batch(bytes)
        #expect(batch.summary.spans == UInt32(appended) && batch.stringCount == appended)
        builder.begin(baseTime: someTime)
        span().write(&builder, scope: 0)
        #expect(builder.endRecord() == .appended)
        #expect(builder.finish(sequence: 1) == smallBatch)
    }

    @Test func `a record that passes a limit leaves no trace`() throws {
        var builder = BatchBuilder(producer: someProducer)
        builder.begin(baseTime: someTime)
        let tooLarge: [SpanModel] = [
            span { $0.name = String(repeating: "n", count: 1_048_577) },
            span {
                $0.trace = otherTrace
                $0.attributes = [Attribute("new", nested(33))]
            },
            span { $0.attributes = (0..<4_097).map { Attribute("k", .int($0)) } },
            span {
                $0.attributes = [
                    Attribute("a", .array([AttributeValue](repeating: .none, count: 4_097)))
                ]
            },
            span { $0.events = (0..<4_097).map { EventModel(time: $0, name: "e") } },
        ]
        for record in tooLarge {
            record.write(&builder, scope: 0)
            #expect(builder.endRecord() == .refused)
        }
        LogModel(time: 1, severity: 25).write(&builder, scope: 0)
        #expect(builder.endRecord() == .refused)
        span().write(&builder, scope: 0)
        #expect(builder.endRecord() == .appended)
        #expect(builder.finish(sequence: 1) == smallBatch)
    }

    @Test func `an abandoned record takes its new texts and traces with it`() throws {
        var builder = BatchBuilder(producer: someProducer)
        builder.begin(baseTime: someTime)
        for attempt in 0..<3 {
            span {
                $0.trace = otherTrace
                $0.name = "gone \(attempt)"
            }.write(&builder, scope: 0)
            builder.attribute(Self.session, "gone too")
            builder.abandonRecord()
        }
        span().write(&builder, scope: 0)
        builder.attribute(Self.session, "kept")
        #expect(builder.endRecord() == .appended)
        let batch = try Batch(builder.finish(sequence: 1))
        let texts = (1...3).map { batch.text(TextRef(index: $0)) }
        #expect(texts == ["codex.tool", "session.id", "kept"])
        #expect(batch.stringCount == 3 && batch.summary.traceIDs == [someTrace])
    }

    @Test func `thousands of texts are each found again`() throws {
        var builder = BatchBuilder(producer: someProducer)
        for _ in 0..<3 {
            builder.begin(baseTime: 0)
            let texts = (0..<5_000).map { String(repeating: "x", count: $0 % 70) + "\($0)" }
            let first = texts.map { builder.ref($0) }
            #expect(first.map(\.index) == Array(1...5_000))
            #expect(texts.map { builder.ref($0) } == first)
            #expect(builder.ref(bytes: Array(texts[7].utf8)).index == 5_001)
        }
    }

    @Test func `a known text has one number and its place in each batch`() throws {
        #expect(KnownText("session.id") == Self.session && Self.session != Self.callID)
        #expect(KnownText(registering: "session.id") == Self.session)
        #expect(Self.session.text == "session.id")
        var builder = BatchBuilder(producer: someProducer)
        builder.begin(baseTime: 0)
        #expect(builder.ref(Self.session).index == 1)
        #expect(builder.ref("session.id").index == 1)
        builder.begin(baseTime: 0)
        #expect(builder.ref(Self.callID).index == 1)
        #expect(builder.ref(Self.session).index == 2)
    }

    @Test func `a key's value is followed through repetition, change and mutation`() throws {
        var builder = BatchBuilder(producer: someProducer)
        var value = "a text that is longer than fifteen bytes"
        for round in 0..<40 {
            builder.begin(baseTime: someTime)
            var expected: [String] = []
            span().write(&builder, scope: 0)
            for step in 0..<6 {
                if step == 3 { value.append("\(round)") }
                if step == 4, round % 3 == 0 { value = String(value.dropLast(3)) }
                let text = step == 5 ? "" : step == 2 ? "short \(round % 2)" : value
                builder.attribute(Self.session, text)
                expected.append(text)
            }
            #expect(builder.endRecord() == .appended)
            let batch = try Batch(builder.finish(sequence: 1))
            let read = try #require(BatchModel(batch).records.first)
            guard case .span(let found) = read else {
                Issue.record("no span")
                return
            }
            #expect(found.attributes.map(\.value) == expected.map { .string($0) })
        }
    }

    @Test func `text that is not UTF-8 is repaired`() throws {
        var builder = BatchBuilder(producer: someProducer)
        builder.begin(baseTime: 0)
        let broken: [UInt8] = [0x61, 0xFF, 0x62]
        let ref = broken.withUnsafeBytes { builder.ref(utf8: $0) }
        let batch = try Batch(builder.finish(sequence: 1))
        #expect(batch.text(ref) == "a\u{FFFD}b")
    }
}
