import NIOCore
import NIOHTTP2
import OTLPCodec

/// The calls on one HTTP/2 connection, behind `NIOHTTP2Handler`: each a stream that is begun and ended by us, and
/// whose answer is whole with its trailers.
final class GRPCCalls: ChannelInboundHandler {
    typealias InboundIn = HTTP2Frame
    typealias OutboundOut = HTTP2Frame

    private struct Active {
        let call: GRPCCall
        let began: NIODeadline
        let deadline: Scheduled<Void>
        var arrival = GRPCArrival()
    }

    /// Room for answers, which are small.
    private static let windowBytes = 4 << 20
    private static let initialWindowBytes = 65_535

    private var context: ChannelHandlerContext?
    private var active: [HTTP2StreamID: Active] = [:]
    /// Calls from before the preface was sent: a connection is there before it is active.
    private var early: [GRPCCall] = []
    private var hasBegun = false
    private var nextStream = HTTP2StreamID(1)
    private var lastArrival = NIODeadline.now()
    private var isEnding = false
    /// Calls that were answered while we may still be sending.
    private var answered: Set<HTTP2StreamID> = []
    private let faults: FaultWatch
    /// What was wrong with the connection.
    private var problem: (any Error)?

    init(_ faults: FaultWatch) { self.faults = faults }

    /// The handler before this one.
    static func handler(_ faults: FaultWatch) -> NIOHTTP2Handler {
        var connection = NIOHTTP2Handler.ConnectionConfiguration()
        connection.initialSettings = [
            HTTP2Setting(parameter: .enablePush, value: 0),
            HTTP2Setting(parameter: .maxHeaderListSize, value: 16_384),
            HTTP2Setting(parameter: .initialWindowSize, value: GRPCArrival.bytesMax),
        ]
        connection.maximumBufferedControlFrames = 1000
        return NIOHTTP2Handler(
            mode: .client, frameDelegate: faults, connectionConfiguration: connection)
    }

    /// Whether another call may be begun.
    var takesMore: Bool { !isEnding && nextStream < .maxID }

    func start(_ call: GRPCCall) {
        guard let context, !isEnding else {
            return call.completion(.failed("the connection was lost"))
        }
        guard hasBegun else { return early.append(call) }
        let id = nextStream
        nextStream = nextStream.advanced(by: 2)
        let deadline = context.eventLoop.assumeIsolated().scheduleTask(in: call.timeout) {
            self.late(id)
        }
        active[id] = Active(call: call, began: .now(), deadline: deadline)
        let begun = context.eventLoop.makePromise(of: Void.self)
        begun.futureResult.assumeIsolated().whenFailure { error in
            let reason = self.problem ?? error
            self.settle(id, .failed("the connection was lost: \(ErrorSentence.of(reason))"))
        }
        let head = HTTP2Frame(streamID: id, payload: .headers(.init(headers: call.headers)))
        context.write(wrapOutboundOut(head), promise: begun)
        write(id, .data(.init(data: .byteBuffer(call.message), endStream: true)))
        context.flush()
    }

    // MARK: Life

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
    }

    func channelActive(context: ChannelHandlerContext) {
        hasBegun = true
        widen(from: Self.initialWindowBytes)
        let calls = early
        early = []
        for call in calls { start(call) }
        context.flush()
        context.fireChannelActive()
    }

    func channelInactive(context: ChannelHandlerContext) {
        end()
        context.fireChannelInactive()
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        end()
    }

    private func end() {
        isEnding = true
        let sentence =
            problem.map { "the connection was lost: \(ErrorSentence.of($0))" }
            ?? "the connection was lost"
        for id in active.keys { settle(id, .failed(sentence)) }
        for call in early { call.completion(.failed(sentence)) }
        early = []
    }

    /// What is wrong with one stream resets that stream; anything else ends the connection.
    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if error is any NIOHTTP2Error, !faults.isFound { return }
        problem = problem ?? error
        context.close(promise: nil)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case let event as StreamClosedEvent:
            answered.remove(event.streamID)
            let reason = event.reason.map { "it says \($0.name)" } ?? "without an answer"
            settle(event.streamID, .failed("the backend ended the call: \(reason)"))
            leaveIfDone()
        case let event as NIOHTTP2WindowUpdatedEvent:
            if event.streamID == .rootStream, let size = event.inboundWindowSize {
                widen(from: size)
            }
        default: break
        }
        context.fireUserInboundEventTriggered(event)
    }

    // MARK: In

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        lastArrival = .now()
        let frame = unwrapInboundIn(data)
        let id = frame.streamID
        switch frame.payload {
        case .headers(let headers):
            active[id]?.arrival.take(headers.headers)
            if headers.endStream { finish(id) }
        case .data(let data):
            if case .byteBuffer(let bytes) = data.data,
                active[id]?.arrival.take(bytes) == false
            {
                return giveUp(id, "the answer is longer than \(GRPCArrival.bytesMax) bytes")
            }
            if data.endStream { finish(id) }
        case .goAway:
            // Calls that it does not take are closed behind this; those that it has taken are answered yet.
            isEnding = true
            leaveIfDone()
        default: break
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        // Whoever answers before all of the call has come does not want the rest.
        for id in answered { write(id, .rstStream(.cancel)) }
        answered = []
        context.flush()
        context.fireChannelReadComplete()
    }

    private func finish(_ id: HTTP2StreamID) {
        guard let found = active[id] else { return }
        settle(id, found.arrival.outcome)
        answered.insert(id)
        leaveIfDone()
    }

    private func settle(_ id: HTTP2StreamID, _ outcome: SendOutcome) {
        guard let found = active.removeValue(forKey: id) else { return }
        found.deadline.cancel()
        found.call.completion(outcome)
    }

    private func late(_ id: HTTP2StreamID) {
        guard let found = active[id] else { return }
        // Where nothing comes at all the way may be gone without a word; the next call goes another.
        let isSilent = lastArrival < found.began
        giveUp(id, "no answer within \(found.call.timeout.nanoseconds / 1_000_000_000) s")
        guard isSilent else { return }
        isEnding = true
        context?.close(promise: nil)
    }

    private func giveUp(_ id: HTTP2StreamID, _ sentence: String) {
        settle(id, .failed(sentence))
        write(id, .rstStream(.cancel))
        context?.flush()
        leaveIfDone()
    }

    private func leaveIfDone() {
        if isEnding && active.isEmpty { context?.close(promise: nil) }
    }

    // MARK: Out

    private func widen(from size: Int) {
        guard size < Self.windowBytes / 2 else { return }
        write(.rootStream, .windowUpdate(windowSizeIncrement: Self.windowBytes - size))
    }

    private func write(_ id: HTTP2StreamID, _ payload: HTTP2Frame.FramePayload) {
        context?.write(wrapOutboundOut(HTTP2Frame(streamID: id, payload: payload)), promise: nil)
    }
}

/// Whether the connection has ended for a fault of the backend's.
final class FaultWatch: NIOHTTP2FrameDelegate {
    private(set) var isFound = false

    func wroteFrame(_ frame: HTTP2Frame) {
        if case .goAway(_, let code, _) = frame.payload, code != .noError { isFound = true }
    }
}
