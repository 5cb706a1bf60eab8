internal import ByteCoding
internal import TelemetryBatch

/// One sealed batch on its way out.
struct OutgoingBatch: Sendable, Equatable {
    /// Its place in its producer's order.
    let sequence: UInt64
    /// The whole frame: header and batch.
    let frame: [UInt8]
    /// What is lost if it is.
    let records: RecordCounts

    /// The same records under another name: producer and sequence stand at fixed places of a batch.
    func renamed(_ producer: ID128, _ sequence: UInt64) -> OutgoingBatch {
        var name = ByteWriter()
        name.write(id: producer)
        name.write(uint64: sequence)
        var body = frame[FrameHeader.byteCount...]
        let start = body.startIndex + 8
        body.replaceSubrange(start..<start + 24, with: name.bytes)
        return OutgoingBatch(
            sequence: sequence, frame: Frame(type: .batch, body: Array(body)).encoded,
            records: records)
    }
}

/// Records by kind: of a batch, or of what was dropped.
package struct RecordCounts: Sendable, Equatable {
    /// Spans.
    package var spans = 0
    /// Log events.
    package var logs = 0
    /// Metric points.
    package var points = 0

    /// All of them.
    package var total: Int { spans + logs + points }

    static func += (a: inout RecordCounts, b: RecordCounts) {
        a.spans += b.spans
        a.logs += b.logs
        a.points += b.points
    }
}

/// Where sealed batches go, and when: to the agent, again to the agent, to the spool, or nowhere.
///
/// Pure: it is told what happened and at what time, and says what to do next. Times are monotonic
/// nanoseconds. The shell asks `next` until it says `.wait`.
struct DeliveryStateMachine {
    /// Bounds and patience.
    struct Limits: Sendable {
        /// Batches held, sent and unsent: past it the newest is dropped and counted.
        var queueBytesMax = 4 << 20
        /// Past it unsent or unacked batches go to the spool: memory is dearer than a file.
        var spoolBytes = 1 << 20
        /// How long batches wait in memory for an agent that was there before.
        var spoolAfter: UInt64 = 1_000_000_000
        /// In flight before the agent's `welcome` has said how much it takes.
        var windowBytes = 1 << 20
        /// Without an ack for so long, with something in flight, the agent counts as stalled.
        var ackWait: UInt64 = 5_000_000_000
        /// The first pause before another attempt, doubled up to the longest.
        var backoffMin: UInt64 = 50_000_000
        var backoffMax: UInt64 = 5_000_000_000
        /// A throttle asks for a pause; more than this is not believed.
        var throttleMax: UInt64 = 60_000_000_000
        /// The pause before a spool that refused is asked again.
        var spoolPause: UInt64 = 1_000_000_000
    }

    enum Connection: Equatable {
        /// No connection, none tried before `until` → greeting (connected), away (failed).
        case away(until: UInt64)
        /// Hello is sent, its answer not read → ready (welcome), away (closed).
        case greeting
        /// Welcomed → away (closed).
        case ready
    }

    /// What the shell does next.
    enum Action: Equatable {
        /// Try the sockets in their order; then `connected` or `connectFailed`.
        case connect
        /// Write these bytes of the batch with this sequence, from `from` on; then `sent`,
        /// `sendBlocked` or `disconnected`.
        case send(sequence: UInt64, from: Int)
        /// Append the oldest batch to this producer's spool file; then `spooled` or `spoolRefused`.
        case spool(sequence: UInt64)
        /// Close the connection. Nothing to report.
        case close
        /// Nothing to do before this time (nil: for ever) unless something is reported or enqueued.
        case wait(until: UInt64?)
    }

    let limits: Limits
    private(set) var producer: ID128
    private(set) var connection = Connection.away(until: 0)
    /// Without a connection, or done with the one there is.
    var isAway: Bool { if case .away = connection { true } else { false } }
    /// Unacked batches in order; the first `sentCount` of them are written on this connection.
    private(set) var queue: [OutgoingBatch] = []
    private(set) var queueBytes = 0
    /// Since the start: acknowledged, refused by the agent, dropped for want of room.
    private(set) var acked = RecordCounts()
    private(set) var ackedBatches = 0
    private(set) var refused = RecordCounts()
    private(set) var dropped = RecordCounts()
    private(set) var reconnects = 0
    /// Batches of this producer stand in its spool file: no later one may go to a socket.
    private(set) var isSpooling = false
    /// The kernel took no more: wait until the socket is writable.
    private(set) var isBlocked = false

    private var nextSequence: UInt64 = 1
    private var sentCount = 0
    private var sentBytes = 0
    /// Bytes of the batch after the sent ones that are written already.
    private var partial = 0
    private var window: Int
    private var failures = 0
    private var wasConnected = false
    private var mustClose = false
    /// Something of this producer was written on an earlier connection: ask before sending again.
    private var isInDoubt = false
    private var awaySince: UInt64?
    private var progressAt: UInt64 = 0
    private var spoolRetryAt: UInt64 = 0
    /// Set once the process ends: nobody waits any more.
    private var isEnding = false
    private var jitter: UInt64
    private var freshProducer: () -> ID128

