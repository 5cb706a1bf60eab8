import OTLPCodec
import Testing

@testable import OTLPExport

@Suite struct `What an answer means` {
    private func answer(
        _ status: Int, retryAfter: String? = nil, _ body: [UInt8] = [], type: String? = nil
    ) -> OTLPAnswer {
        OTLPAnswer(
            .answered(status: status, retryAfter: retryAfter, contentType: type, body: body),
            .traces, wallSeconds: 784_111_777 - 60)
    }

    @Test(arguments: [200, 202]) func `it was taken`(status: Int) {
        #expect(answer(status) == .taken(rejected: 0, message: ""))
        #expect(answer(status, Array("fine".utf8)) == .taken(rejected: 0, message: ""))
        for encoding in [OTLPEncoding.protobuf, .json] {
            let body = ExportResponse(rejected: 3, message: "too old").encoded(.traces, encoding)
            let type = encoding == .json ? "application/json" : "application/x-protobuf"
            #expect(answer(status, body, type: type) == .taken(rejected: 3, message: "too old"))
        }
    }

    @Test(arguments: ["text/html", "Text/HTML; charset=utf-8", "application/xhtml+xml"])
    func `a web page is no answer of a receiver`(type: String) {
        guard case .retry(seconds: nil, let reason) = answer(200, Array("<html>".utf8), type: type)
        else {
            Issue.record("it was taken for an answer")
            return
        }
        #expect(reason.hasPrefix("answered 200 with a web page"))
        #expect(reason.contains("correct the exporter's endpoint"))
        #expect(answer(200, [], type: type) == .taken(rejected: 0, message: ""))
    }

    @Test(arguments: ["text/plain", "application/json", "application/x-protobuf", nil])
    func `other bodies that say nothing are taken for yes`(type: String?) {
        #expect(answer(200, Array("ok".utf8), type: type) == .taken(rejected: 0, message: ""))
    }

    @Test func `what a backend says is made fit for a terminal`() {
        let words = "red \u{1B}[31m" + String(repeating: "x", count: 1000)
        let body = ExportResponse(rejected: 1, message: words).encoded(.traces, .protobuf)
        guard case .taken(1, let message) = answer(200, body, type: nil) else {
            Issue.record("it is no partial success")
            return
        }
        #expect(message.hasPrefix("red \u{FFFD}[31mxxx"))
        #expect(message.utf8.count <= 303)
    }

    @Test(arguments: [429, 502, 503, 504]) func `it may be sent again`(status: Int) {
        let reason = "answered \(status)"
        #expect(answer(status) == .retry(seconds: nil, reason: reason))
        #expect(answer(status, retryAfter: "7") == .retry(seconds: 7, reason: reason))
        #expect(answer(status, retryAfter: "soon") == .retry(seconds: nil, reason: reason))
        #expect(answer(status, retryAfter: "999999") == .retry(seconds: 3600, reason: reason))
        let date = "Sun, 06 Nov 1994 08:49:37 GMT"
        #expect(answer(status, retryAfter: date) == .retry(seconds: 60, reason: reason))
    }

    @Test(arguments: [301, 400, 401, 404, 500, 501]) func `it must not be`(status: Int) {
        let body = RPCStatus(code: 3, message: "no").encoded(.json)
        #expect(
            answer(status, retryAfter: "7", body, type: "application/json")
                == .rejected(reason: "answered \(status): no"))
    }

    @Test func `there was none`() {
        let outcome = SendOutcome.failed("no connection")
        #expect(
            OTLPAnswer(outcome, .logs, wallSeconds: 0)
                == .retry(seconds: nil, reason: "no connection"))
    }

    @Test(arguments: [
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0), ("Tue, 29 Feb 2000 12:00:00 GMT", 951_825_600),
        ("Fri, 31 Dec 1999 23:59:59 GMT", 946_684_799),
        ("Mon, 01 Mar 2100 00:00:00 GMT", 4_107_542_400),
    ]) func `dates`(text: String, seconds: UInt64) {
        #expect(OTLPAnswer.seconds(text, wallSeconds: 0) == seconds)
    }

    @Test(arguments: [
        "", "-1", "1.5", "Sun, 06 Nov 1994", "Sun, 32 Nov 1994 08:49:37 GMT", "a b c d e GMT",
    ])
    func `what is neither seconds nor a date`(text: String) {
        #expect(OTLPAnswer.seconds(text, wallSeconds: 0) == nil)
    }
}
