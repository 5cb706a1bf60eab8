import ByteCoding
import Testing

@testable import TelemetryBatch

/// What is written through a lent cursor is byte for byte what the builder writes itself.
@Suite struct AttributeCursorTests {
    private static let trace = TraceID(high: 7, low: 9)

    private func begun() -> BatchBuilder {
        var builder = BatchBuilder(producer: ProducerID(high: 1, low: 2))
        builder.begin(baseTime: 1_000)
        return builder
    }

    private func plainSpan(_ builder: inout BatchBuilder, _ parent: UInt64) {
        builder.beginSpan(
            name: builder.ref("name"), kind: .internal, status: .ok, trace: Self.trace,
            span: SpanID(rawValue: 3), parent: SpanID(rawValue: parent), start: 900,
            duration: 12_345)
    }

    private func lentSpan(
        _ builder: inout BatchBuilder, _ parent: UInt64, _ cursor: inout AttributeCursor
    ) {
        builder.beginSpan(
            name: builder.ref("name"), kind: .internal, status: .ok, trace: Self.trace,
            span: SpanID(rawValue: 3), parent: SpanID(rawValue: parent), start: 900,
            duration: 12_345, lending: &cursor)
    }

    /// One attribute of each kind in turn; `cursor` nil: by the builder itself.
    private func write(
        _ number: Int, _ builder: inout BatchBuilder, _ cursor: inout AttributeCursor
    ) {
        let key = builder.ref("key \(number)")
        let text = builder.ref("text \(number % 3)")
        let integer = Int64.min / Int64(number + 1)
        func append() -> Bool {
            switch number & 3 {
            case 0: cursor.append(key, text)
            case 1: cursor.append(key, integer)
            case 2: cursor.append(key, Double(number) / 3)
            default: cursor.append(key, number & 4 == 0)
            }
        }
        if append() { return }
        builder.lend(to: &cursor)
        #expect(append())
    }

    private func write(_ number: Int, _ builder: inout BatchBuilder) {
        let key = builder.ref("key \(number)")
        let text = builder.ref("text \(number % 3)")
        switch number & 3 {
        case 0: builder.attribute(key, text)
        case 1: builder.attribute(key, Int64.min / Int64(number + 1))
        case 2: builder.attribute(key, Double(number) / 3)
        default: builder.attribute(key, number & 4 == 0)
        }
    }

    @Test(arguments: [0, 1, 4, 21, 127, 128, 1_000, 4_096])
    func `spans through a cursor have the same bytes`(attributes: Int) throws {
        var plain = begun()
        var lent = begun()
        var cursor = AttributeCursor()
        for parent in [0, 5, 0] as [UInt64] {
            plainSpan(&plain, parent)
            lentSpan(&lent, parent, &cursor)
            for number in 0..<attributes {
                write(number, &plain)
                write(number, &lent, &cursor)
            }
            #expect(plain.endRecord() == .appended)
            #expect(lent.endRecord(&cursor) == .appended)
            let (told, counted) = (cursor.batchBytes, lent.byteCount)
            #expect(told == counted)
        }
        let bytes = lent.finish(sequence: 4)
        #expect(bytes == plain.finish(sequence: 4))
        let batch = try Batch(bytes)
        #expect(batch.header.recordCount == 3)
    }

    @Test func `nested values and later fields stand between and behind loans`() throws {
        var plain = begun()
        var lent = begun()
        var cursor = AttributeCursor()
        let nested = AttributeValue.array([.int(1), .string("two")])
        plainSpan(&plain, 0)
        lentSpan(&lent, 0, &cursor)
        write(0, &plain)
        write(0, &lent, &cursor)
        plain.attribute(plain.ref("nested"), nested)
        lent.park(&cursor)
        lent.attribute(lent.ref("nested"), nested)
        write(1, &plain)
        write(1, &lent, &cursor)
        plain.traceState(plain.ref("a=b"))
        lent.park(&cursor)
        lent.traceState(lent.ref("a=b"))
        #expect(plain.endRecord() == .appended)
        #expect(lent.endRecord(&cursor) == .appended)
        // Without attributes, with a later field.
        plainSpan(&plain, 1)
        lentSpan(&lent, 1, &cursor)
        plain.traceState(plain.ref("a=b"))
        lent.park(&cursor)
        lent.traceState(lent.ref("a=b"))
        #expect(plain.endRecord() == .appended)
        #expect(lent.endRecord(&cursor) == .appended)
        // An event's attributes are lent on demand.
        plain.beginLog(time: 1_001, eventName: plain.ref("event"))
        lent.beginLog(time: 1_001, eventName: lent.ref("event"))
        write(2, &plain)
        write(2, &lent, &cursor)
        #expect(plain.endRecord() == .appended)
        #expect(lent.endRecord(&cursor) == .appended)
        let bytes = lent.finish(sequence: 1)
        #expect(bytes == plain.finish(sequence: 1))
        _ = try Batch(bytes)
    }

    @Test func `a record past a limit leaves nothing of a loan`() throws {
        var plain = begun()
        var lent = begun()
        var cursor = AttributeCursor()
        lentSpan(&lent, 0, &cursor)
        for number in 0...BatchLimits.attributesMax { write(number, &lent, &cursor) }
        #expect(lent.endRecord(&cursor) == .refused)
        let kept = lent.recordCount
        #expect(kept == 0)
        let key = lent.ref("key 1")
        let isTaken = cursor.append(key, true)
        #expect(!isTaken)
        lent.abandonRecord()
        plainSpan(&plain, 0)
        write(1, &plain)
        lentSpan(&lent, 0, &cursor)
        write(1, &lent, &cursor)
        #expect(plain.endRecord() == .appended)
        #expect(lent.endRecord(&cursor) == .appended)
        #expect(lent.finish(sequence: 1) == plain.finish(sequence: 1))
    }
}
