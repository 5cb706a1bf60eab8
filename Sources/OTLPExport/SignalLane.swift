import ByteCoding
import Compression
import Export
import OTLPCodec
import SegmentLog
import TelemetryBatch

/// Records of a batch in a request.
struct RequestPart {
    let ticket: ExportLedger.Ticket
    let records: Int
    /// Before its first record.
    let begin: AnsweredPlace
    /// Behind its last record; nil if the rest of the batch's are in the next request, and where they begin is not known.
    let end: AnsweredPlace?
    /// Records of the same part that were refused in a request before.
    var refusedBefore = 0

    /// The first so many records, and the others.
    func split(at count: Int) -> (RequestPart, RequestPart) {
        let middle = place(behind: count)
        return (
            RequestPart(ticket: ticket, records: count, begin: begin, end: middle),
            RequestPart(
                ticket: ticket, records: records - count, begin: middle ?? begin, end: end,
                refusedBefore: refusedBefore)
        )
    }

    /// Behind so many of its records; nil where others stand between them, so that counting does not tell.
    private func place(behind count: Int) -> AnsweredPlace? {
        guard let end, Int(end.index) - Int(begin.index) == records else { return nil }
        return AnsweredPlace(offset: end.offset, index: begin.index + UInt32(count))
    }
}

/// A request that waits for its turn, or for its answer.
struct SealedRequest {
    let body: [UInt8]
    var parts: [RequestPart]

    var records: Int { parts.reduce(0) { $0 + $1.records } }
}

/// The requests of one signal: one that takes records, those that are whole, the first of which is on its way.
/// Another signal's trouble does not hold them up.
final class SignalLane {
    let signal: OTLPSignal
    let url: String?
    private(set) var sealed: [SealedRequest] = []
    var isInFlight = false
    var retry: RetryState
    /// Why the first request has not been taken yet; nil if it was not tried, or all is well.
    var problem: String?
    private let configuration: OTLPExportConfiguration
    private var encoder: OTLPEncoder
    private var parts: [RequestPart] = []
    private var openedNanoseconds: UInt64 = 0
    private let compressor: Compressor?
    /// Records in a request: fewer after one that was too large, and slowly more again.
    private var recordsMax: Int

    init(_ signal: OTLPSignal, _ configuration: OTLPExportConfiguration) {
        self.signal = signal
        self.configuration = configuration
        url = configuration.endpoints[signal]
        recordsMax = configuration.recordsMax
        retry = RetryState(configuration.retry)
        encoder = OTLPEncoder(signal: signal, mark: configuration.mark)
        do throws(CompressionError) {
            compressor = configuration.isCompressed && url != nil ? try Compressor() : nil
        } catch {
            // Without memory for its tables requests go as they are.
            compressor = nil
        }
    }

    /// Bytes that wait.
    var bytes: Int { encoder.byteCount + sealed.reduce(0) { $0 + $1.body.count } }

    /// How many more records the open request takes, at least one.
    var room: Int { max(recordsMax - encoder.recordCount, 1) }

    /// Whether all is settled.
    var isEmpty: Bool { parts.isEmpty && sealed.isEmpty }

    /// Takes the records of its signal in ranges of the batch, at least one; how many those are. Without an endpoint
    /// they are only counted.
    func take(_ export: ExportBatch, _ ranges: [Range<Int>], nowNanoseconds: UInt64) -> Int {
        let count = encoder.append(export.batch, ranges: ranges)
        guard url != nil else {
            encoder.removeAll()
            return count
        }
        guard count > 0 else { return 0 }
        if parts.isEmpty { openedNanoseconds = nowNanoseconds }
        let offset = export.offset.rawValue
        var records = count
        var begin = AnsweredPlace(offset: offset, index: UInt32(ranges[0].lowerBound))
        if let last = parts.last, last.ticket == export.ticket {
            (records, begin) = (records + last.records, last.begin)
            parts.removeLast()
        }
        let end = AnsweredPlace(offset: offset, index: UInt32(ranges[ranges.count - 1].upperBound))
        parts.append(
            RequestPart(ticket: export.ticket, records: records, begin: begin, end: end))
        if encoder.recordCount >= recordsMax
            || encoder.byteCount >= configuration.bytesMax
        {
            seal()
        }
        return count
    }

    /// How many records of its signal among the exporter's a batch has below an index.
    func count(_ export: ExportBatch, below index: Int) -> Int {
        var count = 0
        var ranges = export.ranges[...]
        for place in export.batch.places {
            while let range = ranges.first, range.upperBound <= place.index { ranges.removeFirst() }
            guard place.index < index, let range = ranges.first else { break }
            let isMine =
                switch signal {
                case .traces: place.isSpan
                case .logs: place.isLog
                case .metrics: place.isPoint
                }
            if isMine, range.contains(place.index) { count += 1 }
        }
        return count
    }

