package import Logging
internal import NIOCore
internal import NIOPosix
package import SegmentLog
internal import ServiceLifecycle
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

    private let listener: Listener
    private let intake: Intake
    private let group: MultiThreadedEventLoopGroup
    private let logger: Logger
    private let whenOpen: @Sendable () -> Void
    private let drainLimit = Duration.seconds(5)

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
        let server = try await bind().get()
        logger.info("intake open", metadata: ["socket": "\(describe)"])
        whenOpen()
        await withTaskCancellationOrGracefulShutdownHandler {
            await waitForClose(server)
        } onCancelOrGracefulShutdown: {
            self.intake.drain()
            // Connections that wait to be accepted are accepted before the listener closes.
            server.eventLoop.scheduleTask(in: .milliseconds(50)) {
                server.close(promise: nil)
            }
        }
        await intake.waitUntilEmpty(limit: drainLimit)
        if case .path(let path, _) = listener { removeOurs(path) }
        try await group.shutdownGracefully()
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

    private func waitForClose(_ server: any Channel) async {
        do {
            try await server.closeFuture.get()
        } catch {
            logger.error("the listening socket failed", metadata: ["error": "\(error)"])
        }
    }

    private func removeOurs(_ path: String) {
        do {
            _ = try Files.remove(path)
        } catch {
            logger.warning("the socket could not be removed", metadata: ["error": "\(error)"])
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
