internal import ByteCoding
internal import SystemIO
internal import TelemetryBatch

/// Writes records into a batch as they come: `BatchBuilder` with this process's clock and names.
struct RecordEncoder: ~Copyable {
    private var builder: BatchBuilder
    /// Where the open record's next attribute goes.
    private var cursor = AttributeCursor()
    private var names = NameTable()
    private let resource: Resource
    /// Wall time less monotonic time, read at the batch's first record: a batch has one clock, and a
    /// step of the wall clock shows in the next batch.
    private var wallOffset: UInt64 = 0
    private(set) var counts = RecordCounts()

    init(resource: Resource) {
        self.resource = resource
        // The producer is known when the batch is sealed.
        builder = BatchBuilder(producer: .zero, bytesMax: Engine.shardBytesMax)
    }

    /// Records in the batch: counted here, since the builder's count is a call away.
    private(set) var recordCount = 0
    var byteCount: Int { builder.byteCount }
    /// The same as it was after the last record: costs nothing.
    var lastByteCount: Int { cursor.batchBytes }

    @inline(never)
    private mutating func beginBatch() {
        let wall = Clocks.wall()
        wallOffset = wall &- Clocks.monotonic()
        counts = RecordCounts()
        names.forget()
        builder.begin(baseTime: wall, resource: resource)
    }

    // MARK: - Spans and events

    @inline(__always)
    mutating func beginSpan(
        _ name: AttributeKey, _ context: borrowing TraceContext, start: UInt64, end: UInt64,
        kind: SpanKind, status: SpanStatus
    ) {
        if recordCount == 0 { beginBatch() }
        beginSpan(ref(name), context, start, end, kind, status)
    }

    /// The same with a name that is made at run time.
    mutating func beginSpan(
        dynamic name: String, _ context: borrowing TraceContext, start: UInt64, end: UInt64,
        kind: SpanKind, status: SpanStatus
    ) {
        if recordCount == 0 { beginBatch() }
        beginSpan(builder.ref(Self.cut(name)), context, start, end, kind, status)
    }

    @inline(__always)
    private mutating func beginSpan(
        _ name: TextRef, _ context: borrowing TraceContext, _ start: UInt64, _ end: UInt64,
        _ kind: SpanKind, _ status: SpanStatus
    ) {
        builder.beginSpan(
            name: name, kind: kind.forBatch, status: status.forBatch,
            trace: TelemetryBatch.TraceID(high: context.traceID.high, low: context.traceID.low),
            span: TelemetryBatch.SpanID(rawValue: context.spanID.rawValue),
            parent: TelemetryBatch.SpanID(rawValue: context.parentSpanID.rawValue),
            start: start &+ wallOffset, duration: end > start ? end &- start : 0,
            lending: &cursor)
    }

    mutating func beginLog(
        _ name: AttributeKey, _ context: borrowing TraceContext?, time: UInt64,
        severity: Severity, body: String
    ) {
        if recordCount == 0 { beginBatch() }
        beginLog(ref(name), context, time, severity, body)
    }

    /// The same with a name that is made at run time.
    mutating func beginLog(
        dynamic name: String, _ context: borrowing TraceContext?, time: UInt64,
        severity: Severity, body: String
    ) {
        if recordCount == 0 { beginBatch() }
        beginLog(builder.ref(Self.cut(name)), context, time, severity, body)
    }

    private mutating func beginLog(
        _ name: TextRef, _ context: borrowing TraceContext?, _ time: UInt64, _ severity: Severity,
        _ body: String
    ) {
        var trace = TelemetryBatch.TraceID.zero
        var span = TelemetryBatch.SpanID.zero
        if let context = copy context {
            trace = TelemetryBatch.TraceID(high: context.traceID.high, low: context.traceID.low)
            span = TelemetryBatch.SpanID(rawValue: context.spanID.rawValue)
        }
        builder.beginLog(
            time: time &+ wallOffset, trace: trace, span: span, severity: severity.rawValue,
            eventName: name)
        if !body.isEmpty { builder.body(builder.ref(Self.cut(body))) }
    }

