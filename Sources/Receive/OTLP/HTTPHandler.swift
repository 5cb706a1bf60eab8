internal import Compression
internal import NIOCore
internal import NIOHTTP1
internal import OTLPCodec
internal import SegmentLog
internal import SystemIO
internal import TelemetryBatch

/// One HTTP connection: requests in, each handed to the intake when it is whole, answers out. Requests that
/// are pipelined wait for the answer before theirs.
///
/// `idle` → `receiving` → `storing` → `idle`; a refusal of a request whose body is still to come drops that
/// first, or, if it closes, for a moment only.
final class HTTPHandler: ChannelInboundHandler, OTLPConnection {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private enum State {
        case idle
        case receiving(HTTPRequestPlan)
        /// The request is refused; its body is dropped.
        case refusing(HTTPRefusal)
        case storing(OTLPEncoding)
        /// Answered for the last time; what still comes is dropped.
        case leaving
    }

    private let intake: OTLPIntake
    private let rules: HTTPRules
    private let peer: PeerIdentity
    private let registry: OTLPConnections
    private let number: UInt64
    private var state = State.idle
    private var keepsAlive = true
    private var body = ByteBuffer()
    private var held: HeldBytes
    /// When it is late; nil while nothing is waited for.
    private var deadline: NIODeadline?
    /// Looks whether it is late, at that time or before it: most requests need none of their own.
    private var look: (at: NIODeadline, task: Scheduled<Void>)?
    private var context: ChannelHandlerContext?
    /// How the request before the end of its head, or none, wanted its answer.
    private var encoding = OTLPEncoding.protobuf
    /// The agent ends: the answer that is due is the last.
    private var isDraining = false

    init(
        intake: OTLPIntake, rules: HTTPRules, peer: PeerIdentity, registry: OTLPConnections,
        number: UInt64
    ) {
        self.intake = intake
        self.rules = rules
        self.peer = peer
        self.registry = registry
        self.number = number
        held = HeldBytes(intake.admission, uid: peer.uid)
    }

    // MARK: Life

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        registry.add(self, number: number)
        watch(registry.limits.idleDeadline)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        look?.task.cancel()
        letGoOfBody()
        registry.remove(number: number)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        switch state {
        case .idle, .receiving, .refusing:
            guard error is HTTPParserError else { fallthrough }
            refuse(
                HTTPRefusal(status: .badRequest, message: "not HTTP/1.1: \(error)", closes: true))
        case .storing, .leaving: context.close(promise: nil)
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if let event = event as? ChannelEvent, event == .inputClosed {
            // A peer that has sent all it wants may still read its answer.
            if case .storing = state { keepsAlive = false } else { context.close(promise: nil) }
        }
        context.fireUserInboundEventTriggered(event)
    }

    /// A peer that does not read its answers is not heard until it does.
    func channelWritabilityChanged(context: ChannelHandlerContext) {
        context.channel.setOption(.autoRead, value: context.channel.isWritable)
            .assumeIsolated().whenFailure { _ in context.close(promise: nil) }
        context.fireChannelWritabilityChanged()
    }

    /// Whether nothing of a request is here but for the beginning of its head.
    var isIdle: Bool { if case .idle = state { true } else { false } }

    /// Whether a request is arriving.
    var isReceiving: Bool {
        switch state {
        case .receiving, .refusing: true
        case .idle, .storing, .leaving: false
        }
    }

    /// Whether the last answer was given.
    var isLeaving: Bool { if case .leaving = state { true } else { false } }

    /// Others need the place.
    func makeRoom() {
        switch state {
        case .idle, .leaving: context?.close(promise: nil)
        case .receiving, .refusing: refuse(.crowded)
        case .storing: break
        }
    }

    /// The agent ends.
    func drain() {
        isDraining = true
        if isIdle { context?.close(promise: nil) }
    }

