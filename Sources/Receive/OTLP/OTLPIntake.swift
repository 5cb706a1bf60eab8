internal import ByteCoding
internal import Compression
internal import Logging
internal import NIOCore
internal import OTLPCodec
internal import SegmentLog
internal import SystemIO
internal import TelemetryBatch

/// What became of a request.
enum OTLPVerdict: Sendable {
    /// All that it held is in the log, but for records that were left out one by one.
    case stored(Rejections)
    /// It is not a request: nothing of it was taken.
    case malformed(OTLPError)
    /// It holds more than so many bytes once decompressed: nothing of it was taken.
    case tooLarge(Int)
    /// It cannot be decompressed: nothing of it was taken.
    case damaged(CompressionError)
    /// There is no room for it now: nothing of it was taken.
    case busy
    /// The log cannot take more now, or not at all.
    case failed(WireError)
}

/// From the bytes of OTLP requests to appended batches, for all connections of a receiver. Everything runs
/// on its event loop.
///
/// OTLP has no batch id: what a sender sends twice is stored twice.
final class OTLPIntake: Sendable {
    let eventLoop: any EventLoop
    let log: GroupCommit
    let admission: Admission
    let ledger: IntakeLedger
    let counts = OTLPLedger()
    let logger: Logger

    /// How long a request waits for room in the log's queue, which empties within milliseconds. A sender
    /// must never wait on us.
    static let queueNanoseconds: UInt64 = 250_000_000

    /// Requests on their way to the log, by number.
    private final class State {
        var decoder: OTLPDecoder
        /// Shared by the connections: the tables are large, and one body is decompressed at a time.
        let decompressor: Decompressor
        var sequence: UInt64 = 1
        var requests: [UInt64: Request] = [:]
        var numbers: UInt64 = 0

        init(_ limits: OTLPLimits, _ mark: HopMark) throws(CompressionError) {
            decompressor = try Decompressor()
            decoder = OTLPDecoder(requestBytesMax: limits.batchBytesMax, ownMark: mark)
        }
    }

    /// A request's body as it was sent.
    struct Sent {
        let bytes: ByteBuffer
        let isGzip: Bool
        /// Of what it holds once decompressed.
        let bytesMax: Int
    }

    private struct Request {
        let completion: (OTLPVerdict) -> Void
        let rejections: Rejections
        /// Batches that the log's queue had no room for yet.
        var backlog: [AppendRequest]
        var summaries: [BatchSummary]
        var waiting: Int
        var failure: WireError?
        let deadline: UInt64
        let bytes: Int
    }

    private struct Letter: Sendable {
        let request: UInt64
        let summary: BatchSummary
        let outcome: SettledOutcome
    }

    private let producer: ProducerID
    private let state: NIOLoopBound<State>
    private let mailbox: Mailbox<Letter>

    /// Must be made on the event loop.
    init(
        eventLoop: any EventLoop, log: GroupCommit, admission: Admission, ledger: IntakeLedger,
        limits: OTLPLimits, logger: Logger
    ) throws(CompressionError) {
        self.eventLoop = eventLoop
        self.log = log
        self.admission = admission
        self.ledger = ledger
        self.logger = logger
        producer = ProducerID.random()
        let state = NIOLoopBound(
            try State(limits, HopMark(log: log.logID)), eventLoop: eventLoop)
        self.state = state
        let settle = NIOLoopBoundBox<(([Letter]) -> Void)?>(nil, eventLoop: eventLoop)
        mailbox = Mailbox(eventLoop: eventLoop) { letters in settle.value?(letters) }
        settle.value = { [weak self] letters in self?.settle(letters) }
    }

    /// Decompresses what was sent, if it is gzip, and takes it as the function below does.
    func take(
        _ sent: Sent, signal: OTLPSignal, encoding: OTLPEncoding, peer: PeerIdentity,
        receiver: ReceiverKind, completion: @escaping (OTLPVerdict) -> Void
    ) {
        guard sent.isGzip && sent.bytes.readableBytes > 0 else {
            return take(
                sent.bytes.readableBytesSpan, signal: signal, encoding: encoding, peer: peer,
                receiver: receiver, completion: completion)
        }
        let bytes: [UInt8]
        do throws(CompressionError) {
            bytes = try state.value.decompressor.gunzip(
                sent.bytes.readableBytesSpan, limit: sent.bytesMax)
        } catch {
            if case .tooLarge(let limit) = error { return completion(.tooLarge(limit)) }
            return completion(.damaged(error))
        }
        take(
            bytes.span.bytes, signal: signal, encoding: encoding, peer: peer, receiver: receiver,
            completion: completion)
    }

