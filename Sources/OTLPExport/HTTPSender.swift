import AsyncHTTPClient
import NIOCore
import NIOHTTP1
import NIOPosix

/// Requests over HTTP/1.1, with TLS where the URL says https. Nothing is made before the first request.
package final class HTTPSender: RequestSender {
    /// Bytes of an answer: more is no answer of OTLP.
    private static let answerBytesMax = 1 << 20
    private static let connectLimit = TimeAmount.seconds(10)

    private let settings: ConnectionSettings
    private var group: MultiThreadedEventLoopGroup?
    /// By the proxy that they go through.
    private var clients: [ProxyAddress?: HTTPClient] = [:]
    private var isClosed = false

    /// A sender without a connection.
    package init(_ settings: ConnectionSettings = ConnectionSettings()) {
        self.settings = settings
    }

    package func send(
        _ request: OutgoingRequest, timeout: Duration,
        completion: @escaping @Sendable (SendOutcome) -> Void
    ) {
        if isClosed { return completion(.closed) }
        do {
            var headers = HTTPHeaders()
            for header in request.headers { headers.add(name: header.name, value: header.value) }
            let outgoing = try HTTPClient.Request(
                url: request.url, method: .POST, headers: headers,
                body: .byteBuffer(ByteBuffer(bytes: request.body)))
            let answer = ResponseAccumulator(
                request: outgoing, maxBodySize: Self.answerBytesMax)
            let proxy = settings.proxy.proxy(
                isSecure: outgoing.scheme == "https", host: outgoing.host)
            let (host, port) = (outgoing.host, outgoing.port)
            try client(proxy).execute(
                request: outgoing, delegate: answer, deadline: .now() + TimeAmount(timeout)
            ).futureResult.whenComplete {
                completion(Self.outcome($0, host: proxy?.host ?? host, port: proxy?.port ?? port))
            }
        } catch let problem as ConnectionProblem {
            completion(.failed(problem.description))
        } catch {
            completion(.failed(ErrorSentence.of(error)))
        }
    }

    package func close() {
        isClosed = true
        let closing = clients.values
        clients = [:]
        for client in closing {
            // It is over either way: its connections are closed, and their requests failed.
            do { try client.syncShutdown() } catch { continue }
        }
        let ending = group
        group = nil
        do { try ending?.syncShutdownGracefully() } catch { return }
    }

    private func client(_ proxy: ProxyAddress?) throws(ConnectionProblem) -> HTTPClient {
        if let client = clients[proxy] { return client }
        let group = group ?? MultiThreadedEventLoopGroup(numberOfThreads: 1)
        self.group = group
        var configuration = HTTPClient.Configuration(
            tlsConfiguration: try settings.tls(), redirectConfiguration: .disallow,
            timeout: .init(connect: Self.connectLimit), proxy: proxy?.client)
        configuration.httpVersion = .http1Only
        let client = HTTPClient(
            eventLoopGroupProvider: .shared(group), configuration: configuration)
        clients[proxy] = client
        return client
    }

    private static func outcome(
        _ result: Result<HTTPClient.Response, any Error>, host: String, port: Int
    ) -> SendOutcome {
        switch result {
        case .success(let response):
            return .answered(
                status: Int(response.status.code),
                retryAfter: response.headers.first(name: "retry-after"),
                contentType: response.headers.first(name: "content-type"),
                body: response.body.map { Array($0.readableBytesView) } ?? [])
        case .failure(let error):
            let problem = ConnectionProblem(error, host: host, port: port)
            return .failed(problem?.description ?? "no answer: \(ErrorSentence.of(error))")
        }
    }
}
