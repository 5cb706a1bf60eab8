import ByteCoding
import SegmentLog
import SystemIO
import TelemetryBatch

/// A log of three segments with a few batches each, by the real writer.
enum SmallLog {
    static let producers: [(uid: UInt32, producer: ID128)] = [
        (1000, ID128(high: 0x1111, low: 0xAAAA)), (1001, ID128(high: 0x2222, low: 0xBBBB)),
    ]

    static var limits: LogLimits {
        var limits = LogLimits(
            capBytes: 1 << 20, space: StorageSpace(total: 1 << 30, available: 1 << 30))
        // Three batches fill a segment.
        limits.segmentBytes = 1000
        limits.allocationBytes = 256
        limits.reserveBytes = 0
        limits.dedupeMax = 64
        limits.dedupePerUIDMax = 16
        return limits
    }

    /// Two sealed segments, and one that is sealed too if `orderly`, else as a killed agent leaves it.
    static func make(at path: String, orderly: Bool) throws {
        let log = try LogWriter(state: try DirectoryStorage(creating: path), limits: limits)
        // The middle of the last segment is synced: what is damaged above and below differs.
        for number in 0..<9 {
            let (uid, producer) = producers[number % 2]
            let request = request(
                uid: uid, producer: producer, sequence: UInt64(number / 2 + 1),
                records: number % 3 + 1)
            _ = try log.append([request])[0].get()
            if number < 8 { try log.sync() }
        }
        if orderly { try log.close() }
    }

    /// A batch of spans.
    static func request(
        uid: UInt32, producer: ID128, sequence: UInt64, records: Int, attributeBytes: Int = 0
    ) -> AppendRequest {
        var builder = BatchBuilder(producer: producer)
        let base = Clocks.wall()
        builder.begin(baseTime: base)
        let trace = ID128(high: 7, low: sequence)
        let filling = String(repeating: "x", count: attributeBytes)
        for index in 0..<records {
            builder.beginSpan(
                name: builder.ref("codex.tool"), kind: .internal, status: .ok, trace: trace,
                span: SpanID(rawValue: UInt64(index) + 1), start: base, duration: 1_000_000)
            if attributeBytes > 0 {
                builder.attribute(builder.ref("filling"), builder.ref("\(index)" + filling))
            }
            precondition(builder.endRecord() == .appended)
        }
        let payload = builder.finish(sequence: sequence)
        return AppendRequest(
            payload: payload, payloadCRC: crc32c(payload.span.bytes),
            peer: PeerIdentity(uid: uid, gid: 100, pid: 77, startTicks: 5), receiver: .socket,
            producer: producer, sequence: sequence, records: UInt32(records),
            spans: UInt32(records), logs: 0, earliest: base, latest: base + 1_000_000,
            traceIDs: [trace])
    }
}