    /// W3C `tracestate`: after the attributes.
    mutating func traceState(_ state: String) {
        if state.isEmpty { return }
        builder.park(&cursor)
        builder.traceState(builder.ref(state))
    }

    /// Ends a span. False: it passed a limit or found no room, and left no trace.
    @inline(__always)
    mutating func endSpan() -> Bool {
        guard end() else { return false }
        counts.spans &+= 1
        return true
    }

    /// Ends an event, likewise.
    mutating func endLog() -> Bool {
        guard end() else { return false }
        counts.logs &+= 1
        return true
    }

    private mutating func endPoint() -> Bool {
        guard end() else { return false }
        counts.points &+= 1
        return true
    }

    @inline(__always)
    private mutating func end() -> Bool {
        guard case .appended = builder.endRecord(&cursor) else {
            // What the record added to the string table is gone again.
            names.forget()
            return false
        }
        recordCount &+= 1
        return true
    }

    // MARK: - Attributes

    @inline(__always)
    mutating func set(_ key: AttributeKey, _ value: String) {
        let key = ref(key)
        set(key, ref(value))
    }

    @inline(__always)
    mutating func set(_ key: AttributeKey, literal value: AttributeKey) {
        let key = ref(key)
        set(key, ref(value))
    }

    @inline(__always)
    mutating func set(_ key: AttributeKey, _ value: Int64) { set(ref(key), value) }
    @inline(__always)
    mutating func set(_ key: AttributeKey, _ value: Double) { set(ref(key), value) }
    @inline(__always)
    mutating func set(_ key: AttributeKey, _ value: Bool) { set(ref(key), value) }

    mutating func set(_ key: AttributeKey, _ value: AttributeValue) {
        set(ref(key), value)
    }

    mutating func set(dynamic key: String, _ value: AttributeValue) {
        set(builder.ref(Self.cut(key)), value)
    }

    private mutating func set(_ key: TextRef, _ value: AttributeValue) {
        switch value {
        case .string(let text): set(key, builder.ref(Self.cut(text)))
        case .int(let value): set(key, value)
        case .double(let value): set(key, value)
        case .bool(let value): set(key, value)
        case .array:
            builder.park(&cursor)
            builder.attribute(key, value.forBatch)
        }
    }

    // What finds no room gets some from the builder, at the first turn: what it lends is enough.

    @inline(__always)
    private mutating func set(_ key: TextRef, _ value: TextRef) {
        while !cursor.append(key, value) { builder.lend(to: &cursor) }
    }

    @inline(__always)
    private mutating func set(_ key: TextRef, _ value: Int64) {
        while !cursor.append(key, value) { builder.lend(to: &cursor) }
    }

    @inline(__always)
    private mutating func set(_ key: TextRef, _ value: Double) {
        while !cursor.append(key, value) { builder.lend(to: &cursor) }
    }

    @inline(__always)
    private mutating func set(_ key: TextRef, _ value: Bool) {
        while !cursor.append(key, value) { builder.lend(to: &cursor) }
    }

    @inline(__always)
    private mutating func ref(_ text: String) -> TextRef {
        let bits = TextBits(text)
        if let known = names.find(bits) { return known }
        return add(text, bits)
    }

    @inline(never)
    private mutating func add(_ text: String, _ bits: TextBits) -> TextRef {
        let ref = builder.ref(Self.cut(text))
        // The builder counts how often long ones are asked for.
        if text.utf8.count < BatchBuilder.longTextBytes { names.insert(bits, ref) }
        return ref
    }

    @inline(__always)
    private mutating func ref(_ name: AttributeKey) -> TextRef {
        names.find(name) ?? add(name)
    }

    @inline(never)
    private mutating func add(_ name: AttributeKey) -> TextRef {
        let ref = builder.ref(utf8: UnsafeRawBufferPointer(name.bytes))
        if name.count < BatchBuilder.longTextBytes { names.insert(name, ref) }
        return ref
    }

    /// At most the longest text, cut at a character.
    private static func cut(_ text: String) -> String {
        guard text.utf8.count > AttributeWriter.textBytesMax else { return text }
        var end = text.utf8.index(text.startIndex, offsetBy: AttributeWriter.textBytesMax)
        while end.samePosition(in: text) == nil { end = text.utf8.index(before: end) }
        return String(text[..<end])
    }

