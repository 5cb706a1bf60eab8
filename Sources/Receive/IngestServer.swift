package import Logging
internal import NIOCore
internal import NIOPosix
package import SegmentLog
internal import ServiceLifecycle
internal import Synchronization
package import SystemIO
internal import TelemetryBatch

/// The socket that producers write to: accepts, identifies, admits; each connection is a
/// `PeerHandler`. One event loop serves all of them.
package final class IngestServer: Service {
    /// The listening socket: handed over by a service manager, or ours.
    package enum Listener: Sendable {
        /// A descriptor that somebody else bound; the path stays when we end.
        case handed(Int32)
        /// A path to bind: a stale socket there is replaced, a live one never.
        case path(String, mode: UInt32)
    }

    private struct Listening {
        var channel: (any Channel)?
        var name: SocketName?
    }

    private let listener: Listener
    private let intake: Intake
    private let group: MultiThreadedEventLoopGroup
    private let logger: Logger
    private let whenOpen: @Sendable () -> Void
    private let drainLimit = Duration.seconds(5)
    /// The listener in force, and its name if that is ours: changed when the name was lost. Guards both.
    private let listening = Mutex(Listening())
    private let ended = AsyncStream<Void>.makeStream()

    /// Listens when `run` is called, and calls `whenOpen` then. `log` outlives the server.
    package init(
        listener: Listener, log: GroupCommit, admission: Admission, ledger: IntakeLedger,
        logger: Logger, failpoints: Failpoints? = nil,
        whenOpen: @escaping @Sendable () -> Void = {}
    ) {
        self.whenOpen = whenOpen
        self.listener = listener
        self.logger = logger
        group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        intake = Intake(
            eventLoop: group.next(), log: log, admission: admission, ledger: ledger,
            logger: logger, failpoints: failpoints)
    }

    /// When the event loop last turned, by the monotonic clock in nanoseconds: asks the loop itself, so
    /// that an answer proves it lives.
    package func probe(_ answered: @escaping @Sendable () -> Void) {
        group.next().execute(answered)
    }

    /// Serves until graceful shutdown: then no more connections; what has arrived is taken, committed
    /// and acknowledged; peers that read are told to come back.
    package func run() async throws {
        try use(try await bind().get())
        logger.info("intake open", metadata: ["socket": "\(describe)"])
        whenOpen()
        await withTaskCancellationOrGracefulShutdownHandler {
            for await _ in ended.stream {}
        } onCancelOrGracefulShutdown: {
            self.intake.drain()
            // Connections that wait to be accepted are accepted before the listener closes.
            self.group.next().scheduleTask(in: .milliseconds(50)) { self.stopListening() }
        }
        await intake.waitUntilEmpty(limit: drainLimit)
        try await group.shutdownGracefully()
    }

    /// Whether the socket's name is ours to care for: nobody handed it over.
    package var nameIsOurs: Bool {
        if case .path = listener { return true }
        return false
    }

    /// What has the socket's name now, nil if it was not opened yet or it is not ours to care for.
    package var nameState: SocketName.State? { listening.withLock { $0.name }?.state }

    /// Listens anew at the listener's path, whose name is gone; connections that are open stay. Blocks
    /// while the event loop takes it over: not from there.
    package func listenAgain() throws {
        let fresh = try bind().wait()
        try use(fresh)?.close(promise: nil)
        logger.notice("intake open again", metadata: ["socket": "\(describe)"])
    }

    /// The listener that it takes the place of.
    @discardableResult
    private func use(_ channel: any Channel) throws -> (any Channel)? {
        var name: SocketName?
        if case .path(let path, _) = listener { name = try SocketName(path) }
        let old = listening.withLock { listening in
            defer { listening = Listening(channel: channel, name: name) }
            return listening.channel
        }
        channel.closeFuture.whenComplete { _ in
            // One that was replaced is no end.
            let isCurrent = self.listening.withLock { $0.channel === channel }
            if isCurrent { self.ended.continuation.finish() }
        }
        return old
    }

    private func stopListening() {
        let last = listening.withLock { $0 }
        last.channel?.close(promise: nil)
        do {
            try last.name?.remove()
        } catch {
            logger.warning("the socket could not be removed", metadata: ["error": "\(error)"])
        }
    }

    private var describe: String {
        switch listener {
        case .handed(let number): "handed over (descriptor \(number))"
        case .path(let path, _): path
        }
    }

    private func bind() throws -> EventLoopFuture<any Channel> {
        let number: Int32
        switch listener {
        case .handed(let descriptor): number = descriptor
        case .path(let path, let mode): number = try listen(at: path, mode: mode)
        }
        let intake = self.intake
        return ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 512)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelOption(.maxMessagesPerRead, value: 16)
            .childChannelOption(
                .recvAllocator,
                value: AdaptiveRecvByteBufferAllocator(
                    minimum: 4096, initial: 65_536, maximum: 262_144)
            )
            .childChannelInitializer { channel in intake.admit(channel) }
            .withBoundSocket(number)
    }

    private func listen(at path: String, mode: UInt32) throws(IngestError) -> Int32 {
        do {
            return try UnixSocket.listenAnew(path, mode: mode, blocking: false) {
                logger.notice("a stale socket was replaced", metadata: ["socket": "\(path)"])
            }.release()
        } catch {
            throw .socket(error)
        }
    }
}

/// Why the intake could not be opened.
package enum IngestError: Error, CustomStringConvertible {
    /// Nobody can listen at the socket's path.
    case socket(ListenError)

    /// A sentence.
    package var description: String {
        switch self {
        case .socket(.system(let error)): "\(error)"
        case .socket(let problem): "\(problem) with --socket or CODEX_TELEMETRY_SOCKET"
        }
    }
}
