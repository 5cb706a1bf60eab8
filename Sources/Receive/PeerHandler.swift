internal import ByteCoding
internal import Logging
internal import NIOCore
internal import SegmentLog
internal import SystemIO
internal import TelemetryBatch

/// One connection: bytes in, frames found, batches checked and handed to the log, answers out.
///
/// Everything here runs on the connection's event loop; outcomes come back through the mailbox.
final class PeerHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let intake: Intake
    private let peer: PeerIdentity
    private let number: UInt64
    /// After a batch that could not be stored none of this connection is: dedupe must not see a hole.
    private let stream = AppendStream()
    private var machine = ConnectionMachine()
    /// Bytes of a frame that is not complete yet.
    private var pending: ByteBuffer?
    /// Bytes of that frame as they are counted against everybody's budget.
    private var heldBytes = 0
    /// Bytes of batches that are read and not yet settled.
    private var inFlightBytes = 0
    /// Batches that the log's queue had no room for yet.
    private var backlog: [(AppendRequest, Settlement)] = []
    private var reading = true
    private var context: ChannelHandlerContext?
    private var deadline: Scheduled<Void>?
    private var quiet: Scheduled<Void>?
    private var ending = false
    /// Whose batches these are, once it said hello.
    private var key: DedupeKey?
    /// The answer to the hello, while an older connection of this producer has not left: what arrives
    /// meanwhile is kept, and no more is read than has arrived.
    private var greeting: ConnectionMachine.Action?
    /// A newer connection of this producer waits.
    private var isToYield = false
    /// Since when what still arrives is no longer taken, if one waits: each has its time from its turn on.
    private var yieldsAt: NIODeadline?
    /// Nothing more will come.
    private var inputEnded = false
    /// Why the connection ends: told last, after the acks of what is still under way.
    private var farewell: [UInt8]?

    private static let uncountedBytes = 16_384

    init(intake: Intake, peer: PeerIdentity, number: UInt64) {
        self.intake = intake
        self.peer = peer
        self.number = number
    }

    // MARK: Life

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        intake.register(self, number: number)
        watchFrame()
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        deadline?.cancel()
        quiet?.cancel()
        if greeting == nil {
            pending = nil
            holdPending()
        }
        intake.ledger.environment(machine.environment, connected: false)
        self.context = nil
        leaveIfSettled()
    }

    /// A connection that has gone keeps its place until what it sent has its outcome: what was received
    /// is counted and, if the log's queue was full, still handed over.
    private func leaveIfSettled() {
        guard context == nil, inFlightBytes == 0, greeting == nil else { return }
        intake.unregister(number: number, peer: peer, producer: key)
        key = nil
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // A reset or a broken pipe is how clients leave; what they sent has been read.
        context.close(promise: nil)
    }

    // MARK: Bytes in

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !ending else { return }
        var bytes = unwrapInboundIn(data)
        if var whole = pending {
            whole.writeBuffer(&bytes)
            bytes = whole
            pending = nil
        }
        take(bytes)
    }

    /// Takes all whole frames, keeps the rest.
    private func take(_ received: ByteBuffer) {
        var bytes = received
        var hasTaken = false
        while !ending, greeting == nil, takeFrame(&bytes) { hasTaken = true }
        if bytes.readableBytes > 0 && !ending {
            keep(bytes, isNew: hasTaken)
        } else if machine.producer != nil {
            deadline?.cancel()
            deadline = nil
        }
        holdPending()
        if intake.isDraining || yieldsAt != nil { waitForQuiet() }
    }

    /// Keeps the begin of a frame until the rest arrives.
    private func keep(_ bytes: ByteBuffer, isNew: Bool) {
        // A slice of a large read would keep all of it alive.
        pending = bytes
        pending?.discardReadBytes()
        // The time limit is each frame's own, or a busy connection would end by it.
        if isNew || deadline == nil { watchFrame() }
    }

    /// Counts what is kept of a frame. A user whose connections all keep large ones loses this one: the
    /// memory is everybody's.
    private func holdPending() {
        let bytes = pending?.readableBytes ?? 0
        // The usual rest of a read is not worth a lock.
        let now = bytes < Self.uncountedBytes ? 0 : bytes
        guard now != heldBytes else { return }
        let hasRoom = intake.admission.hold(uid: peer.uid ?? .max, bytes: now, instead: heldBytes)
        heldBytes = now
        if !hasRoom { throttle(.tooManyConnections) }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        // Answers leave only now: a write to a peer that has gone closes the channel, and what it sent
        // before it went must have been read by then.
        sendAck()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        sendAck()
        resumeIfRoom()
        context.fireChannelWritabilityChanged()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if let event = event as? ChannelEvent, event == .inputClosed {
            inputEnded = true
            if greeting == nil { endOfInput() }
        }
    }

    /// Half-closed by a client that only writes: what is under way is settled first.
    private func endOfInput() {
        if inFlightBytes == 0 { context?.close(promise: nil) } else { ending = true }
    }

    /// Takes one frame off the front; false if there is no whole one.
    private func takeFrame(_ bytes: inout ByteBuffer) -> Bool {
        guard bytes.readableBytes >= FrameHeader.byteCount else { return false }
        guard let header = Self.header(of: bytes) else { return false }
        guard perform(machine.header(header)) else { return false }
        let total = FrameHeader.byteCount + Int(header.length)
        // No memory for what a header merely promises: the buffer grows with what arrives.
        guard bytes.readableBytes >= total else { return false }
        bytes.moveReaderIndex(forwardBy: FrameHeader.byteCount)
        guard let body = bytes.readSlice(length: Int(header.length)) else { return false }
        guard crc32c(body.readableBytesSpan) == header.checksum else {
            return perform(machine.corrupt())
        }
        switch header.type {
        case .hello:
            let action = machine.hello(Self.hello(in: body))
            intake.ledger.environment(machine.environment, connected: true)
            return greet(action)
        case .batch: return takeBatch(body, checksum: header.checksum)
        case .goodbye: return perform(machine.goodbye())
        default: return true
        }
    }

    private func takeBatch(_ body: ByteBuffer, checksum: UInt32) -> Bool {
        let claim = BatchClaim(untrusted: body)
        if let points = intake.failpoints, !points.pass(.batchSubmit, .before) { return true }
        intake.ledger.received(records: claim.records)
        do {
            let summary = try BatchValidator.validate(body.readableBytesSpan)
            let action = machine.batch(summary.header)
            guard action == .submit else {
                intake.ledger.refused(records: claim.records, cause: .wrongProducer)
                return perform(action)
            }
            submit(summary, body, checksum)
            intake.failpoints?.pass(.batchSubmit, .after)
            return !ending
        } catch {
            intake.ledger.refused(records: claim.records, cause: error.code)
            return perform(machine.refused(error, sequence: claim.sequence))
        }
    }

    private static func header(of bytes: ByteBuffer) -> FrameHeader? {
        // Twelve bytes are there: the caller has counted them.
        do { return try FrameHeader(decoding: bytes.readableBytesSpan) } catch { return nil }
    }

    private static func hello(in body: ByteBuffer) -> Result<Hello, BatchError> {
        do throws(BatchError) {
            return .success(try Hello(decoding: body.readableBytesSpan))
        } catch { return .failure(error) }
    }

    // MARK: One writer a producer

    /// Answers the hello, at once or when no older connection of this producer is left: of two that write
    /// in turns one would send below the highest sequence, and its batches would be taken for duplicates.
    private func greet(_ action: ConnectionMachine.Action) -> Bool {
        guard let producer = machine.producer else { return perform(action) }
        let key = DedupeKey(uid: peer.uid ?? .max, producer: producer)
        self.key = key
        if intake.claim(key, number: number) { return perform(action) }
        greeting = action
        pause()
        return true
    }

    /// A newer connection of this producer waits: what has arrived is taken, then this one ends. One that
    /// waits itself is not read; its time begins with its turn.
    func yield() {
        isToYield = true
        guard greeting == nil, yieldsAt == nil else { return }
        yieldsAt = .now() + TimeAmount(intake.admission.limits.takeoverDeadline)
        if !ending { waitForQuiet() }
    }

    /// The older connections of this producer have left, and all that they sent has its outcome.
    func proceed() {
        guard let action = greeting else { return }
        greeting = nil
        if isToYield { yield() }
        _ = perform(action)
        let bytes = pending
        pending = nil
        take(bytes ?? ByteBuffer())
        if context == nil {
            // What it sent before it went was read.
            pending = nil
            holdPending()
            return leaveIfSettled()
        }
        if inputEnded, !ending { endOfInput() }
        sendAck()
        resumeIfRoom()
    }

    // MARK: To the log and back

    private func submit(_ summary: BatchSummary, _ body: ByteBuffer, _ checksum: UInt32) {
        let bytes = body.readableBytes
        var request = AppendRequest(
            payload: Array(body.readableBytesView), payloadCRC: checksum, peer: peer,
            receiver: .socket, summary: summary)
        request.stream = stream
        inFlightBytes += bytes
        let roomInAll = intake.admission.begin(bytes: bytes)
        backlog.append((request, Settlement(connection: number, summary: summary, bytes: bytes)))
        submitBacklog()
        let room = intake.admission.limits.inFlightBytesPerConnectionMax
        if !roomInAll || inFlightBytes >= Int(room) { pause() }
    }

    /// Hands over what it can, in order; the log's queue may be full for a moment.
    private func submitBacklog() {
        let mailbox = intake.mailbox
        var taken = 0
        loop: while taken < backlog.count {
            let (request, letter) = backlog[taken]
            let submission = intake.log.submit(request) { result in
                mailbox.post(letter.with(SettledOutcome(result)))
            }
            switch submission {
            case .accepted: taken += 1
            case .busy:
                pause()
                retryLater()
                break loop
            case .closed:
                taken += 1
                mailbox.post(letter.with(.failed(.storageFailed)))
            }
        }
        backlog.removeFirst(taken)
    }

    /// A batch of this connection has its outcome.
    func settle(_ letter: Settlement) {
        inFlightBytes -= letter.bytes
        intake.admission.end(bytes: letter.bytes)
        switch letter.outcome {
        case .stored(let offset):
            intake.ledger.stored(records: letter.records, header: letter.header)
            machine.settle(letter.header.sequence, offset: offset.rawValue)
        case .duplicate:
            intake.ledger.duplicate(records: letter.records)
            machine.settle(letter.header.sequence, offset: 0)
        case .failed(let code):
            intake.ledger.refused(records: letter.records, cause: code)
            throttle(code)
        }
        if ending { closeIfSettled() }
        resumeIfRoom()
        leaveIfSettled()
    }

    /// After a group of outcomes: one ack for all of them.
    func settledGroup() { sendAck() }

    private func pause() {
        guard reading, let context else { return }
        reading = false
        context.channel.setOption(.autoRead, value: false).whenFailure { _ in }
        if inFlightBytes == 0 && context.channel.isWritable { retryLater() }
    }

    private func resumeIfRoom() {
        guard !reading, greeting == nil, let context else { return }
        // A peer that does not read its answers is not read either; its reading wakes us.
        guard context.channel.isWritable else { return }
        let mine = Int(intake.admission.limits.inFlightBytesPerConnectionMax) / 2
        guard backlog.isEmpty, inFlightBytes <= mine, intake.admission.hasRoom else {
            if inFlightBytes == 0 { retryLater() }
            return
        }
        reading = true
        context.channel.setOption(.autoRead, value: true).whenFailure { _ in }
        context.read()
    }

    /// Others fill the budget and nothing of ours will wake us.
    private func retryLater() {
        intake.eventLoop.assumeIsolated().scheduleTask(in: .milliseconds(10)) {
            self.submitBacklog()
            self.resumeIfRoom()
        }
    }

    // MARK: Answers out

    /// Does what the machine said; false if the connection is at its end.
    private func perform(_ action: ConnectionMachine.Action) -> Bool {
        switch action {
        case .none, .submit: return true
        case .welcome(let producer):
            let welcome = Welcome(
                logID: intake.log.logID,
                storedSequence: intake.log.highestSequence(uid: peer.uid, producer: producer),
                windowBytes: intake.admission.limits.inFlightBytesPerConnectionMax,
                synced: intake.log.synced.rawValue)
            send(welcome.frame.encoded)
            return true
        case .refuse(let error):
            if machine.answers { send(error.frame.encoded) }
            if context?.channel.isWritable == false { pause() }
            return true
        case .fail(let error):
            intake.ledger.closed(cause: WireError(rawValue: error.code)?.name ?? "error")
            end(with: error.frame.encoded)
            return false
        case .finish:
            end(with: nil)
            return false
        }
    }

    private func throttle(_ code: WireError) {
        guard !ending else { return }
        intake.ledger.closed(cause: code.name)
        let frame = Throttle(code, delayMilliseconds: 1000).frame.encoded
        end(with: machine.answers ? frame : nil)
    }

    /// Sends the ack that is due, if one is, with all that waits to be sent. The last one goes whether
    /// the peer reads or not: what the farewell says of unacked batches must be true.
    private func sendAck(isLast: Bool = false) {
        guard let context else { return }
        guard isLast || context.channel.isWritable,
            let ack = machine.takeAck(synced: intake.log.synced.rawValue)
        else { return context.flush() }
        intake.failpoints?.pass(.ackSend, .before)
        send(ack.frame.encoded)
        context.flush()
        intake.failpoints?.pass(.ackSend, .after)
    }

    /// Leaves with the next flush.
    private func send(_ frame: [UInt8]) {
        guard let context, context.channel.isActive else { return }
        context.write(wrapOutboundOut(ByteBuffer(bytes: frame)), promise: nil)
    }

    /// Ends the connection once what is under way has its outcome.
    private func end(with frame: [UInt8]?) {
        ending = true
        pending = nil
        holdPending()
        farewell = frame
        closeIfSettled()
    }

    private func closeIfSettled() {
        guard inFlightBytes == 0 else { return }
        sendAck(isLast: true)
        if let farewell { send(farewell) }
        farewell = nil
        context?.flush()
        context?.close(mode: .all, promise: nil)
    }

    // MARK: Time

    /// A peer that begins and never completes holds a place and memory: it has `frameDeadline`.
    private func watchFrame() {
        deadline?.cancel()
        let limit = intake.admission.limits.frameDeadline
        deadline = context?.eventLoop.assumeIsolated().scheduleTask(in: TimeAmount(limit)) {
            // While we do not read, the rest may be waiting in the socket.
            guard self.reading else { return self.watchFrame() }
            _ = self.perform(self.machine.late())
        }
    }

    /// The agent ends: what has arrived is taken, then, after a moment without bytes, the peer is told.
    func drain() {
        guard !ending, greeting == nil else { return }
        waitForQuiet()
    }

    private func waitForQuiet() {
        quiet?.cancel()
        let moment = NIODeadline.now() + .milliseconds(20)
        let end = yieldsAt.map { min(moment, $0) } ?? moment
        quiet = context?.eventLoop.assumeIsolated().scheduleTask(deadline: end) {
            self.endInQuiet()
        }
    }

    private func endInQuiet() {
        guard !ending else { return }
        if let yieldsAt, !intake.isDraining {
            // While we do not read, more may be waiting in the socket.
            guard reading || .now() >= yieldsAt else { return waitForQuiet() }
            let action = machine.superseded()
            if machine.answers {
                _ = perform(action)
            } else {
                intake.ledger.closed(cause: WireError.superseded.name)
                end(with: nil)
            }
            return
        }
        let frame = Throttle(.shuttingDown, delayMilliseconds: 100).frame.encoded
        end(with: machine.answers ? frame : nil)
    }
}

/// What a batch's header says before anything of it is checked: for counting what is refused.
private struct BatchClaim {
    let records: UInt64
    let sequence: UInt64

    init(untrusted body: ByteBuffer) {
        let start = body.readerIndex
        let records = body.getInteger(at: start + 4, endianness: .little, as: UInt32.self) ?? 0
        // A claim above the limit is no count.
        self.records = records <= BatchLimits.recordsMax ? UInt64(records) : 0
        sequence = body.getInteger(at: start + 24, endianness: .little) ?? 0
    }
}
