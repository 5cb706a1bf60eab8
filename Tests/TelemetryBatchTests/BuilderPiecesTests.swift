import ByteCoding
import TelemetryBatch
import Testing

@Suite struct BuilderPiecesTests {
    @Test func `what is written in pieces is what is written whole`() throws {
        var whole = BatchBuilder(producer: someProducer)
        whole.begin(
            baseTime: 5,
            resource: Resource(
                attributes: [Attribute("service.name", .string("s"))], schemaURL: "u",
                droppedAttributes: 2))
        let scope = whole.index(
            of: Scope(name: "n", version: "v", attributes: [Attribute("k", .bool(true))]))
        let metric = whole.index(
            of: Metric(kind: .gauge, name: "m", metadata: [Attribute("k", .int(4))]), scope: 1)
        #expect(scope == 1 && metric == 1)
        let value = AttributeValue.array([
            .map([Attribute("a", .double(1.5)), Attribute("a", .none)]), .bytes([1]), .array([]),
        ])
        whole.beginLog(time: 6, scope: 1)
        whole.body(value)
        whole.attribute(whole.ref("key"), value)
        whole.endRecord()
        whole.beginNumber(metric: 1, time: 7)
        whole.endRecord()

        var pieces = BatchBuilder(producer: someProducer, isHostile: true)
        pieces.begin(baseTime: 5)
        let url = pieces.ref("u")
        pieces.beginResource(schemaURL: url, droppedAttributes: 2)
        let service = pieces.ref("service.name")
        pieces.beginAttribute(service)
        let name = pieces.ref("s")
        pieces.value(name)
        let fits = pieces.endResource()
        #expect(fits)
        writeScopeAndMetric(&pieces)
        pieces.beginLog(time: 6, scope: 1)
        pieces.beginBody()
        writeValue(&pieces)
        let key = pieces.ref("key")
        pieces.beginAttribute(key)
        writeValue(&pieces)
        pieces.endRecord()
        pieces.beginNumber(metric: 1, time: 7)
        pieces.endRecord()
        #expect(pieces.finish(sequence: 1) == whole.finish(sequence: 1))
    }

    private func writeScopeAndMetric(_ pieces: inout BatchBuilder) {
        let (name, version) = (pieces.ref("n"), pieces.ref("v"))
        pieces.beginScope(name: name, version: version, schemaURL: .none, droppedAttributes: 0)
        let key = pieces.ref("k")
        pieces.beginAttribute(key)
        pieces.value(true)
        let scope = pieces.endScope()
        #expect(scope == 1)
        let metric = pieces.ref("m")
        pieces.beginMetric(
            kind: .gauge, temporality: .unspecified, isMonotonic: false, name: metric,
            description: .none, unit: .none, scope: 1, hasMetadata: true)
        pieces.beginAttribute(key)
        pieces.value(Int64(4))
        let index = pieces.endMetric()
        #expect(index == 1)
    }

    private func writeValue(_ pieces: inout BatchBuilder) {
        let array = pieces.beginValues(isMap: false)
        let map = pieces.beginValues(isMap: true)
        let key = pieces.ref("a")
        pieces.key(key)
        pieces.value(1.5)
        pieces.key(key)
        pieces.noValue()
        pieces.endValues(map, count: 2)
        let bytes = pieces.ref(bytes: [1])
        pieces.value(bytes)
        pieces.endValues(pieces.beginValues(isMap: false), count: 0)
        pieces.endValues(array, count: 3)
    }

    @Test func `an empty scope is index 0 and an empty resource is not written`() throws {
        var builder = BatchBuilder(producer: someProducer)
        builder.begin(baseTime: 0)
        builder.beginResource(schemaURL: .none, droppedAttributes: 0)
        let fits = builder.endResource()
        builder.beginScope(name: .none, version: .none, schemaURL: .none, droppedAttributes: 0)
        let scope = builder.endScope()
        #expect(fits && scope == 0)
        #expect(builder.finish(sequence: 1).count == BatchHeader.byteCount)
    }

    @Test func `an entry that passes a limit leaves nothing behind`() throws {
        var builder = BatchBuilder(producer: someProducer)
        builder.begin(baseTime: 0)
        for _ in 0..<3 {
            let name = builder.ref("gone")
            builder.beginScope(name: name, version: .none, schemaURL: .none, droppedAttributes: 0)
            for _ in 0..<4_097 {
                builder.beginAttribute(name)
                builder.noValue()
            }
            let scope = builder.endScope()
            #expect(scope == nil)
        }
        #expect(builder.finish(sequence: 1).count == BatchHeader.byteCount)
    }

    @Test func `a text looked up again after it was undone is added again`() throws {
        var builder = BatchBuilder(producer: someProducer, isHostile: true)
        builder.begin(baseTime: 0)
        var recent = RecentText()
        let text = Array("gone".utf8)
        builder.beginLog(time: 1)
        let first = builder.ref(checking: text.span.bytes, recent: &recent)
        let again = builder.ref(checking: text.span.bytes, recent: &recent)
        builder.abandonRecord()
        let other = builder.ref("other")
        let second = builder.ref(checking: text.span.bytes, recent: &recent)
        #expect(first == again && first == other)
        #expect(second?.index == 2)
        let wrong = builder.ref(checking: [0xFF].span.bytes, recent: &recent)
        #expect(wrong == nil)
    }

    /// Tables grow and shrink as records come and are undone: what is left is what would be there without.
    @Test func `undone records leave the tables as they were`() throws {
        var random = SplitMix(state: 77)
        for round in 0..<20 {
            var plain = BatchBuilder(producer: someProducer, isHostile: round % 2 == 0)
            var busy = BatchBuilder(producer: someProducer, isHostile: round % 2 == 0)
            plain.begin(baseTime: 0)
            busy.begin(baseTime: 0)
            for _ in 0..<200 {
                let texts = (0..<Int.random(in: 0...9, using: &random)).map { _ in
                    "text \(Int.random(in: 0..<400, using: &random))"
                }
                let isKept = Bool.random(using: &random)
                busy.beginLog(time: 1, trace: TraceID(high: 1, low: UInt64(texts.count)))
                for text in texts {
                    let ref = busy.ref(text)
                    busy.attribute(ref, ref)
                }
                if !isKept {
                    busy.abandonRecord()
                    continue
                }
                busy.endRecord()
                plain.beginLog(time: 1, trace: TraceID(high: 1, low: UInt64(texts.count)))
                for text in texts {
                    let ref = plain.ref(text)
                    plain.attribute(ref, ref)
                }
                plain.endRecord()
            }
            #expect(busy.finish(sequence: 1) == plain.finish(sequence: 1))
        }
    }
}

private struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        return mixed ^ mixed >> 31
    }
}