    /// How long the open request may take more records, nil if there is none, or if another goes before it: until
    /// that is answered it takes what comes, so that a backend that was away does not get many small ones.
    func openNanoseconds(now: UInt64) -> UInt64? {
        if parts.isEmpty || !sealed.isEmpty { return nil }
        let end = openedNanoseconds &+ nanoseconds(of: configuration.flushInterval)
        return end > now ? end - now : 0
    }

    /// Makes the open request whole, if there is one.
    func seal() {
        if parts.isEmpty { return }
        sealed.append(SealedRequest(body: packed(encoder), parts: parts))
        parts = []
        encoder.removeAll()
    }

    private func packed(_ encoder: borrowing OTLPEncoder) -> [UInt8] {
        // Protobuf is packed from where it stands.
        if configuration.encoding == .protobuf, let packed = compressor?.gzip(encoder.protobuf) {
            return packed
        }
        let plain = encoder.bytes(configuration.encoding)
        return compressor?.gzip(plain.span.bytes) ?? plain
    }

    /// The first request is dealt with.
    func removeFirst() -> SealedRequest {
        if recordsMax < configuration.recordsMax {
            recordsMax = min(recordsMax + max(recordsMax / 16, 1), configuration.recordsMax)
        }
        return sealed.removeFirst()
    }

    /// Records of the first request's last part were refused, and the rest of that part comes next.
    func carry(refused: Int) {
        guard sealed.first?.parts.isEmpty == false else { return }
        sealed[0].parts[0].refusedBefore += refused
    }

    // MARK: Splitting

    /// Makes two requests of the first, which is too large for the backend; false if it has one record, or
    /// cannot be taken apart.
    func splitFirst() -> Bool {
        guard let first = sealed.first, first.records > 1 else { return false }
        let half = first.records / 2
        recordsMax = half
        guard let halves = halves(of: first.body, at: half) else { return false }
        var parts: (first: [RequestPart], second: [RequestPart]) = ([], [])
        var left = half
        for part in first.parts {
            if part.records <= left {
                parts.first.append(part)
            } else if left == 0 {
                parts.second.append(part)
            } else {
                let (head, tail) = part.split(at: left)
                parts.first.append(head)
                parts.second.append(tail)
            }
            left -= min(left, part.records)
        }
        sealed[0] = SealedRequest(body: halves.second, parts: parts.second)
        sealed.insert(SealedRequest(body: halves.first, parts: parts.first), at: 0)
        return true
    }

    /// Bodies with the first so many records of one, and with the others.
    private func halves(of body: [UInt8], at count: Int) -> (first: [UInt8], second: [UInt8])? {
        let limit = OTLP.requestBatchBytesMax * 4
        var batches: [Batch] = []
        do {
            let plain =
                compressor == nil
                ? body : try Decompressor().gunzip(body.span.bytes, limit: limit)
            // One resource after the other, so that records keep their order.
            let resources = try OTLPRequest.resources(
                of: plain, signal, configuration.encoding)
            var decoder = OTLPDecoder(requestBytesMax: limit)
            for bytes in resources {
                let request = try decoder.decode(
                    bytes.span.bytes, signal: signal, encoding: .protobuf,
                    producer: ProducerID(high: 0, low: 1), sequence: 1)
                // Our own requests hold nothing that is left out.
                guard request.rejections.total == 0, request.unknownFields.total == 0 else {
                    return nil
                }
                for found in request.batches { batches.append(try Batch(found.payload)) }
            }
        } catch {
            return nil
        }
        var first = OTLPEncoder(signal: signal, mark: configuration.mark)
        var second = OTLPEncoder(signal: signal, mark: configuration.mark)
        var left = count
        for batch in batches {
            let records = Int(batch.header.recordCount)
            let taken = min(left, records)
            if taken > 0 { first.append(batch, records: 0..<taken) }
            if taken < records { second.append(batch, records: taken..<records) }
            left -= taken
        }
        return (packed(first), packed(second))
    }

    /// What goes out next.
    var outgoing: OutgoingRequest? {
        guard let first = sealed.first, let url else { return nil }
        var headers = configuration.headers
        headers.append(.init(name: "Content-Type", value: configuration.encoding.mediaType))
        if compressor != nil { headers.append(.init(name: "Content-Encoding", value: "gzip")) }
        headers.append(.init(name: "User-Agent", value: "codex-telemetryd"))
        return OutgoingRequest(signal: signal, url: url, headers: headers, body: first.body)
    }

    /// The end of a file's name that says what is in it.
    var suffix: String {
        let kind = configuration.encoding == .json ? "json" : "pb"
        return "\(signal.rawValue).\(kind)\(compressor == nil ? "" : ".gz")"
    }
}