    // MARK: - Metric points

    /// Appends one interval's aggregate; false if it found no room.
    mutating func append(_ point: Point, of instrument: Instrument, start: UInt64, time: UInt64)
        -> Bool
    {
        if recordCount == 0 { beginBatch() }
        guard let metric = builder.index(of: instrument.forBatch) else { return false }
        switch point.value {
        case .sum(let sum):
            builder.beginNumber(metric: metric, time: time, startTime: start)
            set(point.attributes)
            builder.number(.int(sum))
        case .last(let value):
            builder.beginNumber(metric: metric, time: time)
            set(point.attributes)
            builder.number(.double(value))
        case .distribution(let histogram):
            builder.beginExponential(
                metric: metric, time: time, startTime: start, count: histogram.count,
                scale: histogram.scale, zeroCount: histogram.zeroCount)
            set(point.attributes)
            builder.totals(
                sum: histogram.sum, min: histogram.count > 0 ? histogram.minimum : nil,
                max: histogram.count > 0 ? histogram.maximum : nil)
            builder.exponentialBuckets(
                positive: histogram.positive.forBatch, negative: histogram.negative.forBatch)
        }
        return endPoint()
    }

    private mutating func set(_ attributes: [Attribute]) {
        for attribute in attributes { set(dynamic: attribute.key, attribute.value) }
        builder.park(&cursor)
    }

    // MARK: - The batch

    /// The batch as a frame, with this header. The encoder is empty after it.
    mutating func seal(_ header: SealHeader) -> OutgoingBatch {
        if recordCount == 0 { beginBatch() }
        builder.producer = header.producer
        let dropped = DroppedCounts(
            spans: UInt32(clamping: header.dropped.spans),
            logs: UInt32(clamping: header.dropped.logs),
            points: UInt32(clamping: header.dropped.points))
        var output = ByteWriter(capacity: builder.byteCount + FrameHeader.byteCount)
        output.write(zeros: FrameHeader.byteCount)
        builder.finish(
            sequence: header.sequence, samplingThreshold: header.threshold, dropped: dropped,
            into: &output)
        let frame = FrameHeader(
            type: .batch, body: output.span.extracting(FrameHeader.byteCount...))
        output.patch(uint32: frame.length, at: 0)
        output.patch(uint8: frame.type.rawValue, at: 4)
        output.patch(uint32: frame.checksum, at: 8)
        let sealed = OutgoingBatch(
            sequence: header.sequence, frame: output.bytes, records: counts)
        builder.reset()
        names.forget()
        counts = RecordCounts()
        recordCount = 0
        return sealed
    }
}

/// What a batch's header says beside its records.
struct SealHeader {
    var producer: ID128
    var sequence: UInt64
    var threshold: UInt64
    var dropped: RecordCounts
}

extension SpanKind {
    /// The codec's form of it: the same numbers.
    @inline(__always)
    fileprivate var forBatch: TelemetryBatch.SpanKind {
        switch self {
        case .unspecified: .unspecified
        case .internal: .internal
        case .server: .server
        case .client: .client
        case .producer: .producer
        case .consumer: .consumer
        }
    }
}

extension SpanStatus {
    /// The codec's form of it: the same numbers.
    @inline(__always)
    fileprivate var forBatch: TelemetryBatch.SpanStatus {
        switch self {
        case .unset: .unset
        case .ok: .ok
        case .error: .error
        }
    }
}

extension Instrument {
    fileprivate var forBatch: Metric {
        switch kind {
        case .counter:
            Metric(
                kind: .sum, temporality: .delta, isMonotonic: true, name: name,
                description: description, unit: unit)
        case .gauge: Metric(kind: .gauge, name: name, description: description, unit: unit)
        case .histogram:
            Metric(
                kind: .exponentialHistogram, temporality: .delta, name: name,
                description: description, unit: unit)
        }
    }
}

extension ExponentialHistogram.Buckets {
    fileprivate var forBatch: ExponentialSide? {
        isEmpty ? nil : ExponentialSide(offset: offset, counts: counts)
    }
}
