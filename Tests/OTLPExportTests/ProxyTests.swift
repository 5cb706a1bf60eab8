import OTLPCodec
import Synchronization
import Testing

@testable import OTLPExport

@Suite struct `The way to a backend` {
    private func rules(_ variables: [String: String]) -> ProxyRules {
        ProxyRules { variables[$0] }
    }

    @Test func `leads through the environment's proxy, by the scheme`() {
        let found = rules([
            "HTTPS_PROXY": "http://user:secret@proxy:3128", "http_proxy": "plain:8080",
        ])
        let secure = found.proxy(isSecure: true, host: "backend.example")
        #expect(secure?.host == "proxy")
        #expect(secure?.port == 3128)
        #expect(secure?.credentials == "user:secret")
        #expect(found.proxy(isSecure: false, host: "backend.example")?.host == "plain")
        #expect(rules([:]).proxy(isSecure: true, host: "backend.example") == nil)
    }

    @Test(arguments: [
        ("localhost", false), ("127.0.0.1", false), ("[::1]", false), ("inner.example", false),
        ("a.inner.example", false), ("other.example", false), ("10.1.2.3", false),
        ("winner.example", true), ("inner.example.org", true), ("10.1.2.4", true),
    ])
    func `leads past it for what NO_PROXY names, and for this host`(
        _ host: String, _ isProxied: Bool
    ) {
        let found = rules([
            "HTTPS_PROXY": "proxy:3128", "NO_PROXY": "inner.example, .other.example,10.1.2.3",
        ])
        #expect((found.proxy(isSecure: true, host: host) != nil) == isProxied)
        let all = rules(["HTTPS_PROXY": "proxy:3128", "NO_PROXY": "*"])
        #expect(all.proxy(isSecure: true, host: host) == nil)
        // What is configured is meant.
        var explicit = found
        explicit.explicit = ProxyAddress("http://mine:1")
        #expect(explicit.proxy(isSecure: true, host: host)?.host == "mine")
    }

    @Test(arguments: [
        ("socks5://u:secret@p:1", "b.example", "HTTPS_PROXY is not used, and b.example is reached"),
        ("https://p", "b.example", "HTTPS_PROXY is not used"), ("http://p", "b.example", nil),
        ("", "b.example", nil), ("https://p", "localhost", nil), ("https://p", "in.exempt", nil),
    ])
    func `one that cannot be used is said where it would be`(
        proxy: String, host: String, expected: String?
    ) {
        let variables = ["HTTPS_PROXY": proxy, "NO_PROXY": "exempt"]
        let problems = ProxyRules.problems(for: [(true, host)]) { variables[$0] }
        #expect(problems.count == (expected == nil ? 0 : 1))
        #expect(problems.first?.hasPrefix(expected ?? "") != false)
        #expect(problems.first?.contains("secret") != true)
        #expect(ProxyRules.problems(for: [(false, host)]) { variables[$0] } == [])
    }

    @Test func `of two that cannot be used each is said`() {
        let variables = ["HTTPS_PROXY": "https://p", "http_proxy": "socks5://p:1"]
        let problems = ProxyRules.problems(for: [(true, "a.example"), (false, "b.example")]) {
            variables[$0]
        }
        #expect(problems.count == 2)
        #expect(problems.first?.hasPrefix("HTTPS_PROXY is not used, and a.example") == true)
        #expect(problems.last?.hasPrefix("http_proxy is not used, and b.example") == true)
    }

    @Test(arguments: [
        "https://proxy", "socks5://proxy:1", "proxy:0", "", "http://", "a/b:1", "http://[::1",
        "a b",
    ])
    func `leads through no proxy of another kind`(_ text: String) {
        #expect(ProxyAddress(text) == nil)
    }

    @Test func `names the key of a file that is wrong`() {
        var settings = ConnectionSettings()
        settings.caFile = "/nonexistent/ca.pem"
        do throws(ConnectionProblem) {
            _ = try settings.tls()
            Issue.record("there is no such file")
        } catch {
            #expect(error.description.hasPrefix("tls.ca_file /nonexistent/ca.pem"))
        }
    }

    @Test(arguments: [true, false])
    func `is not made again for a request that comes after its end`(_ isGRPC: Bool) {
        let sender: any RequestSender =
            isGRPC
            ? GRPCSender(.tcp(host: "127.0.0.1", port: 1), isSecure: false, ConnectionSettings())
            : HTTPSender()
        sender.close()
        let outcomes = Mutex<[SendOutcome]>([])
        let request = OutgoingRequest(
            signal: .traces, url: "http://127.0.0.1:1/v1/traces", headers: [], body: [])
        sender.send(request, timeout: .seconds(1)) { outcome in
            outcomes.withLock { $0.append(outcome) }
        }
        #expect(outcomes.withLock { $0 } == [.closed])
    }
}
