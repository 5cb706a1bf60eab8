package import Logging
internal import NIOCore
internal import NIOPosix
internal import NIOSSL
package import SegmentLog
internal import ServiceLifecycle
internal import Synchronization
internal import SystemIO
internal import TLSFiles

/// The OTLP receiver, over HTTP and gRPC on each of its places (`ProtocolChoice`), one event loop for all. What
/// cannot be listened on is said, shown and tried again; everything else goes on.
package final class OTLPServer: Service {
    /// Where to listen.
    package enum Place: Sendable, Hashable {
        /// An address of this host and a port.
        case tcp(host: String, port: Int)
        /// The same with TLS: the only way in for other hosts.
        case secure(host: String, port: Int, PlaceTLS)
        /// A path in the file system: a stale socket there is replaced, a live one never.
        case path(String, mode: UInt32)
        /// A socket that a service manager handed over.
        case handed(Int32)

        /// As in `status`.
        package var description: String {
            switch self {
            case .tcp(let host, let port):
                host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
            case .secure(let host, let port, _):
                Place.tcp(host: host, port: port).description + " with TLS"
            case .path(let path, _): path
            case .handed(let number): "handed over (descriptor \(number))"
            }
        }

        /// Whether it speaks TLS.
        package var isSecure: Bool { if case .secure = self { true } else { false } }
    }

    /// How a place is.
    package struct PlaceStatus: Sendable, Equatable {
        /// Where.
        package internal(set) var place: String
        /// Why nobody can be heard there; nil if all is well.
        package var problem: String?
    }

    /// How often a place that was taken is tried again.
    private static let retryInterval = Duration.seconds(5)
    private static let drainLimit = Duration.seconds(5)

    private let places: [Place]
    private let ownUID: UInt32?
    private let limits: OTLPLimits
    private let log: GroupCommit
    private let admission: Admission
    private let ledger: IntakeLedger
    private let logger: Logger
    private let group: MultiThreadedEventLoopGroup
    /// Guards what is shown; held for a copy.
    private let shown: Mutex<[PlaceStatus]>
    /// Guards what new connections are secured with; held for a copy or a change.
    private let contexts = Mutex<[PlaceTLS: NIOSSLContext]>([:])
    private let counted = Mutex<OTLPLedger?>(nil)

    /// A receiver on these places. `ownUID`: only peers of this uid are served over TCP, nil: everybody's.
    package init(
        places: [Place], ownUID: UInt32?, log: GroupCommit, admission: Admission,
        ledger: IntakeLedger, limits: OTLPLimits = OTLPLimits(), logger: Logger
    ) {
        self.places = places
        self.ownUID = ownUID
        self.log = log
        self.admission = admission
        self.ledger = ledger
        self.logger = logger
        self.limits = limits
        group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        shown = Mutex(places.map { PlaceStatus(place: $0.description, problem: "not open yet") })
    }

    /// Each place and how it is.
    package var status: [PlaceStatus] { shown.withLock { $0 } }

    /// What was met since the start.
    package var counts: OTLPCounts { counted.withLock { $0?.snapshot } ?? OTLPCounts() }

    /// Reads certificates and keys again: what is accepted from now on has the new ones, connections that are open keep
    /// theirs. With files that are wrong the old ones stay; a sentence for each place where they are.
    package func renewCertificates() -> [String] {
        let used = contexts.withLock { Set($0.keys) }
        return used.compactMap { settings in
            do throws(PEMProblem) {
                let context = try settings.context()
                contexts.withLock { $0[settings] = context }
                return nil
            } catch {
                return error.description
            }
        }.sorted()
    }

    /// Serves until graceful shutdown: then no more connections; requests that are under way are answered.
    package func run() async throws {
        let loop = group.next()
        let parts = try await loop.submit { try self.makeParts(on: loop) }.get()
        await withTaskCancellationOrGracefulShutdownHandler {
            await withTaskGroup(of: Void.self) { tasks in
                for index in places.indices {
                    tasks.addTask { await self.keepOpen(index, parts) }
                }
            }
        } onCancelOrGracefulShutdown: {
            parts.stop()
        }
        await parts.drain(limit: Self.drainLimit)
        try await group.shutdownGracefully()
    }

    private func makeParts(on loop: any EventLoop) throws -> Parts {
        let intake = try OTLPIntake(
            eventLoop: loop, log: log, admission: admission, ledger: ledger, limits: limits,
            logger: logger)
        counted.withLock { $0 = intake.counts }
        let connections = NIOLoopBound(
            OTLPConnections(limits: limits), eventLoop: loop)
        return Parts(loop: loop, intake: intake, connections: connections)
    }

    /// Listens at a place until the end, from the first moment that this is possible.
    private func keepOpen(_ index: Int, _ parts: Parts) async {
        let place = places[index]
        while !parts.isStopping {
            do {
                let channel = try await open(place, parts)
                note(index, nil, at: channel)
                logger.info("OTLP intake open", metadata: ["place": "\(status[index].place)"])
                parts.keep(channel)
                try await channel.closeFuture.get()
                return
            } catch {
                note(index, sentence(error, place))
            }
            await parts.wait(atMost: Self.retryInterval)
        }
    }

    /// What was handed over has its address as its name once it is open.
    private func note(_ index: Int, _ problem: String?, at channel: (any Channel)? = nil) {
        let isNew = shown.withLock { shown in
            if case .handed = places[index], let address = channel?.localAddress {
                if let host = address.ipAddress, let port = address.port {
                    shown[index].place = Place.tcp(host: host, port: port).description
                } else {
                    shown[index].place = address.pathname ?? shown[index].place
                }
            }
            defer { shown[index].problem = problem }
            return shown[index].problem != problem
        }
        guard isNew, let problem else { return }
        logger.warning("OTLP on \(places[index].description): \(problem)")
    }

    /// Who has the port, where the kernel tells.
    private func sentence(_ error: any Error, _ place: Place) -> String {
        guard let error = error as? IOError, error.errnoCode == SystemError.addressInUse
        else { return "\(error)" }
        let (host, port): (String, Int)
        switch place {
        case .tcp(let its, let number), .secure(let its, let number, _):
            (host, port) = (its, number)
        case .path, .handed: return "\(error)"
        }
        return "port \(port) is taken\(owner(host, port)); tried again every 5 s"
    }

    private func owner(_ host: String, _ port: Int) -> String {
        do {
            let address = try SocketAddress(ipAddress: host, port: port)
            guard let local = TCPOwner.Address(address) else { return "" }
            let owner = try TCPOwner.listener(at: local)
            if let process = owner.process { return " by \(process.name) (pid \(process.pid))" }
            return " by a process of uid \(owner.uid)"
        } catch {
            return ""
        }
    }

    private func open(_ place: Place, _ parts: Parts) async throws -> any Channel {
        var settings: PlaceTLS?
        if case .secure(_, _, let its) = place {
            let context = try its.context()
            contexts.withLock { $0[its] = context }
            settings = its
        }
        let secure = settings
        let bootstrap = ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 512)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            // A flood of small requests on one connection must not keep the others waiting.
            .childChannelOption(.maxMessagesPerRead, value: 1)
            .childChannelOption(
                .recvAllocator,
                value: AdaptiveRecvByteBufferAllocator(
                    minimum: 2048, initial: 16_384, maximum: 65_536)
            )
            .childChannelInitializer { channel in self.admit(channel, secure, parts) }
        switch place {
        case .tcp(let host, let port), .secure(let host, let port, _):
            return try await bootstrap.bind(host: host, port: port).get()
        case .handed(let number): return try await bootstrap.withBoundSocket(number).get()
        case .path(let path, let mode):
            let number = try UnixSocket.listenAnew(path, mode: mode, blocking: false) {
                self.logger.notice("a stale socket was replaced", metadata: ["socket": "\(path)"])
            }.release()
            return try await bootstrap.withBoundSocket(number).get()
        }
    }

    private func admit(
        _ channel: any Channel, _ tls: PlaceTLS?, _ parts: Parts
    ) -> EventLoopFuture<Void> {
        ledger.opened()
        return PeerInspection.identity(of: channel).flatMapThrowing { peer in
            let isNetwork = channel.remoteAddress?.protocol != .unix
            if isNetwork, let ownUID = self.ownUID, let uid = peer.uid, uid != ownUID {
                self.ledger.closed(cause: "not_permitted")
                throw OTLPAdmissionError.foreignPeer
            }
            guard let number = parts.connections.value.admit() else {
                self.ledger.closed(cause: "too_many_connections")
                throw OTLPAdmissionError.full
            }
            let operations = channel.pipeline.syncOperations
            if let tls {
                // Made when the place was opened.
                guard let context = self.contexts.withLock({ $0[tls] }) else {
                    throw OTLPAdmissionError.unsecured
                }
                try operations.addHandler(NIOSSLServerHandler(context: context))
            }
            // With TLS a host has the names of its certificate, and no web page gets in with one of them.
            let isLoopback = isNetwork && tls == nil
            try operations.addHandler(
                ProtocolChoice(
                    intake: parts.intake, registry: parts.connections.value, peer: peer,
                    number: number, hosts: isLoopback ? HTTPRules.loopbackHosts : nil))
        }
    }
}

/// Why a connection is not served.
enum OTLPAdmissionError: Error {
    /// A peer of another user, at a user's own agent.
    case foreignPeer
    /// All connections are busy.
    case full
    /// There are no certificates for the place.
    case unsecured
}
