package import Export
import OTLPCodec
import SegmentLog
package import SystemIO
import TelemetryBatch

/// Sends records to a backend as OTLP over HTTP or gRPC, each at least once: what was sent and not answered before a
/// death comes again.
///
/// One request of each signal is under way at a time. One that may be sent again stays the first of its signal until it
/// is taken, and records wait in the log behind it; one that may not goes to `rejected/`.
package final class OTLPExporter: Exporter {
    /// Bytes of requests that wait here; the rest waits in the log.
    private static let bytesMax = 8 << 20
    /// Records that are looked at together: a request ends between them.
    private static let chunk = 1024
    private static let waitNanoseconds: UInt64 = 20_000_000
    private static let restNanosecondsMax: UInt64 = 50_000_000

    private struct Arrival: Sendable {
        let signal: OTLPSignal
        let outcome: SendOutcome
    }

    private let configuration: OTLPExportConfiguration
    private let sender: any RequestSender
    private var rejectedFiles: RejectedFiles?
    private let time: any TimeSource
    private let lanes: [SignalLane]
    private let arrivals = Monitor<[Arrival]>([])
    private var hasTaken = false
    private var requests: UInt64 = 0
    private var retries: UInt64 = 0
    private var rejectedRequests: UInt64 = 0
    private var splits: UInt64 = 0
    private var rejection = ""
    private var partials: UInt64 = 0
    private var partial = ""
    private var keepingProblem = ""
    private let memory: RequestMemory
    /// Bytes of our requests, as the others know.
    private var held = 0
    private let name: String
    private let storage: (any Storage)?
    /// Beyond the saved cursor.
    private var answered = AnsweredRecords()
    private var note: CursorNote?
    private var notingProblem = ""

    /// An exporter that has not begun; `name` is its own among exporters. Without `state` it keeps nothing. `memory`
    /// is that of all exporters.
    package init(
        name: String, configuration: OTLPExportConfiguration, state: (any Storage)?,
        sender: any RequestSender, time: any TimeSource = SystemTime(),
        memory: RequestMemory = RequestMemory()
    ) {
        self.memory = memory
        self.name = name
        storage = state
        self.configuration = configuration
        self.sender = sender
        self.time = time
        rejectedFiles = state.map { RejectedFiles(state: $0, exporter: name) }
        lanes = OTLPSignal.allCases.map { SignalLane($0, configuration) }
    }

    package var wantsBatch: Bool {
        answered.hasRoom && held < Self.bytesMax && memory.hasRoom(with: held)
    }

    /// Tells the others what we hold.
    private func tellHeld() {
        let bytes = lanes.reduce(0) { $0 + $1.bytes }
        memory.change(by: bytes - held)
        held = bytes
    }

    package var restNanoseconds: UInt64 {
        min(nanoseconds(of: configuration.flushInterval) / 4, Self.restNanosecondsMax)
    }

    package var details: [String: String] {
        var found = ["requests": String(requests), "sent_again": String(retries)]
        if rejectedRequests > 0 {
            found["rejected_requests"] = String(rejectedRequests)
            found["last_rejection"] = rejection
        }
        if partials > 0 {
            found["partial_successes"] = String(partials)
            found["last_partial_success"] = partial
        }
        if splits > 0 { found["split_requests"] = String(splits) }
        if !keepingProblem.isEmpty { found["rejected_not_kept"] = keepingProblem }
        if !notingProblem.isEmpty { found["answers_not_noted"] = notingProblem }
        return found
    }

    package func resume(_ resumption: ExportResumption) {
        guard let storage else { return }
        do throws(SystemError) {
            let found = try CursorNote(state: storage, exporter: name, logID: resumption.logID)
            answered = AnsweredRecords(found.body, cursor: resumption.cursor)
            note = found
        } catch {
            notingProblem = error.description
        }
    }

    package func didSave(upTo ticket: ExportLedger.Ticket?) {
        if let ticket { answered.forget(upTo: ticket) }
    }

    package func checkpoint(upTo ticket: ExportLedger.Ticket?) -> [UInt8] { [] }

    package func close() {
        memory.change(by: -held)
        held = 0
        sender.close()
    }

    package func take(_ batch: ExportBatch, ledger: inout ExportLedger) {
        hasTaken = true
        defer { tellHeld() }
        let now = time.boottime()
        // Of a batch that comes again after a restart each signal goes on where it was.
        let begins = lanes.map { lane in
            guard lane.url != nil else { return 0 }
            return answered.place(lane.signal).begin(
                in: batch.offset.rawValue, of: Int(batch.batch.header.recordCount))
        }
        var left = batch.ranges.reduce(0) { $0 + $1.count }
        for (lane, begin) in zip(lanes, begins) where begin > 0 {
            left -= settleAnswered(lane, batch, below: begin, &ledger)
        }
        var ranges = batch.ranges[...]
        while !ranges.isEmpty { left -= takeSome(batch, &ranges, begins, now) }
        // Of a signal that has no endpoint, or of a type that OTLP does not have.
        if left > 0 { ledger.settle(batch.ticket, .excluded(.notSelected), records: left) }
    }

    /// Hands as many records as have room to their signals, of each from where it begins, and takes their places
    /// off the ranges; how many were taken.
    private func takeSome(
        _ batch: ExportBatch, _ ranges: inout ArraySlice<Range<Int>>, _ begins: [Int],
        _ now: UInt64
    ) -> Int {
        var room = lanes.reduce(Self.chunk) { min($0, $1.room) }
        var some: [Range<Int>] = []
        while room > 0, let range = ranges.popFirst() {
            let end = min(range.lowerBound + room, range.upperBound)
            some.append(range.lowerBound..<end)
            room -= end - range.lowerBound
            if end < range.upperBound { ranges = [end..<range.upperBound] + ranges }
        }
        var count = 0
        for (lane, begin) in zip(lanes, begins) {
            let own = begin == 0 ? some : some.compactMap { $0.from(begin) }
            guard !own.isEmpty else { continue }
            let taken = lane.take(batch, own, nowNanoseconds: now)
            if lane.url != nil { count += taken }
        }
        return count
    }

    /// Settles what the run before us had answers for; how many records those are.
    private func settleAnswered(
        _ lane: SignalLane, _ batch: ExportBatch, below index: Int, _ ledger: inout ExportLedger
    ) -> Int {
        let count = lane.count(batch, below: index)
        let refused = min(
            answered.refused(lane.signal, batch.offset.rawValue, ticket: batch.ticket), count)
        if refused > 0 { ledger.settle(batch.ticket, .lost(.rejected), records: refused) }
        if count > refused { ledger.settle(batch.ticket, .delivered, records: count - refused) }
        return count
    }

    package func step(stopping: Bool, ledger: inout ExportLedger) -> ExporterStep {
        settleArrivals(&ledger)
        defer { tellHeld() }
        let now = time.boottime()
        for lane in lanes {
            let open = lane.openNanoseconds(now: now)
            if open == 0 || stopping { lane.seal() }
            start(lane, now)
        }
        // While the log has more there is more to do than to wait for answers.
        let mayWait = !hasTaken || !wantsBatch
        hasTaken = false
        if mayWait, lanes.contains(where: \.isInFlight) {
            let limit = Clocks.monotonic() &+ Self.waitNanoseconds
            _ = arrivals.wait(until: limit) { $0.isEmpty ? nil : true }
            settleArrivals(&ledger)
        }
        return ExporterStep(
            state: state, idleNanoseconds: idleNanoseconds(time.boottime()),
            isDone: lanes.allSatisfy(\.isEmpty), waitsForSink: waitsForSink(time.boottime()))
    }

    // MARK: Sending

    private func start(_ lane: SignalLane, _ now: UInt64) {
        guard !lane.isInFlight, lane.retry.mayAttempt(nowNanoseconds: now),
            let outgoing = lane.outgoing
        else { return }
        lane.isInFlight = true
        requests += 1
        if lane.retry.failures > 0 { retries += 1 }
        let (arrivals, signal) = (arrivals, lane.signal)
        sender.send(outgoing, timeout: configuration.timeout) { outcome in
            arrivals.update { $0.append(Arrival(signal: signal, outcome: outcome)) }
        }
    }

    private func settleArrivals(_ ledger: inout ExportLedger) {
        let found = arrivals.withLock { arrivals in
            defer { arrivals = [] }
            return arrivals
        }
        for arrival in found {
            guard let lane = lanes.first(where: { $0.signal == arrival.signal }) else { continue }
            lane.isInFlight = false
            let wall = time.wall()
            let answer = OTLPAnswer(
                arrival.outcome, lane.signal, wallSeconds: wall / 1_000_000_000)
            switch answer {
            case .taken(let rejected, let message):
                notePartial(lane, rejected, message)
                settle(lane, rejected: rejected, &ledger)
            case .rejected(let reason): reject(lane, reason, wall, &ledger)
            case .tooLarge(let reason):
                if lane.splitFirst() { splits += 1 } else { reject(lane, reason, wall, &ledger) }
            case .retry(let seconds, let reason):
                lane.problem = reason
                let decision = lane.retry.failed(
                    .retryable(after: seconds.map { .seconds($0) }),
                    nowNanoseconds: time.boottime(), random: Double.random(in: 0..<1))
                if case .giveUp = decision { reject(lane, reason, wall, &ledger) }
            }
        }
    }

    /// The first request is dealt with: all but so many of its records are in the backend. Which, it does not
    /// say: the first ones are counted as rejected.
    private func settle(_ lane: SignalLane, rejected: UInt64, _ ledger: inout ExportLedger) {
        lane.retry.succeeded()
        lane.problem = nil
        var lost = Int(clamping: rejected)
        for part in lane.removeFirst().parts {
            let wrong = min(lost, part.records)
            lost -= wrong
            if wrong > 0 { ledger.settle(part.ticket, .lost(.rejected), records: wrong) }
            if part.records > wrong {
                ledger.settle(part.ticket, .delivered, records: part.records - wrong)
            }
            answered.settle(lane.signal, part, refused: wrong)
            if part.end == nil, wrong > 0 || part.refusedBefore > 0 {
                lane.carry(refused: wrong + part.refusedBefore)
            }
        }
        // Before the next request goes out: what was answered must not be sent again, whatever becomes of us.
        do throws(SystemError) {
            try note?.write(answered.encoded())
            notingProblem = note == nil ? notingProblem : ""
        } catch {
            notingProblem = error.description
        }
    }

    private func reject(
        _ lane: SignalLane, _ reason: String, _ wall: UInt64, _ ledger: inout ExportLedger
    ) {
        guard let first = lane.sealed.first else { return }
        rejectedRequests += 1
        note("\(first.records) records of \(lane.signal.rawValue): \(reason)")
        do throws(SystemError) {
            try rejectedFiles?.keep(
                first.body, suffix: lane.suffix, reason: "\(lane.url ?? ""): \(reason)",
                wallNanoseconds: wall)
        } catch {
            keepingProblem = error.description
        }
        settle(lane, rejected: UInt64(first.records), &ledger)
    }

    private func note(_ sentence: String) { rejection = sentence }

    /// The backend has taken a request, and has something to say of it.
    private func notePartial(_ lane: SignalLane, _ rejected: UInt64, _ message: String) {
        if rejected == 0, message.isEmpty { return }
        partials += 1
        let reason = message.isEmpty ? "no reason given" : message
        partial =
            "\(rejected == 0 ? "none" : String(rejected)) of \(lane.sealed.first?.records ?? 0) records of "
            + "\(lane.signal.rawValue) rejected: \(reason)"
    }

    // MARK: State

    private var state: ExporterState {
        for lane in lanes {
            if let problem = lane.problem { return .degraded("\(lane.url ?? ""): \(problem)") }
        }
        return .running
    }

    private func waitsForSink(_ now: UInt64) -> Bool {
        let open = lanes.filter { !$0.isEmpty }
        return !open.isEmpty
            && open.allSatisfy { !$0.isInFlight && !$0.retry.mayAttempt(nowNanoseconds: now) }
    }

    private func idleNanoseconds(_ now: UInt64) -> UInt64 {
        var idle = UInt64.max
        for lane in lanes {
            if lane.isInFlight { return 0 }
            if !lane.sealed.isEmpty {
                let next = lane.retry.nextAttemptNanoseconds
                idle = min(idle, next > now ? next - now : 0)
            }
            if let open = lane.openNanoseconds(now: now) { idle = min(idle, open) }
        }
        return idle
    }
}

extension Range<Int> {
    /// What of it is not below a number; nil if nothing is.
    fileprivate func from(_ begin: Int) -> Range<Int>? {
        begin < upperBound ? Swift.max(lowerBound, begin)..<upperBound : nil
    }
}
