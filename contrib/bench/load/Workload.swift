import ByteCoding
import SystemIO
import TelemetryBatch

/// What coding agents emit, as ready frames: spans with four attributes, of which two are the same in
/// all spans of a session, one is one of a few texts, one is a number.
struct Workload {
    /// Spans in each batch.
    let spansPerBatch: Int
    /// Whether one more text of each span is unlike all others: what a call's id costs.
    let hasUniqueTexts: Bool

    private static let names = [
        "codex.tool", "codex.command", "codex.api_request", "codex.file", "codex.approval",
        "codex.turn",
    ]
    private static let subjects = [
        "shell", "apply_patch", "gpt-5-codex", "read_file", "on-request", "gpt-5",
    ]
    private static let subjectKeys = [
        "gen_ai.tool.name", "codex.command.name", "gen_ai.request.model", "codex.file.operation",
        "codex.approval.policy", "gen_ai.request.model",
    ]
    private static let numberKeys = [
        "codex.tool.output_bytes", "codex.command.exit_code", "gen_ai.usage.input_tokens",
        "codex.file.bytes", "codex.approval.wait_ms", "gen_ai.usage.output_tokens",
    ]

    /// Whole frames of one producer; the sequence is set when a frame is sent.
    func frames(producer: ProducerID, count: Int) -> [[UInt8]] {
        var generator = SystemRandomNumberGenerator()
        var builder = BatchBuilder(producer: producer)
        let session = ID128(random: &generator).hex
        return (0..<count).map { number in
            let base = Clocks.wall()
            builder.begin(baseTime: base, resource: resource)
            var trace = ID128.zero
            for index in 0..<spansPerBatch {
                // A turn with its calls is a trace.
                if index % 48 == 0 { trace = ID128(random: &generator) }
                let time = base + UInt64(index) * 40_000
                append(&builder, number &+ index, time, trace, session, &generator)
            }
            return Frame(type: .batch, body: builder.finish(sequence: 1)).encoded
        }
    }

    private var resource: Resource {
        Resource(attributes: [
            Attribute("service.name", .string("codex-cli")),
            Attribute("service.version", .string("0.163.0")),
            Attribute("host.arch", .string("amd64")),
            Attribute("os.type", .string("linux")),
        ])
    }

    private func append(
        _ builder: inout BatchBuilder, _ number: Int, _ time: UInt64, _ trace: TraceID,
        _ session: String, _ generator: inout SystemRandomNumberGenerator
    ) {
        let which = number % Self.names.count
        builder.beginSpan(
            name: builder.ref(Self.names[which]), kind: which == 2 ? .client : .internal,
            status: number % 50 == 0 ? .error : .ok, trace: trace,
            span: SpanID(random: &generator), parent: SpanID(random: &generator), start: time,
            duration: UInt64.random(in: 100_000...900_000_000, using: &generator))
        builder.attribute(builder.ref("session.id"), builder.ref(session))
        builder.attribute(builder.ref("originator"), builder.ref("codex_cli_rs"))
        if hasUniqueTexts {
            let call = "call_" + ID128(random: &generator).hex.prefix(24)
            builder.attribute(builder.ref("gen_ai.tool.call.id"), builder.ref(call))
        } else {
            builder.attribute(
                builder.ref(Self.subjectKeys[which]), builder.ref(Self.subjects[which]))
        }
        let amount = which == 1 ? 0 : Int64.random(in: 1...40_000, using: &generator)
        builder.attribute(builder.ref(Self.numberKeys[which]), amount)
        precondition(builder.endRecord() == .appended, "the batch is full: fewer spans in one")
    }
}

extension [UInt8] {
    private static var sequencePosition: Int { FrameHeader.byteCount + 24 }
    private static var baseTimePosition: Int { FrameHeader.byteCount + 32 }

    /// Makes a ready frame the next one: its sequence, its time, its checksum.
    mutating func stamp(sequence: UInt64, time: UInt64) {
        store(sequence, at: Self.sequencePosition)
        store(time, at: Self.baseTimePosition)
        let sum = crc32c(span.bytes.extracting(FrameHeader.byteCount...))
        store(sum, at: 8)
    }

    private mutating func store(_ value: some FixedWidthInteger, at position: Int) {
        var rest = value
        for index in 0..<(value.bitWidth / 8) {
            self[position + index] = UInt8(truncatingIfNeeded: rest)
            rest >>= 8
        }
    }
}
