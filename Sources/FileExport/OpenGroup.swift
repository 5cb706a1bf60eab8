import Export
import OTLPCodec
import SegmentLog
import TelemetryBatch

/// Whole batches that are written together: of each signal a request.
struct OpenGroup: ~Copyable {
    private var traces = OTLPEncoder(signal: .traces)
    private var logs = OTLPEncoder(signal: .logs)
    private var metrics = OTLPEncoder(signal: .metrics)
    /// What is settled once it survives loss of power.
    private(set) var parts: [(ticket: ExportLedger.Ticket, records: Int)] = []
    /// The last batch in it.
    private(set) var through: UInt64 = 0
    private(set) var openedNanoseconds: UInt64 = 0

    init() {}

    var isEmpty: Bool { parts.isEmpty }
    var byteCount: Int { traces.byteCount + logs.byteCount + metrics.byteCount }

    /// Takes a batch; how many of its records are in it.
    mutating func take(_ export: ExportBatch, nowNanoseconds: UInt64) -> Int {
        let count =
            traces.append(export.batch, ranges: export.ranges)
            + logs.append(export.batch, ranges: export.ranges)
            + metrics.append(export.batch, ranges: export.ranges)
        guard count > 0 else { return 0 }
        if isEmpty { openedNanoseconds = nowNanoseconds }
        parts.append((export.ticket, count))
        through = export.offset.rawValue
        return count
    }

    /// How many records of a batch a group would take.
    static func count(_ export: ExportBatch) -> Int {
        var count = 0
        var ranges = export.ranges[...]
        for place in export.batch.places {
            while let range = ranges.first, range.upperBound <= place.index { ranges.removeFirst() }
            guard let range = ranges.first else { break }
            if range.contains(place.index), place.isSpan || place.isLog || place.isPoint {
                count += 1
            }
        }
        return count
    }

    /// As it stands in the file.
    borrowing func bytes(_ format: FileExportConfiguration.Format) -> [UInt8] {
        var bytes: [UInt8] = []
        if traces.recordCount > 0 { Self.append(traces, format, to: &bytes) }
        if logs.recordCount > 0 { Self.append(logs, format, to: &bytes) }
        if metrics.recordCount > 0 { Self.append(metrics, format, to: &bytes) }
        return bytes
    }

    private static func append(
        _ encoder: borrowing OTLPEncoder, _ format: FileExportConfiguration.Format,
        to bytes: inout [UInt8]
    ) {
        switch format {
        case .json:
            bytes += encoder.bytes(.json)
            bytes.append(0x0A)
        case .protobuf:
            let message = encoder.bytes(.protobuf)
            withUnsafeBytes(of: UInt32(message.count).bigEndian) { bytes += $0 }
            bytes += message
        }
    }

    mutating func removeAll() {
        traces.removeAll()
        logs.removeAll()
        metrics.removeAll()
        parts = []
    }
}
