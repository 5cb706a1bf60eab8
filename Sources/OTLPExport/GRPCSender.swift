import NIOCore
import NIOHTTP2
import NIOPosix
import NIOSSL

/// Requests over gRPC: unary calls on one HTTP/2 connection, made with the first, and anew when it is lost.
package final class GRPCSender: RequestSender {
    /// Where the backend is.
    package enum Place: Sendable, Equatable {
        /// A host and a port.
        case tcp(host: String, port: Int)
        /// A socket of the file system.
        case path(String)
    }

    private struct Running {
        let group: MultiThreadedEventLoopGroup
        let loop: any EventLoop
        let link: NIOLoopBound<GRPCLink>
    }

    private let place: Place
    private let isSecure: Bool
    private let settings: ConnectionSettings
    private var running: Running?
    private var isClosed = false

    /// A sender without a connection. `isSecure`: with TLS, as `settings` says.
    package init(_ place: Place, isSecure: Bool, _ settings: ConnectionSettings) {
        self.place = place
        self.isSecure = isSecure
        self.settings = settings
    }

    package func send(
        _ request: OutgoingRequest, timeout: Duration,
        completion: @escaping @Sendable (SendOutcome) -> Void
    ) {
        if isClosed { return completion(.closed) }
        do throws(ConnectionProblem) {
            let running = try start()
            let call = GRPCCall(
                request, authority: authority, isSecure: isSecure, timeout: timeout,
                completion: completion)
            running.loop.execute { running.link.value.start(call) }
        } catch {
            completion(.failed(error.description))
        }
    }

    package func close() {
        isClosed = true
        guard let running else { return }
        self.running = nil
        running.loop.execute { running.link.value.close() }
        do { try running.group.syncShutdownGracefully() } catch {
            // It is over either way: the connection is closed, and its calls failed.
            return
        }
    }

    private var authority: String {
        switch place {
        case .tcp(let host, let port): host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
        case .path: "localhost"
        }
    }

    private func start() throws(ConnectionProblem) -> Running {
        if let running { return running }
        var context: NIOSSLContext?
        if isSecure {
            var tls = try settings.tls()
            tls.applicationProtocols = ["h2"]
            do { context = try NIOSSLContext(configuration: tls) } catch {
                throw ConnectionProblem("TLS cannot be set up: \(ErrorSentence.of(error))")
            }
        }
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let loop = group.next()
        let secure = context
        let place = place
        let made = loop.submit {
            NIOLoopBound(GRPCLink(loop: loop, place: place, context: secure), eventLoop: loop)
        }
        do {
            let running = Running(group: group, loop: loop, link: try made.wait())
            self.running = running
            return running
        } catch {
            throw ConnectionProblem(ErrorSentence.of(error))
        }
    }
}

/// The connection of a sender, while there is one. Lives on its event loop.
///
/// `idle` → `connecting` → `open` → `idle`, from each of which it may be `closed`.
final class GRPCLink {
    private enum State {
        case idle
        case connecting([GRPCCall])
        case open(any Channel, GRPCCalls)
        case closed
    }

    private static let connectLimit = TimeAmount.seconds(10)

    private let loop: any EventLoop
    private let place: GRPCSender.Place
    private let context: NIOSSLContext?
    private var state = State.idle

    init(loop: any EventLoop, place: GRPCSender.Place, context: NIOSSLContext?) {
        self.loop = loop
        self.place = place
        self.context = context
    }

    func start(_ call: GRPCCall) {
        switch state {
        case .idle:
            state = .connecting([call])
            connect(limit: min(Self.connectLimit, call.timeout))
        case .connecting(let calls): state = .connecting(calls + [call])
        case .open(_, let calls) where calls.takesMore: calls.start(call)
        case .open:
            // The backend takes no more calls on it; those that are under way end there.
            state = .connecting([call])
            connect(limit: min(Self.connectLimit, call.timeout))
        case .closed: call.completion(.closed)
        }
    }

    func close() {
        switch state {
        case .idle, .closed: break
        case .connecting(let calls):
            for call in calls { call.completion(.closed) }
        case .open(let channel, _): channel.close(promise: nil)
        }
        state = .closed
    }

    private func connect(limit: TimeAmount) {
        let context = self.context
        let serverName = serverName
        let bootstrap = ClientBootstrap(group: loop).connectTimeout(limit)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let operations = channel.pipeline.syncOperations
                    if let context {
                        try operations.addHandler(
                            NIOSSLClientHandler(context: context, serverHostname: serverName))
                    }
                    let faults = FaultWatch()
                    try operations.addHandlers(GRPCCalls.handler(faults), GRPCCalls(faults))
                }
            }
        let connecting =
            switch place {
            case .tcp(let host, let port): bootstrap.connect(host: host, port: port)
            case .path(let path): bootstrap.connect(unixDomainSocketPath: path)
            }
        connecting.assumeIsolated().whenComplete { result in
            switch result {
            case .success(let channel): self.opened(channel)
            case .failure(let error): self.failed(error)
            }
        }
    }

    /// Only a name can be asked for and verified as one (RFC 6066, 3).
    private var serverName: String? {
        guard case .tcp(let host, _) = place else { return nil }
        do {
            _ = try SocketAddress(ipAddress: host, port: 0)
            return nil
        } catch {
            return host
        }
    }

    private func opened(_ channel: any Channel) {
        guard case .connecting(let waiting) = state else {
            return channel.close(promise: nil)
        }
        do {
            let calls = try channel.pipeline.syncOperations.handler(type: GRPCCalls.self)
            state = .open(channel, calls)
            channel.closeFuture.assumeIsolated().whenComplete { _ in
                if case .open(let current, _) = self.state, current === channel {
                    self.state = .idle
                }
            }
            for call in waiting { calls.start(call) }
        } catch {
            // It was lost as soon as it was there.
            failed(error)
        }
    }

    private func failed(_ error: any Error) {
        guard case .connecting(let waiting) = state else { return }
        state = .idle
        let problem: ConnectionProblem? =
            switch place {
            case .tcp(let host, let port): ConnectionProblem(error, host: host, port: port)
            case .path: nil
            }
        let sentence = problem?.description ?? "no connection: \(ErrorSentence.of(error))"
        for call in waiting { call.completion(.failed(sentence)) }
    }
}
