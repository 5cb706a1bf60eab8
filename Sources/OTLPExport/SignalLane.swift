import Compression
import Export
import OTLPCodec
import SegmentLog
import TelemetryBatch

/// Records of a batch in a request.
struct RequestPart {
    let ticket: ExportLedger.Ticket
    let records: Int
    /// Behind its last record.
    let end: AnsweredPlace
}

/// A request that waits for its turn, or for its answer.
struct SealedRequest {
    let body: [UInt8]
    let parts: [RequestPart]

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

    init(_ signal: OTLPSignal, _ configuration: OTLPExportConfiguration) {
        self.signal = signal
        self.configuration = configuration
        url = configuration.endpoints[signal]
        retry = RetryState(configuration.retry)
        encoder = OTLPEncoder(signal: signal)
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
    var room: Int { configuration.recordsMax - encoder.recordCount }

    /// Whether all is settled.
    var isEmpty: Bool { parts.isEmpty && sealed.isEmpty }

    /// Takes the records of its signal in a range of the batch; how many those are. Without an endpoint they
    /// are only counted.
    func take(_ export: ExportBatch, _ range: Range<Int>, nowNanoseconds: UInt64) -> Int {
        let count = encoder.append(export.batch, records: range)
        guard url != nil else {
            encoder.removeAll()
            return count
        }
        guard count > 0 else { return 0 }
        if parts.isEmpty { openedNanoseconds = nowNanoseconds }
        var records = count
        if let last = parts.last, last.ticket == export.ticket {
            records += last.records
            parts.removeLast()
        }
        let end = AnsweredPlace(
            offset: export.offset.rawValue, index: UInt32(range.upperBound))
        parts.append(RequestPart(ticket: export.ticket, records: records, end: end))
        if encoder.recordCount >= configuration.recordsMax
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

    /// How long the open request may take more records, nil if there is none.
    func openNanoseconds(now: UInt64) -> UInt64? {
        if parts.isEmpty { return nil }
        let end = openedNanoseconds &+ nanoseconds(of: configuration.flushInterval)
        return end > now ? end - now : 0
    }

    /// Makes the open request whole, if there is one.
    func seal() {
        if parts.isEmpty { return }
        let plain = encoder.bytes(configuration.encoding)
        sealed.append(
            SealedRequest(body: compressor?.gzip(plain.span.bytes) ?? plain, parts: parts))
        parts = []
        encoder.removeAll()
    }

    /// The first request is dealt with.
    func removeFirst() -> SealedRequest { sealed.removeFirst() }

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

extension OTLPEncoding {
    /// As in `Content-Type`.
    fileprivate var mediaType: String {
        switch self {
        case .protobuf: "application/x-protobuf"
        case .json: "application/json"
        }
    }
}