    // MARK: In

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head): begin(head)
        case .body(let bytes): take(bytes)
        case .end: end()
        }
    }

    private func begin(_ head: HTTPRequestHead) {
        guard case .idle = state else { return }
        registry.touch(number: number)
        keepsAlive = head.isKeepAlive && !isDraining
        watch(registry.limits.requestDeadline)
        do throws(HTTPRefusal) {
            let plan = try rules.plan(head)
            encoding = plan.encoding
            guard intake.admission.hasRoom else { throw HTTPRefusal.busy }
            state = .receiving(plan)
            if plan.expectsContinue {
                write(HTTPResponseHead(version: .http1_1, status: .continue))
            }
        } catch {
            // A peer that waits for leave to send its body gets its answer now, and no leave.
            let isAwaited = head.headers.contains(name: "expect")
            if error.closes || isAwaited { refuse(error) } else { state = .refusing(error) }
        }
    }

    private func take(_ bytes: ByteBuffer) {
        guard case .receiving = state else { return }
        var bytes = bytes
        let count = bytes.readableBytes
        guard body.readableBytes + count <= registry.limits.bodyBytesMax else {
            return refuse(HTTPRefusal.tooLarge(registry.limits.bodyBytesMax))
        }
        // A slice keeps all that was read with it: worth it for what is counted only.
        if body.readableBytes == 0, count >= HeldBytes.uncountedBytes {
            body = bytes
        } else {
            body.writeBuffer(&bytes)
        }
        held.add(count)
        if !held.hasRoom { refuse(.busy) }
    }

    private func end() {
        switch state {
        case .refusing(let refusal): return refuse(refusal, isWhole: true)
        case .receiving(let plan): return store(plan)
        case .idle, .storing, .leaving: return
        }
    }

    private func letGoOfBody() {
        held.add(-body.readableBytes)
        body = ByteBuffer()
    }

    private func store(_ plan: HTTPRequestPlan) {
        state = .storing(plan.encoding)
        // The log has its own limits; whoever waits for it is bounded by them.
        deadline = nil
        // The next request may begin before this one is dealt with.
        let whole = body
        body = ByteBuffer()
        defer { held.add(-whole.readableBytes) }
        let sent = OTLPIntake.Sent(
            bytes: whole, isGzip: plan.isGzip, bytesMax: registry.limits.bodyBytesMax)
        intake.take(
            sent, signal: plan.signal, encoding: plan.encoding, peer: peer, receiver: .otlpHTTP
        ) { verdict in
            self.answer(verdict, plan)
        }
    }

    // MARK: Out

    private func answer(_ verdict: OTLPVerdict, _ plan: HTTPRequestPlan) {
        switch verdict {
        case .stored(let rejections):
            let answer = ExportResponse(
                rejected: Int64(clamping: rejections.total), message: rejections.description)
            respond(.ok, answer.encoded(plan.signal, plan.encoding), closes: false)
        case .malformed(let error):
            let status = error.isTooLarge ? HTTPResponseStatus.payloadTooLarge : .badRequest
            refuse(HTTPRefusal(status: status, message: "\(error)"), isWhole: true)
        case .tooLarge(let limit): refuse(HTTPRefusal.tooLarge(limit), isWhole: true)
        case .damaged(let error):
            refuse(HTTPRefusal(status: .badRequest, message: error.description), isWhole: true)
        case .busy: refuse(.busy, isWhole: true)
        case .failed(let code): refuse(Self.refusal(of: code), isWhole: true)
        }
    }

    private static func refusal(of code: WireError) -> HTTPRefusal {
        switch code {
        case .storageFull: HTTPRefusal(.serviceUnavailable, .logFull)
        case .limitExceeded:
            HTTPRefusal(status: .payloadTooLarge, message: "a batch is too large for the log")
        default: HTTPRefusal(.serviceUnavailable, .notStored(code))
        }
    }

    /// `isWhole`: the request has come to its end, so that another may follow. Before that there is no telling
    /// where the next one begins.
    private func refuse(_ refusal: HTTPRefusal, isWhole: Bool = false) {
        letGoOfBody()
        let body = RPCStatus(code: refusal.status.rpcCode, message: refusal.message)
            .encoded(encoding)
        var headers: [(String, String)] = []
        if let seconds = refusal.retryAfter { headers.append(("Retry-After", "\(seconds)")) }
        if let allow = refusal.allow { headers.append(("Allow", allow)) }
        respond(refusal.status, body, headers, closes: refusal.closes || !isWhole)
    }

    private func respond(
        _ status: HTTPResponseStatus, _ body: [UInt8], _ more: [(String, String)] = [],
        closes: Bool
    ) {
        guard let context else { return }
        intake.counts.answered("\(status.code)")
        let stays = keepsAlive && !closes && !isDraining
        var head = HTTPResponseHead(version: .http1_1, status: status)
        head.headers.add(name: "Content-Type", value: encoding.mediaType)
        head.headers.add(name: "Content-Length", value: "\(body.count)")
        for (name, value) in more { head.headers.add(name: name, value: value) }
        if !stays { head.headers.add(name: "Connection", value: "close") }
        write(head)
        if !body.isEmpty {
            context.write(
                wrapOutboundOut(.body(.byteBuffer(ByteBuffer(bytes: body)))), promise: nil)
        }
        // The next request may arrive from within the write.
        state = stays ? .idle : .leaving
        watch(stays ? registry.limits.idleDeadline : registry.limits.leavingDeadline)
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        // Without a reset: one would take the answer away from a peer that is still sending.
        if !stays { context.close(mode: .output, promise: nil) }
    }

    private func write(_ head: HTTPResponseHead) {
        guard let context else { return }
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        if head.status == .continue { context.flush() }
    }

    // MARK: Time

    private func watch(_ limit: Duration) {
        let end = NIODeadline.now() + TimeAmount(limit)
        deadline = end
        if let look, look.at <= end { return }
        lookAgain(at: end)
    }

    private func lookAgain(at time: NIODeadline) {
        look?.task.cancel()
        look = context.map { context in
            let loop = context.eventLoop.assumeIsolated()
            return (time, loop.scheduleTask(deadline: time) { self.lookWhetherLate() })
        }
    }

    private func lookWhetherLate() {
        look = nil
        guard let deadline else { return }
        if deadline > NIODeadline.now() { return lookAgain(at: deadline) }
        switch state {
        case .receiving, .refusing:
            refuse(
                HTTPRefusal(
                    status: .requestTimeout, message: "the body did not come in time",
                    closes: true))
        case .idle, .storing, .leaving: context?.close(promise: nil)
        }
    }
}

extension HTTPResponseStatus {
    /// The nearest code of google.rpc.Code.
    var rpcCode: Int32 {
        switch self {
        case .badRequest, .payloadTooLarge, .unsupportedMediaType: 3
        case .requestTimeout: 4
        case .notFound: 5
        case .forbidden: 7
        case .tooManyRequests: 8
        case .methodNotAllowed: 12
        case .serviceUnavailable: 14
        default: 2
        }
    }
}