    /// Decodes a request and hands what it holds to the log. `completion` is called on the event loop, at once
    /// if nothing was to be stored, or if the log took it without a wait.
    func take(
        _ bytes: RawSpan, signal: OTLPSignal, encoding: OTLPEncoding, peer: PeerIdentity,
        receiver: ReceiverKind, completion: @escaping (OTLPVerdict) -> Void
    ) {
        let state = self.state.value
        // Decoding needs about as much memory again as the bytes.
        guard admission.reserve(bytes: bytes.byteCount) else { return completion(.busy) }
        defer { admission.end(bytes: bytes.byteCount) }
        let decoded: DecodedRequest
        do {
            decoded = try state.decoder.decode(
                bytes, signal: signal, encoding: encoding, producer: producer,
                sequence: state.sequence)
        } catch {
            ledger.received(records: 0)
            ledger.refused(records: 0, cause: .badValue)
            return completion(.malformed(error))
        }
        count(decoded)
        guard !decoded.batches.isEmpty else { return completion(.stored(decoded.rejections)) }
        state.sequence += UInt64(decoded.batches.count)
        let stream = AppendStream()
        let size = decoded.byteCount
        let requests = decoded.batches.map { batch in
            ledger.received(records: UInt64(batch.summary.records))
            var request = AppendRequest(
                payload: batch.payload, payloadCRC: crc32c(batch.payload.span.bytes), peer: peer,
                receiver: receiver, summary: batch.summary)
            request.stream = stream
            return request
        }
        if let results = log.appendNow(requests) {
            return completion(settled(decoded, results))
        }
        _ = admission.begin(bytes: size)
        state.numbers += 1
        let number = state.numbers
        state.requests[number] = Request(
            completion: completion, rejections: decoded.rejections, backlog: requests,
            summaries: decoded.batches.map(\.summary), waiting: requests.count, failure: nil,
            deadline: Clocks.monotonic() + Self.queueNanoseconds, bytes: size)
        submit(number)
    }

    /// Of a request that was dealt with at once.
    private func settled(
        _ decoded: DecodedRequest, _ results: [Result<AppendOutcome, LogError>]
    ) -> OTLPVerdict {
        var failure: WireError?
        for (batch, result) in zip(decoded.batches, results) {
            if let code = settle(batch.summary, SettledOutcome(result)) { failure = code }
        }
        return failure.map { .failed($0) } ?? .stored(decoded.rejections)
    }

    /// Counts a batch's outcome; why it was not stored, nil if it was.
    private func settle(_ summary: BatchSummary, _ outcome: SettledOutcome) -> WireError? {
        let records = UInt64(summary.records)
        switch outcome {
        case .stored: ledger.stored(records: records, header: summary.header)
        case .duplicate: ledger.duplicate(records: records)
        case .failed(let code):
            ledger.refused(records: records, cause: code)
            return code
        }
        return nil
    }

    private func count(_ decoded: DecodedRequest) {
        counts.note(decoded)
        for (reason, records) in decoded.rejections.counts {
            ledger.received(records: records)
            ledger.refused(records: records, cause: reason.wireError)
        }
    }

    /// Hands over what it can, in order; tries again while there is time.
    private func submit(_ number: UInt64) {
        let state = self.state.value
        guard var request = state.requests[number] else { return }
        let mailbox = self.mailbox
        var taken = 0
        loop: while taken < request.backlog.count {
            let summary = request.summaries[taken]
            let submission = log.submit(request.backlog[taken]) { result in
                mailbox.post(
                    Letter(request: number, summary: summary, outcome: SettledOutcome(result)))
            }
            switch submission {
            case .accepted: taken += 1
            case .busy: break loop
            case .closed:
                taken += 1
                mailbox.post(
                    Letter(request: number, summary: summary, outcome: .failed(.storageFailed)))
            }
        }
        request.backlog.removeFirst(taken)
        request.summaries.removeFirst(taken)
        state.requests[number] = request
        guard !request.backlog.isEmpty else { return }
        if Clocks.monotonic() < request.deadline {
            eventLoop.assumeIsolated().scheduleTask(in: .milliseconds(2)) { self.submit(number) }
        } else {
            giveUp(number)
        }
    }

    /// The log's queue stays full: what is not handed over will not be.
    private func giveUp(_ number: UInt64) {
        let state = self.state.value
        guard var request = state.requests[number] else { return }
        for summary in request.summaries {
            ledger.refused(records: UInt64(summary.records), cause: .storageFull)
        }
        request.waiting -= request.backlog.count
        request.backlog = []
        request.summaries = []
        request.failure = request.failure ?? .storageFull
        state.requests[number] = request
        finishIfSettled(number)
    }

    private func settle(_ letters: [Letter]) {
        for letter in letters {
            if let code = settle(letter.summary, letter.outcome) {
                state.value.requests[letter.request]?.failure = code
            }
            state.value.requests[letter.request]?.waiting -= 1
            finishIfSettled(letter.request)
        }
    }

    private func finishIfSettled(_ number: UInt64) {
        guard let request = state.value.requests[number], request.waiting == 0 else { return }
        state.value.requests[number] = nil
        admission.end(bytes: request.bytes)
        request.completion(request.failure.map { .failed($0) } ?? .stored(request.rejections))
    }
}

extension RejectionReason {
    /// The cause under which such records are counted.
    var wireError: WireError {
        switch self {
        case .traceID, .spanID, .enumeration, .type: .badValue
        case .nesting, .limit, .container: .limitExceeded
        case .loop: .notPermitted
        }
    }
}
