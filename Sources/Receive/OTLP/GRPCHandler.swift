internal import NIOCore
internal import NIOHTTP2
internal import OTLPCodec
internal import SegmentLog

/// One HTTP/2 connection, behind `NIOHTTP2Handler`: calls in, each handed to the intake when it is whole, answers
/// out in any order.
///
/// Without a channel for each stream: a call is a message and an answer, and a stream here is what its message
/// has so far. What bounds a connection: streams at a time, bytes of messages (in the common budget), headers,
/// and frames of each kind that give no work (`settings`).
final class GRPCHandler: ChannelInboundHandler, OTLPConnection {
    typealias InboundIn = HTTP2Frame
    typealias OutboundOut = HTTP2Frame

    /// `receiving` → `storing` → `answered`, from each of which it may be closed; `receiving` → `answered` if it
    /// is refused.
    private final class Stream {
        enum Phase { case receiving, storing, answered }

        let plan: GRPCCallPlan
        var message: GRPCMessage
        var phase = Phase.receiving
        /// When it is let go of, unless it is being stored: the log has its own limits.
        var due: NIODeadline

        init(_ plan: GRPCCallPlan, _ message: GRPCMessage, due: NIODeadline) {
            self.plan = plan
            self.message = message
            self.due = due
        }
    }

    private let intake: OTLPIntake
    private let rules: GRPCRules
    private let peer: PeerIdentity
    private let registry: OTLPConnections
    private let number: UInt64
    private let limits: OTLPLimits
    private let goodbye: GoodbyeWatch
    private var streams: [HTTP2StreamID: Stream] = [:]
    private var held: HeldBytes
    private var context: ChannelHandlerContext?
    private var lastStream = HTTP2StreamID.rootStream
    private var lastUse = NIODeadline.now()
    private var watch: (due: NIODeadline, task: Scheduled<Void>)?
    /// No more calls: the connection ends with the last answer.
    private var isDraining = false
    /// All is said; what still comes is dropped.
    private(set) var isLeaving = false
    /// While frames of one read are dealt with, answers wait for the last of them.
    private var isReading = false

    init(
        intake: OTLPIntake, rules: GRPCRules, peer: PeerIdentity, registry: OTLPConnections,
        number: UInt64, goodbye: GoodbyeWatch
    ) {
        self.intake = intake
        self.rules = rules
        self.peer = peer
        self.registry = registry
        self.number = number
        self.goodbye = goodbye
        limits = registry.limits
        held = HeldBytes(intake.admission, uid: peer.uid)
    }