    /// A machine of a new producer.
    ///
    /// - Parameters:
    ///   - seed: of the jitter.
    ///   - freshProducer: makes a producer id.
    init(limits: Limits = Limits(), seed: UInt64, freshProducer: @escaping () -> ID128) {
        self.limits = limits
        self.freshProducer = freshProducer
        producer = freshProducer()
        window = limits.windowBytes
        jitter = seed &* 0x9E37_79B9_7F4A_7C15 | 1
    }

    // MARK: - What is sealed

    /// The sequence for the next batch of `producer`; taken only by `enqueue`.
    var sequence: UInt64 { nextSequence }

    /// Takes a sealed batch that carries `producer` and `sequence`; false if there is no room for it
    /// (then its sequence is not used up).
    mutating func enqueue(_ batch: OutgoingBatch) -> Bool {
        precondition(batch.sequence == nextSequence, "batches are sealed one at a time")
        guard queueBytes + batch.frame.count <= limits.queueBytesMax else {
            dropped += batch.records
            return false
        }
        nextSequence += 1
        queue.append(batch)
        queueBytes += batch.frame.count
        return true
    }

    /// The batch of a `send` or `spool` action.
    func batch(_ sequence: UInt64) -> OutgoingBatch? { queue.first { $0.sequence == sequence } }

    /// The process ends, and what could be sent was: what is not acked goes to the spool now.
    mutating func end() { isEnding = true }

    // MARK: - What to do

    /// What to do at this time.
    mutating func next(now: UInt64) -> Action {
        if mustClose {
            mustClose = false
            return .close
        }
        if isEnding {
            return queue.first.map { .spool(sequence: $0.sequence) } ?? .wait(until: nil)
        }
        switch connection {
        case .away(let until):
            if let sequence = wantsSpool(now: now) { return .spool(sequence: sequence) }
            guard !queue.isEmpty || isSpooling else { return .wait(until: nil) }
            if now >= until { return .connect }
            return .wait(until: nextAwayDeadline(until: until))
        case .greeting, .ready:
            if isOwed, now >= progressAt + limits.ackWait {
                // Connected, but nobody reads: the next attempt may find somebody who does.
                lost(now: now, pause: backoff())
                return .close
            }
            if queueBytes > limits.spoolBytes, isOwed, now >= spoolRetryAt,
                now >= progressAt + limits.spoolAfter
            {
                isInDoubt = true
                isSpooling = true
                lost(now: now, pause: backoff())
                return .close
            }
            guard !isBlocked, maySend, sentCount < queue.count else {
                return .wait(until: isOwed ? progressAt + limits.ackWait : nil)
            }
            return .send(sequence: queue[sentCount].sequence, from: partial)
        }
    }

    /// Whether the agent owes an answer.
    private var isOwed: Bool { sentCount > 0 || partial > 0 || connection == .greeting }

    /// In doubt, `welcome` first says what is stored: no byte is sent twice for nothing.
    private var maySend: Bool {
        guard sentCount < queue.count else { return false }
        if connection == .greeting, isInDoubt { return false }
        return partial > 0 || sentBytes == 0
            || sentBytes + queue[sentCount].frame.count <= window
    }

    private func wantsSpool(now: UInt64) -> UInt64? {
        guard let first = queue.first, now >= spoolRetryAt else { return nil }
        let isNobodyThere = failures > 0 && !wasConnected
        // Something that was not even tried yet is no reason for the spool, however much it is.
        let isTired = awaySince.map {
            now >= $0 + limits.spoolAfter || queueBytes > limits.spoolBytes
        }
        guard isSpooling || isNobodyThere || isTired ?? false else { return nil }
        return first.sequence
    }

    private func nextAwayDeadline(until: UInt64) -> UInt64 {
        guard !queue.isEmpty, let awaySince else { return until }
        return min(until, max(awaySince + limits.spoolAfter, spoolRetryAt))
    }
}

// MARK: - What happened

extension DeliveryStateMachine {
    /// A socket took the connection. The hello to send is of `producer`, which may be a new one.
    mutating func connected(now: UInt64) {
        if isSpooling, queue.isEmpty { rotate() }
        connection = .greeting
        reconnects += wasConnected ? 1 : 0
        wasConnected = true
        window = limits.windowBytes
        sentCount = 0
        sentBytes = 0
        partial = 0
        isBlocked = false
        progressAt = now
    }

    /// No socket took it.
    mutating func connectFailed(now: UInt64) {
        if awaySince == nil { awaySince = now }
        failures += 1
        connection = .away(until: now + backoff())
    }

    /// The kernel took these bytes of the batch that `send` named.
    mutating func sent(bytes: Int, now: UInt64) {
        if sentCount == 0 { progressAt = now }
        partial += bytes
        guard sentCount < queue.count, partial >= queue[sentCount].frame.count else { return }
        sentBytes += queue[sentCount].frame.count
        sentCount += 1
        partial = 0
    }

    /// The kernel takes no more for now.
    mutating func sendBlocked() { isBlocked = true }

