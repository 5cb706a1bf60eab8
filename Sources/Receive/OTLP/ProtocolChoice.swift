internal import NIOCore
internal import NIOHTTP1
internal import SegmentLog

/// A connection before its first bytes, which say whether it speaks HTTP/1.1 or, with the preface of RFC 9113,
/// 3.4, HTTP/2. Every place takes both: who has the wrong one of two ports is served all the same. And what
/// HTTP/2 needs is not made before somebody speaks it.
final class ProtocolChoice: ChannelInboundHandler, RemovableChannelHandler, OTLPConnection {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    /// No method of HTTP/1.1 begins so.
    private static let preface = Array("PRI ".utf8)

    private let intake: OTLPIntake
    private let registry: OTLPConnections
    private let peer: PeerIdentity
    private let number: UInt64
    private let hosts: Set<String>?
    private var received = ByteBuffer()
    private var isChosen = false
    private var deadline: Scheduled<Void>?
    private var context: ChannelHandlerContext?

    /// `hosts`: names that requests may be for, nil for any.
    init(
        intake: OTLPIntake, registry: OTLPConnections, peer: PeerIdentity, number: UInt64,
        hosts: Set<String>?
    ) {
        self.intake = intake
        self.registry = registry
        self.peer = peer
        self.number = number
        self.hosts = hosts
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        registry.add(self, number: number)
        deadline = context.eventLoop.assumeIsolated().scheduleTask(
            in: TimeAmount(registry.limits.idleDeadline)
        ) { context.close(promise: nil) }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        deadline?.cancel()
        if !isChosen { registry.remove(number: number) }
    }

    var isIdle: Bool { true }
    var isReceiving: Bool { false }
    var isLeaving: Bool { false }
    func makeRoom() { context?.close(promise: nil) }
    func drain() { context?.close(promise: nil) }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if !isChosen, let event = event as? ChannelEvent, event == .inputClosed {
            context.close(promise: nil)
        }
        context.fireUserInboundEventTriggered(event)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        if isChosen { return context.fireChannelRead(data) }
        received.writeBuffer(&bytes)
        let start = received.readableBytesView.prefix(Self.preface.count)
        guard Self.preface.starts(with: start) else { return choose(context, isHTTP2: false) }
        if start.count == Self.preface.count { choose(context, isHTTP2: true) }
    }

    private func choose(_ context: ChannelHandlerContext, isHTTP2: Bool) {
        isChosen = true
        do {
            let operations = context.pipeline.syncOperations
            if isHTTP2 {
                let goodbye = GoodbyeWatch()
                try operations.addHandlers(
                    GRPCSettings.handler(registry.limits, goodbye),
                    GRPCHandler(
                        intake: intake, rules: GRPCRules(hosts: hosts), peer: peer,
                        registry: registry, number: number, goodbye: goodbye))
            } else {
                // The headers of answers are this program's own.
                try operations.configureHTTPServerPipeline(
                    withPipeliningAssistance: true, withErrorHandling: false,
                    withOutboundHeaderValidation: false)
                let rules = HTTPRules(bodyBytesMax: registry.limits.bodyBytesMax, hosts: hosts)
                try operations.addHandler(
                    HTTPHandler(
                        intake: intake, rules: rules, peer: peer, registry: registry,
                        number: number))
            }
            context.fireChannelRead(wrapInboundOut(received))
            received = ByteBuffer()
            operations.removeHandler(context: context, promise: nil)
        } catch {
            // The channel is closing already.
            context.close(promise: nil)
        }
    }
}
