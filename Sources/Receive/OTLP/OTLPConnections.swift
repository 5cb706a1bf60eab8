internal import NIOCore

/// What serves a connection, whatever it speaks.
protocol OTLPConnection: AnyObject {
    /// Whether nothing of a request is here.
    var isIdle: Bool { get }
    /// Whether requests are arriving, and none is on its way to the log.
    var isReceiving: Bool { get }
    /// Others need the place.
    func makeRoom()
    /// The agent ends: no more requests; the connection closes with the last answer.
    func drain()
}

/// The open connections of an OTLP receiver, least recently used first. Lives on the event loop.
///
/// Senders keep connections open between requests: when there are too many, the one that has been idle for
/// longest makes room, else the one whose request has been arriving for longest, so that nobody can shut
/// others out by connecting, nor by sending slowly.
final class OTLPConnections {
    let limits: OTLPLimits
    private var handlers: [UInt64: any OTLPConnection] = [:]
    /// Numbers with the time of their last use, a count; the oldest are few at the front.
    private var uses: [UInt64: UInt64] = [:]
    private var clock: UInt64 = 0
    private var isDraining = false
    private var whenEmpty: [EventLoopPromise<Void>] = []

    init(limits: OTLPLimits) {
        self.limits = limits
    }

    /// A number for a connection, or nil if there is no room and nobody to make some.
    func admit() -> UInt64? {
        if handlers.count >= limits.connectionsMax {
            guard let oldest = oldest({ $0.isIdle }) ?? oldest({ $0.isReceiving }) else {
                return nil
            }
            handlers[oldest]?.makeRoom()
        }
        clock += 1
        return clock
    }

    private func oldest(_ isMeant: (any OTLPConnection) -> Bool) -> UInt64? {
        handlers.filter { isMeant($0.value) }.keys
            .min { uses[$0, default: 0] < uses[$1, default: 0] }
    }

    func add(_ handler: any OTLPConnection, number: UInt64) {
        handlers[number] = handler
        touch(number: number)
        if isDraining { handler.drain() }
    }

    func touch(number: UInt64) {
        clock += 1
        uses[number] = clock
    }

    func remove(number: UInt64) {
        handlers[number] = nil
        uses[number] = nil
        guard handlers.isEmpty else { return }
        for promise in whenEmpty { promise.succeed() }
        whenEmpty = []
    }

    /// Every connection ends once its request is answered; succeeds when the last has gone.
    func drain(_ promise: EventLoopPromise<Void>) {
        isDraining = true
        for handler in handlers.values { handler.drain() }
        if handlers.isEmpty { promise.succeed() } else { whenEmpty.append(promise) }
    }

    /// Open ones.
    var count: Int { handlers.count }
}