    // MARK: Life

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        registry.add(self, number: number)
        schedule(lastUse + TimeAmount(limits.idleDeadline))
        widen(from: GRPCSettings.initialWindowBytes)
        context.flush()
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        watch?.task.cancel()
        streams = [:]
        held.letGo()
        registry.remove(number: number)
    }

    /// What is wrong with one stream was answered by a reset; what is wrong with the connection by GOAWAY, and is
    /// its end.
    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if error is any NIOHTTP2Error, !goodbye.isForFault { return }
        context.close(promise: nil)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case let event as StreamClosedEvent: forget(event.streamID)
        case let event as NIOHTTP2WindowUpdatedEvent:
            if event.streamID == .rootStream, let size = event.inboundWindowSize {
                widen(from: size)
            }
        case let event as ChannelEvent where event == .inputClosed:
            // A peer that has sent all it wants may still read its answers.
            isDraining = true
            if !streams.values.contains(where: { $0.phase == .storing }) {
                context.close(promise: nil)
            }
        default: break
        }
        context.fireUserInboundEventTriggered(event)
    }

    /// A peer that does not read its answers is not heard until it does.
    func channelWritabilityChanged(context: ChannelHandlerContext) {
        context.channel.setOption(.autoRead, value: context.channel.isWritable)
            .assumeIsolated().whenFailure { _ in context.close(promise: nil) }
        context.fireChannelWritabilityChanged()
    }

    var isIdle: Bool { streams.isEmpty && !isLeaving }

    var isReceiving: Bool {
        !streams.isEmpty && !isLeaving && !streams.values.contains { $0.phase == .storing }
    }

    func makeRoom() {
        if isLeaving {
            context?.close(promise: nil)
            return
        }
        for (id, stream) in streams where stream.phase == .receiving { refuse(id, .crowded) }
        leave()
    }

    func drain() {
        isDraining = true
        if streams.isEmpty { return leave() }
        sayGoodbye()
        context?.flush()
    }

    // MARK: In

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isLeaving else { return }
        isReading = true
        let frame = unwrapInboundIn(data)
        switch frame.payload {
        case .headers(let headers):
            if streams[frame.streamID] == nil { begin(frame.streamID, headers) }
            if headers.endStream { end(frame.streamID) }
        case .data(let data):
            if case .byteBuffer(let bytes) = data.data { take(bytes, frame.streamID) }
            if data.endStream { end(frame.streamID) }
        case .goAway:
            isDraining = true
            if streams.isEmpty { leave() }
        default: break
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        isReading = false
        context.flush()
        context.fireChannelReadComplete()
    }

    private func begin(_ id: HTTP2StreamID, _ headers: HTTP2Frame.FramePayload.Headers) {
        registry.touch(number: number)
        lastUse = .now()
        lastStream = max(lastStream, id)
        do throws(GRPCRefusal) {
            let plan = try rules.plan(headers.headers)
            guard intake.admission.hasRoom else { throw GRPCRefusal.busy }
            let due = lastUse + TimeAmount(limits.requestDeadline)
            streams[id] = Stream(
                plan, GRPCMessage(bytesMax: limits.messageBytesMax, isGzip: plan.isGzip), due: due)
            schedule(due)
        } catch {
            refuse(id, error, isWhole: headers.endStream)
        }
    }

    private func take(_ bytes: ByteBuffer, _ id: HTTP2StreamID) {
        guard let stream = streams[id], stream.phase == .receiving else { return }
        do throws(GRPCRefusal) {
            let before = stream.message.byteCount
            defer { held.add(stream.message.byteCount - before) }
            try stream.message.append(bytes)
        } catch {
            return refuse(id, error)
        }
        if !held.hasRoom { refuse(id, .busy) }
    }

    private func end(_ id: HTTP2StreamID) {
        guard let stream = streams[id], stream.phase == .receiving else { return }
        stream.phase = .storing
        do throws(GRPCRefusal) {
            let (bytes, isCompressed) = try stream.message.finish()
            let sent = OTLPIntake.Sent(
                bytes: bytes, isGzip: isCompressed, bytesMax: limits.messageBytesMax)
            intake.take(
                sent, signal: stream.plan.signal, encoding: .protobuf, peer: peer,
                receiver: .otlpGRPC
            ) { verdict in
                self.answer(id, verdict, stream.plan.signal)
            }
            letGo(of: stream)
        } catch {
            refuse(id, error, isWhole: true)
        }
    }

    private func letGo(of stream: Stream) {
        held.add(-stream.message.byteCount)
        stream.message = GRPCMessage(bytesMax: 0, isGzip: false)
    }

    private func forget(_ id: HTTP2StreamID) {
        guard let stream = streams.removeValue(forKey: id) else { return }
        letGo(of: stream)
        lastUse = .now()
        if isDraining && streams.isEmpty { leave() }
    }

    /// Room for as much again, so that no peer waits for it: what a message may have is bounded in other ways.
    private func widen(from size: Int) {
        guard size < GRPCSettings.windowBytes / 2, !isLeaving else { return }
        write(
            .rootStream, .windowUpdate(windowSizeIncrement: GRPCSettings.windowBytes - size))
    }

    // MARK: Out

    private func answer(_ id: HTTP2StreamID, _ verdict: OTLPVerdict, _ signal: OTLPSignal) {
        // It may have been reset, or be gone with its connection.
        guard let stream = streams[id] else { return }
        guard case .stored(let rejections) = verdict else {
            return refuse(id, GRPCRefusal(verdict) ?? .busy, isWhole: true)
        }
        let response = ExportResponse(
            rejected: Int64(clamping: rejections.total), message: rejections.description)
        answered(stream, .ok)
        write(id, .headers(.init(headers: GRPCAnswer.head)))
        let message = GRPCAnswer.message(response.encoded(signal, .protobuf))
        write(id, .data(.init(data: .byteBuffer(message))))
        write(id, .headers(.init(headers: GRPCAnswer.trailers, endStream: true)))
        flush()
    }

    /// `isWhole`: the peer has sent all of the call. Else it is told to stop.
    private func refuse(_ id: HTTP2StreamID, _ refusal: GRPCRefusal, isWhole: Bool = false) {
        if let stream = streams[id] {
            letGo(of: stream)
            answered(stream, refusal.code)
        } else {
            intake.counts.answered(refusal.code.name)
        }
        write(id, .headers(.init(headers: GRPCAnswer.refusal(refusal), endStream: true)))
        if !isWhole { write(id, .rstStream(.noError)) }
        flush()
    }

    private func answered(_ stream: Stream, _ code: GRPCCode) {
        intake.counts.answered(code.name)
        stream.phase = .answered
        stream.due = .now() + TimeAmount(limits.requestDeadline)
        schedule(stream.due)
    }

    private func write(_ id: HTTP2StreamID, _ payload: HTTP2Frame.FramePayload) {
        context?.write(wrapOutboundOut(HTTP2Frame(streamID: id, payload: payload)), promise: nil)
    }

    private func flush() {
        if !isReading { context?.flush() }
    }

    private func sayGoodbye() {
        guard !goodbye.isSaid else { return }
        write(.rootStream, .goAway(lastStreamID: lastStream, errorCode: .noError, opaqueData: nil))
    }

    /// Ends the connection without a reset: one would take the last answers away from a peer that is still
    /// sending.
    private func leave() {
        guard !isLeaving, let context else { return }
        sayGoodbye()
        isLeaving = true
        context.flush()
        context.close(mode: .output, promise: nil)
        schedule(.now() + TimeAmount(limits.leavingDeadline))
    }

    // MARK: Time

    /// Looks at what is late at `due`, or before.
    private func schedule(_ due: NIODeadline) {
        if let watch, watch.due <= due { return }
        guard let context else { return }
        watch?.task.cancel()
        let task = context.eventLoop.assumeIsolated().scheduleTask(deadline: due) { self.late() }
        watch = (due, task)
    }

    private func late() {
        watch = nil
        let now = NIODeadline.now()
        if isLeaving {
            context?.close(promise: nil)
            return
        }
        for (id, stream) in streams where stream.due <= now {
            switch stream.phase {
            case .receiving: refuse(id, .late)
            // The peer does not make room for its answer.
            case .answered: write(id, .rstStream(.cancel))
            case .storing: break
            }
        }
        flush()
        let idleEnd = lastUse + TimeAmount(limits.idleDeadline)
        if streams.isEmpty && idleEnd <= now { return leave() }
        // A peer that does not read anything at all.
        if let channel = context?.channel, !channel.isWritable, idleEnd <= now {
            context?.close(promise: nil)
            return
        }
        let soonest = streams.values.filter { $0.phase != .storing }.map(\.due).min()
        schedule(max(min(soonest ?? idleEnd, idleEnd), now + .milliseconds(5)))
    }
}