    /// The socket is writable again.
    mutating func writable() { isBlocked = false }

    /// The agent answered the hello.
    mutating func welcomed(stored: UInt64, windowBytes: UInt64, now: UInt64) {
        guard connection == .greeting else { return }
        connection = .ready
        failures = 0
        awaySince = nil
        isInDoubt = false
        window = max(Int(clamping: windowBytes), 1)
        progressAt = now
        // Only what stood in front of the queue before this connection may be dropped here; what
        // was sent meanwhile gets its ack.
        dealtWith(upTo: stored, now: now)
    }

    /// The agent has dealt with every batch up to this sequence.
    mutating func acked(upTo sequence: UInt64, now: UInt64) {
        guard connection == .ready else { return }
        dealtWith(upTo: sequence, now: now)
    }

    /// The agent refused one batch, for good. False: it is none of ours.
    mutating func refused(sequence: UInt64, now: UInt64) -> Bool {
        guard let place = queue.firstIndex(where: { $0.sequence == sequence }), place < sentCount
        else { return false }
        refused += queue[place].records
        remove(place..<(place + 1))
        progressAt = now
        return true
    }

    /// The agent asked to come again later; it closes.
    mutating func throttled(milliseconds: UInt32, now: UInt64) {
        let asked = min(UInt64(milliseconds) * 1_000_000, limits.throttleMax)
        lost(now: now, pause: asked + fraction(of: asked / 4 + 1))
        mustClose = true
    }

    /// The agent refused the connection as such (a fatal error): asking again soon is pointless.
    mutating func rejected(now: UInt64) {
        isSpooling = isSpooling || sentCount == 0
        lost(now: now, pause: limits.backoffMax)
        mustClose = true
    }

    /// A newer connection of this producer id, and not ours, took over: what is not acked was not read. It
    /// goes under a new id, or the agent would take it for what the other one sends.
    mutating func superseded(now: UInt64) {
        // Of what an earlier connection sent, a welcome must tell first.
        guard connection == .ready else { return disconnected(now: now) }
        let old = queue
        remove(0..<old.count)
        rotate()
        lost(now: now, pause: backoff())
        isInDoubt = false
        for batch in old {
            queue.append(batch.renamed(producer, nextSequence))
            queueBytes += batch.frame.count
            nextSequence += 1
        }
        mustClose = true
    }

    /// The connection broke.
    mutating func disconnected(now: UInt64) {
        lost(now: now, pause: backoff())
        mustClose = true
    }

    /// The oldest batch stands in the spool file of `producer`.
    mutating func spooled() {
        isSpooling = true
        remove(0..<1)
    }

    /// The spool file is as long as it may be: once the queue is empty a new producer id begins a
    /// new file. True if it did.
    mutating func spoolFileFull() -> Bool {
        guard queue.isEmpty else { return false }
        rotate()
        return true
    }

    /// The spool cannot take the oldest batch. It waits in memory, if it may still go to a socket;
    /// else (an earlier one stands in the file, or the process ends) there is no way left for it.
    mutating func spoolRefused(now: UInt64) {
        spoolRetryAt = now + limits.spoolPause
        if isEnding || isSpooling {
            for batch in queue { dropped += batch.records }
            remove(0..<queue.count)
        }
    }

    // MARK: - Inside

    private mutating func dealtWith(upTo sequence: UInt64, now: UInt64) {
        let count = queue.prefix { $0.sequence <= sequence }.count
        guard count > 0 else { return }
        // A batch of which a part is written must be written to its end: the stream is in frames.
        let gone = partial > 0 ? min(count, sentCount) : count
        for batch in queue.prefix(gone) { acked += batch.records }
        ackedBatches += gone
        remove(0..<gone)
        progressAt = now
    }

    private mutating func remove(_ range: Range<Int>) {
        for place in range {
            queueBytes -= queue[place].frame.count
            if place < sentCount { sentBytes -= queue[place].frame.count }
        }
        sentCount -= min(range.upperBound, sentCount) - min(range.lowerBound, sentCount)
        queue.removeSubrange(range)
    }

    private mutating func lost(now: UInt64, pause: UInt64) {
        isInDoubt = isInDoubt || sentCount > 0 || partial > 0
        if awaySince == nil { awaySince = now }
        failures += 1
        sentCount = 0
        sentBytes = 0
        partial = 0
        isBlocked = false
        connection = .away(until: now + pause)
    }

    private mutating func rotate() {
        producer = freshProducer()
        nextSequence = 1
        isSpooling = false
        isInDoubt = false
    }

    private mutating func backoff() -> UInt64 {
        let whole = min(limits.backoffMax, limits.backoffMin << UInt64(min(failures, 20)))
        return whole / 2 + fraction(of: whole / 2 + 1)
    }

    /// A random part: many clients of one agent must not come back in the same instant.
    private mutating func fraction(of whole: UInt64) -> UInt64 {
        jitter ^= jitter << 13
        jitter ^= jitter >> 7
        jitter ^= jitter << 17
        return jitter % max(whole, 1)
    }
}
