import NIOHTTP1
import OTLPCodec
import Testing

@testable import Receive

@Suite struct `The head of an OTLP request` {
    private func head(
        _ method: HTTPMethod = .POST, _ path: String = "/v1/traces",
        _ headers: [(String, String)] = [("Host", "localhost:4318")],
        type: String = "application/x-protobuf"
    ) -> HTTPRequestHead {
        var head = HTTPRequestHead(version: .http1_1, method: method, uri: path)
        head.headers.add(contentsOf: HTTPHeaders(headers))
        head.headers.add(name: "Content-Type", value: type)
        return head
    }

    private func status(_ head: HTTPRequestHead) -> UInt {
        do throws(HTTPRefusal) {
            _ = try HTTPRules(bodyBytesMax: 100).plan(head)
            return 200
        } catch {
            return error.status.code
        }
    }

    @Test func `each signal has its path, each encoding its type`() throws {
        let rules = HTTPRules(bodyBytesMax: 100)
        #expect(try rules.plan(head(.POST, "/v1/logs?x=1")).signal == .logs)
        #expect(try rules.plan(head(.POST, "/v1/metrics")).signal == .metrics)
        #expect(try rules.plan(head(type: "Application/JSON; charset=utf-8")).encoding == .json)
        #expect(try rules.plan(head(type: "application/x-protobuf")).encoding == .protobuf)
        #expect(status(head(type: "")) == 415)
        #expect(status(head(.POST, "/v1/traces/")) == 404)
        #expect(status(head(.GET)) == 405)
    }

    @Test(arguments: ["localhost", "LOCALHOST:1", "127.0.0.1:4318", "[::1]", "[::1]:4318"])
    func `this host may be named`(_ host: String) {
        #expect(status(head(.POST, "/v1/traces", [("Host", host)])) == 200)
    }

    @Test(arguments: [
        "example.org", "localhost.example.org:4318", "127.0.0.1.nip.io", "[::2]", "", "10.0.0.1",
    ])
    func `another host may not`(_ host: String) {
        #expect(status(head(.POST, "/v1/traces", [("Host", host)])) == 403)
    }

    @Test func `no host, two hosts, or an origin are refused`() {
        #expect(status(head(.POST, "/v1/traces", [])) == 400)
        #expect(status(head(.POST, "/v1/traces", [("Host", "localhost"), ("Host", "x")])) == 400)
        let origin = [("Host", "localhost"), ("Origin", "http://localhost")]
        #expect(status(head(.POST, "/v1/traces", origin)) == 403)
        var any = HTTPRules(bodyBytesMax: 100)
        any.hosts = nil
        #expect(throws: HTTPRefusal.self) { try any.plan(self.head(.POST, "/v1/logs", origin)) }
        #expect(throws: Never.self) {
            try any.plan(self.head(.POST, "/v1/logs", [("Host", "example.org")]))
        }
    }

    @Test func `a length beyond the limit and an unknown expectation are refused`() {
        let host = ("Host", "localhost")
        #expect(status(head(.POST, "/v1/traces", [host, ("Content-Length", "100")])) == 200)
        #expect(status(head(.POST, "/v1/traces", [host, ("Content-Length", "101")])) == 413)
        #expect(status(head(.POST, "/v1/traces", [host, ("Expect", "100-Continue")])) == 200)
        #expect(status(head(.POST, "/v1/traces", [host, ("Expect", "a miracle")])) == 417)
    }
}
