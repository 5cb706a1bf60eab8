internal import Logging
internal import NIOCore
internal import SegmentLog
internal import Synchronization
internal import SystemIO
internal import TelemetryBatch

/// What became of a batch that was handed to the log.
enum SettledOutcome: Sendable {
    case stored(LogOffset)
    case duplicate
    case failed(WireError)

    init(_ result: Result<AppendOutcome, LogError>) {
        switch result {
        case .success(.stored(let offset)): self = .stored(offset)
        case .success(.duplicate): self = .duplicate
        case .failure(.full), .failure(.interrupted): self = .failed(.storageFull)
        case .failure(.tooLarge): self = .failed(.limitExceeded)
        case .failure: self = .failed(.storageFailed)
        }
    }
}

/// An outcome on its way back to its connection.
struct Settlement: Sendable {
    let connection: UInt64
    let header: BatchHeader
    let records: UInt64
    let bytes: Int
    var outcome = SettledOutcome.failed(.storageFailed)

    init(connection: UInt64, summary: BatchSummary, bytes: Int) {
        self.connection = connection
        header = summary.header
        records = UInt64(summary.records)
        self.bytes = bytes
    }

    func with(_ outcome: SettledOutcome) -> Settlement {
        var copy = self
        copy.outcome = outcome
        return copy
    }
}

extension AppendRequest {
    /// A checked batch, with what the log wants to know of it and does not look for itself.
    init(
        payload: [UInt8], payloadCRC: UInt32, peer: PeerIdentity, receiver: ReceiverKind,
        summary: BatchSummary
    ) {
        self.init(
            payload: payload, payloadCRC: payloadCRC, peer: peer, receiver: receiver,
            producer: summary.header.producer, sequence: summary.header.sequence,
            records: summary.records, spans: summary.spans, logs: summary.logs,
            earliest: summary.earliest, latest: summary.latest, traceIDs: summary.traceIDs)
    }
}

/// What all connections share. The registry belongs to the event loop.
final class Intake: Sendable {
    let eventLoop: any EventLoop
    let log: GroupCommit
    let admission: Admission
    let ledger: IntakeLedger
    let logger: Logger
    let failpoints: Failpoints?
    let mailbox: Mailbox<Settlement>

    private struct Registry {
        var handlers: [UInt64: PeerHandler] = [:]
        /// The connections of each producer, in the order of their hellos: the first one's batches go to
        /// the log, the others wait for it to leave. A producer's sequences rise only if one writes.
        var producers: [DedupeKey: [UInt64]] = [:]
        var isDraining = false
        var whenEmpty: [EventLoopPromise<Void>] = []
    }

    private let registry: NIOLoopBoundBox<Registry>
    private let numbers = Atomic<UInt64>(0)

    init(
        eventLoop: any EventLoop, log: GroupCommit, admission: Admission, ledger: IntakeLedger,
        logger: Logger, failpoints: Failpoints?
    ) {
        self.failpoints = failpoints
        self.eventLoop = eventLoop
        self.log = log
        self.admission = admission
        self.ledger = ledger
        self.logger = logger
        let registry = NIOLoopBoundBox.makeBoxSendingValue(Registry(), eventLoop: eventLoop)
        self.registry = registry
        mailbox = Mailbox(eventLoop: eventLoop) { letters in
            // Several batches of one connection that came together get one ack.
            var touched: [UInt64: PeerHandler] = [:]
            for letter in letters {
                let handler = registry.value.handlers[letter.connection]
                handler?.settle(letter)
                touched[letter.connection] = handler
            }
            for handler in touched.values { handler.settledGroup() }
        }
    }

    // MARK: On the event loop

    var isDraining: Bool { registry.value.isDraining }

    /// Identifies a new connection and gives it a place, or tells it why not.
    func admit(_ channel: any Channel) -> EventLoopFuture<Void> {
        ledger.opened()
        return PeerInspection.identity(of: channel).flatMapThrowing { peer in
            let uid = peer.uid ?? UInt32.max
            guard self.admission.enter(uid: uid) else {
                self.ledger.closed(cause: WireError.tooManyConnections.name)
                try channel.pipeline.syncOperations.addHandler(Refusal())
                return
            }
            let number = self.numbers.wrappingAdd(1, ordering: .relaxed).newValue
            try channel.pipeline.syncOperations.addHandler(
                PeerHandler(intake: self, peer: peer, number: number))
        }
    }

    func register(_ handler: PeerHandler, number: UInt64) {
        registry.value.handlers[number] = handler
        if registry.value.isDraining { handler.drain() }
    }

    /// A connection said hello; true if it is its producer's only one. Else the one before it is told to
    /// leave, and `proceed` is called when its turn has come.
    func claim(_ key: DedupeKey, number: UInt64) -> Bool {
        let before = registry.value.producers[key]?.last
        registry.value.producers[key, default: []].append(number)
        guard let before else { return true }
        registry.value.handlers[before]?.yield()
        return false
    }

    private func release(_ key: DedupeKey, number: UInt64) {
        guard var queue = registry.value.producers[key], let place = queue.firstIndex(of: number)
        else { return }
        queue.remove(at: place)
        registry.value.producers[key] = queue.isEmpty ? nil : queue
        guard place == 0, let next = queue.first else { return }
        // Not from within what the leaving one is doing.
        eventLoop.assumeIsolated().execute { self.registry.value.handlers[next]?.proceed() }
    }

    func unregister(number: UInt64, peer: PeerIdentity, producer: DedupeKey?) {
        registry.value.handlers[number] = nil
        if let producer { release(producer, number: number) }
        admission.leave(uid: peer.uid ?? UInt32.max)
        guard registry.value.handlers.isEmpty else { return }
        for promise in registry.value.whenEmpty { promise.succeed() }
        registry.value.whenEmpty = []
    }

    // MARK: From outside

    /// Every connection is to end once what it has sent is dealt with.
    func drain() {
        eventLoop.execute {
            self.registry.value.isDraining = true
            for handler in self.registry.value.handlers.values { handler.drain() }
        }
    }

    /// Waits until the last connection has gone, at most `limit`.
    func waitUntilEmpty(limit: Duration) async {
        let promise = eventLoop.makePromise(of: Void.self)
        eventLoop.execute {
            if self.registry.value.handlers.isEmpty {
                promise.succeed()
            } else {
                self.registry.value.whenEmpty.append(promise)
                self.eventLoop.scheduleTask(in: TimeAmount(limit)) { promise.succeed() }
            }
        }
        do {
            try await promise.futureResult.get()
        } catch {
            logger.warning(
                "connections were still open at the end", metadata: ["error": "\(error)"])
        }
    }
}

/// Tells a connection for which there is no place so, and closes it.
private final class Refusal: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    func channelActive(context: ChannelHandlerContext) {
        let frame = Throttle(.tooManyConnections, delayMilliseconds: 5000).frame
        context.writeAndFlush(NIOAny(ByteBuffer(bytes: frame.encoded)), promise: nil)
        context.close(promise: nil)
    }
}
