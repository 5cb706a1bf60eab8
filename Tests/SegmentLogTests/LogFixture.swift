import ByteCoding
import SystemIO

@testable import SegmentLog

/// A batch as a test hands it over: the payload says who and which it is.
func request(
    _ sequence: UInt64, producer: UInt64 = 1, uid: UInt32 = 1000, bytes: Int = 40,
    records: UInt32 = 2, time: UInt64 = 0, traces: [ID128] = [], stream: AppendStream? = nil
) -> AppendRequest {
    var payload = Array("\(uid)/\(producer)/\(sequence)/".utf8)
    while payload.count < bytes { payload.append(UInt8(truncatingIfNeeded: payload.count)) }
    return AppendRequest(
        payload: payload, payloadCRC: crc32c(payload.span.bytes),
        peer: PeerIdentity(uid: uid, gid: 100, pid: 77, startTicks: 5), receiver: .socket,
        producer: ID128(high: 9, low: producer), sequence: sequence, records: records,
        spans: records, logs: 0, earliest: time, latest: time, traceIDs: traces, stream: stream)
}

/// Small limits, so that every limit is reachable.
func smallLimits(cap: UInt64 = 1 << 20, segment: Int = 2048) -> LogLimits {
    var limits = LogLimits(capBytes: cap, space: StorageSpace(total: 1 << 30, available: 1 << 30))
    limits.segmentBytes = segment
    limits.allocationBytes = 512
    limits.reserveBytes = 4096
    limits.dedupeMax = 64
    limits.dedupePerUIDMax = 16
    return limits
}

/// What a reader finds from a place on.
struct Found {
    var batches: [StoredBatch] = []
    var damaged: [DamagedRange] = []
    var missed: [MissedRange] = []

    var texts: [String] {
        batches.map { batch in
            let parts = batch.payload.split(separator: UInt8(ascii: "/")).prefix(3)
            return parts.map { String(decoding: $0, as: UTF8.self) }.joined(separator: "/")
        }
    }
}

func readAll(_ state: any Storage, at start: ReadStart = .beginning) throws -> Found {
    let reader = try LogReader(state: state, at: start)
    return try readOn(reader)
}

func readOn(_ reader: LogReader) throws -> Found {
    var found = Found()
    while let item = try reader.next() {
        switch item {
        case .batch(let batch): found.batches.append(batch)
        case .damaged(let range): found.damaged.append(range)
        case .missed(let range): found.missed.append(range)
        }
    }
    return found
}

extension LogWriter {
    /// Appends one and says where; nil for a duplicate.
    @discardableResult
    func store(_ request: AppendRequest) throws -> LogOffset? {
        switch try append([request])[0].get() {
        case .stored(let offset): offset
        case .duplicate: nil
        }
    }
}
