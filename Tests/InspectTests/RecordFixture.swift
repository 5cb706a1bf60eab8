import ByteCoding
import Meaning
import TelemetryBatch

@testable import Inspect
@testable import SegmentLog

/// 2026-11-21T14:00:00Z.
let fixtureTime: UInt64 = 1_795_269_600_000_000_000
let fixtureTrace = ID128(high: 0x4bf9_2f35_77b3_4da6, low: 0xa3ce_929d_0e0e_4736)

/// A batch of one producer: a tool that failed, a command, an event, a metric point.
func fixtureBatch(
    tool: String = "shell", start: UInt64 = fixtureTime, service: String = "codex-cli",
    trace: TraceID = fixtureTrace, sequence: UInt64 = 1
) -> [UInt8] {
    var builder = BatchBuilder(producer: ID128(high: 1, low: 2))
    builder.begin(
        baseTime: start,
        resource: Resource(attributes: [
            TelemetryBatch.Attribute("service.name", .string(service)),
            TelemetryBatch.Attribute("session.id", .string("11112222333344445555666677778888")),
            TelemetryBatch.Attribute("originator", .string("codex_cli_rs")),
        ]))
    builder.beginSpan(
        name: builder.ref("codex.tool"), kind: .internal, status: .error, trace: trace,
        span: SpanID(rawValue: 0xaa), start: start, duration: 1_240_000_000)
    builder.attribute(TelemetryBatch.Attribute("gen_ai.tool.name", .string(tool)))
    builder.attribute(TelemetryBatch.Attribute("error.type", .string("tool_failed")))
    builder.attribute(TelemetryBatch.Attribute("n", .int(3)))
    builder.attribute(TelemetryBatch.Attribute("n", .string("again")))
    builder.attribute(TelemetryBatch.Attribute("raw", .bytes([0, 255, 16])))
    _ = builder.endRecord()
    builder.beginSpan(
        name: builder.ref("codex.command"), kind: .internal, status: .ok, trace: trace,
        span: SpanID(rawValue: 0xbb), parent: SpanID(rawValue: 0xaa),
        start: start + 100_000_000, duration: 320_000_000)
    builder.attribute(TelemetryBatch.Attribute("process.executable.name", .string("make")))
    _ = builder.endRecord()
    builder.beginLog(
        time: start + 200_000_000, trace: trace, span: SpanID(rawValue: 0xaa), severity: 9,
        eventName: builder.ref("deploy.finished"))
    builder.body(.string("all is well"))
    _ = builder.endRecord()
    let metric = builder.index(
        of: Metric(
            kind: .sum, temporality: .delta, isMonotonic: true, name: "codex.tokens",
            unit: "{token}"))
    builder.beginNumber(metric: metric ?? 0, time: start + 300_000_000)
    builder.number(.int(42))
    _ = builder.endRecord()
    return builder.finish(sequence: sequence)
}

/// The entry that an agent would have made of a batch.
func fixtureEntry(_ payload: [UInt8], received: UInt64 = fixtureTime + 400_000_000) throws
    -> StoredEntry
{
    let batch = try Batch(payload)
    let envelope = Envelope(
        offset: LogOffset(segment: 3, position: 8256), nonce: 7, payloadBytes: payload.count,
        payloadCRC: crc32c(payload.span.bytes), received: received,
        peer: PeerIdentity(uid: 1000, gid: 1000, pid: 4711, startTicks: 99), receiver: 1, flags: 0,
        producer: batch.header.producer, sequence: batch.header.sequence, records: 4, spans: 2,
        logs: 1, earliest: fixtureTime, latest: fixtureTime + 300_000_000)
    return try StoredEntry(logID: ID128(high: 5, low: 6), envelope: envelope, payload: payload)
}

func fixtureRecords(_ filter: RecordFilter = RecordFilter(), tool: String = "shell") throws
    -> [StoredRecord]
{
    RecordSelection(filter).records(of: try fixtureEntry(fixtureBatch(tool: tool)))
}
