internal import NIOCore

/// What serves a connection, whatever it speaks.
protocol OTLPConnection: AnyObject {
    /// Whether nothing of a request is here.
    var isIdle: Bool { get }
    /// Whether requests are arriving, and none is on its way to the log.
    var isReceiving: Bool { get }
    /// Whether all is said, and it stays only for what the peer may still be sending.
    var isLeaving: Bool { get }
    /// Others need the place: it leaves, or, if it does so already, ends at once.
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
    /// When each was last used, by a clock that counts uses.
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
            let next = oldest { $0.isIdle } ?? oldest { $0.isReceiving } ?? oldest { $0.isLeaving }
            guard let next else { return nil }
            handlers[next]?.makeRoom()
            if handlers.count >= limits.connectionsMax + leavingMax {
                oldest { $0.isLeaving }.flatMap { handlers[$0] }?.makeRoom()
            }
        }
        clock += 1
        return clock
    }

    /// Those that were told to go and have not gone stand beside `connectionsMax`.
    private var leavingMax: Int { max(limits.connectionsMax / 8, 1) }

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
