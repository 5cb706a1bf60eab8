internal import NIOHTTP1
internal import OTLPCodec

/// An answer that refuses a request.
struct HTTPRefusal: Error, Equatable {
    let status: HTTPResponseStatus
    /// What is wrong and what to do about it.
    let message: String
    /// Seconds after which to try again.
    var retryAfter: UInt64?
    /// Methods that are allowed, with 405.
    var allow: String?
    /// Whether what follows on the connection cannot be trusted, or is not worth reading.
    var closes = false

    /// The answer to a body beyond the limit.
    static func tooLarge(_ limit: Int) -> HTTPRefusal {
        HTTPRefusal(
            status: .payloadTooLarge,
            message: "the body is larger than \(limit) bytes; send smaller batches", closes: true)
    }
}

/// A request as its head describes it, after all rules of the head.
struct HTTPRequestPlan: Equatable {
    let signal: OTLPSignal
    let encoding: OTLPEncoding
    let isGzip: Bool
    let expectsContinue: Bool
}

/// The rules for the head of a request (OTLP/HTTP 1.x; `Origin` and `Host` against web pages that reach for
/// this port through a browser, and through a name that resolves to it).
struct HTTPRules: Sendable, Equatable {
    /// Bytes of a body, as sent and once decompressed.
    var bodyBytesMax: Int
    /// Host names that requests may be for; nil: any, as on a socket of the file system.
    var hosts: Set<String>? = HTTPRules.loopbackHosts

    /// Names of this host that nobody else can have.
    static let loopbackHosts: Set<String> = ["localhost", "127.0.0.1", "[::1]"]

    private static func signal(_ path: Substring.UTF8View) -> OTLPSignal? {
        for (known, signal) in paths where path.elementsEqual(known.utf8) { return signal }
        return nil
    }

    private static let paths: [(String, OTLPSignal)] = [
        ("/v1/traces", .traces), ("/v1/logs", .logs), ("/v1/metrics", .metrics),
    ]

    /// What to do with a request that has this head.
    func plan(_ head: HTTPRequestHead) throws(HTTPRefusal) -> HTTPRequestPlan {
        try checkOrigin(head)
        guard let signal = Self.signal(head.uri.utf8.prefix { $0 != UInt8(ascii: "?") }) else {
            throw HTTPRefusal(
                status: .notFound,
                message: "no such path; there are /v1/traces, /v1/logs and /v1/metrics")
        }
        guard head.method == .POST else {
            throw HTTPRefusal(
                status: .methodNotAllowed, message: "only POST is allowed", allow: "POST")
        }
        let encoding = try encoding(head)
        let isGzip = try isGzip(head)
        let lengths = head.headers[canonicalForm: "content-length"]
        if let length = lengths.first.flatMap({ Int($0) }), length > bodyBytesMax {
            throw HTTPRefusal.tooLarge(bodyBytesMax)
        }
        let expect = head.headers[canonicalForm: "expect"]
        guard expect.allSatisfy({ $0.lowercased() == "100-continue" }) else {
            throw HTTPRefusal(
                status: .expectationFailed, message: "Expect may only be 100-continue", closes: true
            )
        }
        return HTTPRequestPlan(
            signal: signal, encoding: encoding, isGzip: isGzip, expectsContinue: !expect.isEmpty)
    }

    private func checkOrigin(_ head: HTTPRequestHead) throws(HTTPRefusal) {
        if head.headers.contains(name: "origin") {
            throw HTTPRefusal(
                status: .forbidden, message: "requests of web pages (Origin) are not taken",
                closes: true)
        }
        guard let hosts else { return }
        let named = head.headers["host"]
        guard named.count == 1, let host = named.first else {
            if named.isEmpty && head.version == .http1_0 { return }
            throw HTTPRefusal(
                status: .badRequest, message: "exactly one Host is needed", closes: true)
        }
        guard hosts.contains(Self.name(of: host)) else {
            throw HTTPRefusal(
                status: .forbidden,
                message: "this is not the host \(host.prefix(100)); use localhost", closes: true)
        }
    }

    /// A host without its port, in lower case.
    static func name(of host: String) -> String {
        let host = host.lowercased()
        if host.hasPrefix("["), let end = host.firstIndex(of: "]") { return String(host[...end]) }
        return String(host.prefix { $0 != ":" })
    }

    private static let mediaTypes: [(String, OTLPEncoding)] = [
        ("application/x-protobuf", .protobuf), ("application/json", .json),
        ("application/protobuf", .protobuf),
    ]

    private func encoding(_ head: HTTPRequestHead) throws(HTTPRefusal) -> OTLPEncoding {
        let type = head.headers["content-type"].first ?? ""
        let media = type.utf8.prefix { $0 != UInt8(ascii: ";") }
        for (known, encoding) in Self.mediaTypes where media.isToken(known) { return encoding }
        throw HTTPRefusal(
            status: .unsupportedMediaType,
            message: "Content-Type must be application/x-protobuf or application/json")
    }

    private func isGzip(_ head: HTTPRequestHead) throws(HTTPRefusal) -> Bool {
        let codings = head.headers[canonicalForm: "content-encoding"].map { $0.lowercased() }
            .filter { $0 != "identity" }
        if codings.isEmpty { return false }
        if codings == ["gzip"] { return true }
        throw HTTPRefusal(
            status: .unsupportedMediaType, message: "Content-Encoding must be gzip or identity")
    }
}

extension Substring.UTF8View {
    /// Whether it is this token, which is in lower case, with whatever case and blanks around it.
    fileprivate func isToken(_ token: String) -> Bool {
        var rest = self
        while let byte = rest.last, byte == 0x20 || byte == 0x09 { rest.removeLast() }
        while let byte = rest.first, byte == 0x20 || byte == 0x09 { rest.removeFirst() }
        return rest.elementsEqual(token.utf8) { byte, lower in
            let isUpper = (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte)
            return (isUpper ? byte | 0x20 : byte) == lower
        }
    }
}
