import Compression
import SegmentLog
import SystemIO
import Testing

@testable import Receive

@Suite(.timeLimit(.minutes(2)), .serialized) struct `OTLP over HTTP` {
    @Test func `a request is answered when it is in the log, and the connection stays`()
        async throws
    {
        let serving = try await OTLPServing()
        let client = try serving.client()
        for round in 1...3 {
            try client.post(spans(5))
            let answer = try #require(try client.answer())
            #expect(answer.status == 200)
            #expect(answer.headers["content-type"] == "application/x-protobuf")
            #expect(answer.body.isEmpty)
            #expect(serving.log.statistics.stored.records == UInt64(5 * round))
        }
        #expect(serving.ledger.snapshot.stored.records == 15)
        #expect(serving.server.counts.answers == ["200": 3])
        #expect(try await serving.end() == 15)
    }

    @Test func `a compressed body is taken, also of several members`() async throws {
        let serving = try await OTLPServing()
        let client = try serving.client()
        let compressor = try Compressor()
        let members = compressor.gzip(spans(3).span.bytes) + compressor.gzip(spans(4).span.bytes)
        try client.post(members, "Content-Encoding: gzip")
        #expect(try client.answer()?.status == 200)
        let empty = compressor.gzip([UInt8]().span.bytes)
        let many = Array(repeatElement(empty, count: Decompressor.membersMax + 1).joined())
        try client.post(many, "Content-Encoding: gzip")
        #expect(try client.answer()?.status == 400)
        try client.post(Array("not gzip".utf8), "Content-Encoding: gzip")
        #expect(try client.answer()?.status == 400)
        try client.post(spans(1), "Content-Encoding: br")
        #expect(try client.answer()?.status == 415)
        try client.post(spans(1))
        #expect(try client.answer()?.status == 200)
        #expect(try await serving.end() == 8)
    }

    @Test func `a body in pieces and requests in one piece are taken`() async throws {
        let serving = try await OTLPServing()
        let client = try serving.client()
        let body = spans(2)
        try client.send(
            "POST /v1/traces HTTP/1.1\r\nHost: localhost:4318\r\nTransfer-Encoding: chunked\r\n"
                + "Content-Type: application/x-protobuf; charset=utf-8\r\n\r\n")
        for byte in body { try client.send(Array("1\r\n".utf8) + [byte] + Array("\r\n".utf8)) }
        try client.send("0\r\n\r\n")
        for _ in 0..<20 { try client.post(body) }
        for _ in 0..<21 { #expect(try client.answer()?.status == 200) }
        #expect(try await serving.end() == 42)
    }

    @Test func `who asks first is told to go on, or why not`() async throws {
        let serving = try await OTLPServing()
        let client = try serving.client()
        let head =
            "Host: localhost\r\nExpect: 100-continue\r\nContent-Type: application/x-protobuf\r\n"
        let body = spans(1)
        try client.send(
            "POST /v1/traces HTTP/1.1\r\n\(head)Content-Length: \(body.count)\r\n\r\n")
        #expect(try client.answer()?.status == 100)
        try client.send(body)
        #expect(try client.answer()?.status == 200)
        try client.send("POST /v1/nothing HTTP/1.1\r\n\(head)Content-Length: 9\r\n\r\n")
        #expect(try client.answer()?.status == 404)
        #expect(try client.isClosed())
        #expect(try await serving.end() == 1)
    }

    @Test func `a body of the limit is taken, one byte more is not`() async throws {
        var limits = OTLPLimits()
        let body = spans(1)
        limits.bodyBytesMax = body.count
        let serving = try await OTLPServing(limits)
        for (body, status) in [(body, 200), (body + [0], 413)] {
            let client = try serving.client()
            try client.post(body)
            #expect(try client.answer()?.status == status)
            let chunked = try serving.client()
            try chunked.send(
                "POST /v1/traces HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
                    + "Content-Type: application/x-protobuf\r\n\r\n"
                    + String(body.count, radix: 16) + "\r\n")
            try chunked.send(body + Array("\r\n0\r\n\r\n".utf8))
            #expect(try chunked.answer()?.status == status)
            let packed = try serving.client()
            try packed.post(try Compressor().gzip(body.span.bytes), "Content-Encoding: gzip")
            // What does not shrink is too large as it comes.
            #expect([status, 413].contains(try packed.answer()?.status ?? 0))
        }
        #expect(serving.admission.partialBytes == 0)
        #expect(try await serving.end() >= 2)
    }

    @Test func `a bomb is refused before it goes off`() async throws {
        let serving = try await OTLPServing()
        let zeros = [UInt8](repeating: 0, count: 200 << 20)
        let bomb = try Compressor().gzip(zeros.span.bytes)
        #expect(bomb.count < 1 << 20)
        let client = try serving.client()
        try client.post(bomb, "Content-Encoding: gzip")
        #expect(try client.answer()?.status == 413)
        #expect(try await serving.end() == 0)
    }

    @Test func `what is no request is refused and the next one is taken`() async throws {
        let serving = try await OTLPServing()
        let client = try serving.client()
        try client.post(Array("hello".utf8))
        let answer = try #require(try client.answer())
        #expect(answer.status == 400)
        #expect(!answer.body.isEmpty)
        try client.post([])
        #expect(try client.answer()?.status == 200)
        try client.post(spans(1), path: "/v1/other")
        #expect(try client.answer()?.status == 404)
        try client.post(spans(1), "Content-Type: text/plain")
        #expect(try client.answer()?.status == 415)
        try client.send("GET /v1/traces HTTP/1.1\r\nHost: localhost\r\n\r\n")
        let wrong = try client.answer()
        #expect(wrong?.status == 405 && wrong?.headers["allow"] == "POST")
        #expect(serving.ledger.snapshot.refused["bad_value"]?.batches == 1)
        #expect(try await serving.end() == 0)
    }

    @Test func `what is not HTTP is told so and closed`() async throws {
        let serving = try await OTLPServing()
        let client = try serving.client()
        try client.send("CXTL\u{0}\u{1}\u{2}\r\n\r\n")
        #expect(try client.answer()?.status == 400)
        #expect(try client.isClosed())
        #expect(try await serving.end() == 0)
    }

    @Test func `who is slow is let go of`() async throws {
        var limits = OTLPLimits()
        limits.requestDeadline = .milliseconds(50)
        limits.idleDeadline = .milliseconds(100)
        let serving = try await OTLPServing(limits)
        let silent = try serving.client()
        let slow = try serving.client()
        try slow.send("POST /v1/tra")
        let late = try serving.client()
        try late.send(
            "POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n"
                + "Content-Type: application/x-protobuf\r\n\r\n")
        #expect(try late.answer()?.status == 408)
        #expect(try late.isClosed())
        #expect(try slow.isClosed())
        #expect(try silent.isClosed())
        #expect(try await serving.end() == 0)
    }

    @Test func `requests that trickle make room for those that come`() async throws {
        var limits = OTLPLimits()
        limits.connectionsMax = 4
        let serving = try await OTLPServing(limits)
        var slow: [HTTPClient] = []
        for _ in 0..<4 {
            let client = try serving.client()
            try client.send(
                "POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n"
                    + "Expect: 100-continue\r\nContent-Type: application/x-protobuf\r\n\r\n")
            #expect(try client.answer()?.status == 100)
            slow.append(client)
        }
        let late = try serving.client()
        try late.post(spans(1))
        #expect(try late.answer()?.status == 200)
        let answer = try #require(try slow[0].answer())
        #expect(answer.status == 503 && answer.headers["retry-after"] == "1")
        #expect(try slow[0].isClosed())
        #expect(serving.admission.partialBytes == 0)
        #expect(try await serving.end() == 1)
    }

    @Test func `thousands of requests in one piece are each answered`() async throws {
        let serving = try await OTLPServing()
        let client = try serving.client()
        let count = 1000
        let request = "POST /v1/none HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"
        try client.send(String(repeating: request, count: count))
        var answers = 0
        while answers < count, try client.answer()?.status == 404 { answers += 1 }
        #expect(answers == count)
        #expect(try await serving.end() == 0)
    }

    @Test func `a request that makes much of little is refused`() async throws {
        var limits = OTLPLimits()
        limits.batchBytesMax = 50_000
        let serving = try await OTLPServing(limits)
        let client = try serving.client()
        // Spans without anything in them: 10 KB in protobuf, 75 in batches.
        let list = (0..<10_000).map { UInt8($0 % 2 == 0 ? 0x12 : 0) }
        try client.post(field(0x0A, field(0x12, list)))
        #expect(try client.answer()?.status == 413)
        try client.post(spans(1))
        #expect(try client.answer()?.status == 200)
        #expect(serving.ledger.snapshot.received.records == 1)
        #expect(serving.admission.inFlightBytes == 0)
        #expect(try await serving.end() == 1)
    }

    @Test func `idle connections make room for those that come`() async throws {
        var limits = OTLPLimits()
        limits.connectionsMax = 4
        let serving = try await OTLPServing(limits)
        let first = try serving.client()
        try first.post(spans(1))
        #expect(try first.answer()?.status == 200)
        var idle: [HTTPClient] = []
        for _ in 0..<20 { idle.append(try serving.client()) }
        let late = try serving.client()
        try late.post(spans(1))
        #expect(try late.answer()?.status == 200)
        #expect(try first.isClosed())
        #expect(try await serving.end() == 2)
    }

    @Test func `with too much under way it says when to come again`() async throws {
        var intake = IntakeLimits()
        intake.inFlightBytesMax = 0
        let serving = try await OTLPServing(intake: intake)
        let client = try serving.client()
        try client.post(spans(1))
        let answer = try #require(try client.answer())
        #expect(answer.status == 429)
        #expect(answer.headers["retry-after"] == "1")
        #expect(try await serving.end() == 0)
    }

    @Test func `at the end what has begun is answered, and the connection closed`() async throws {
        let serving = try await OTLPServing()
        let idle = try serving.client()
        let busy = try serving.client()
        let body = spans(3)
        try busy.send(
            "POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Length: \(body.count)\r\n"
                + "Content-Type: application/x-protobuf\r\n\r\n")
        try busy.send(Array(body.prefix(9)))
        try idle.post(spans(1))
        #expect(try idle.answer()?.status == 200)
        await serving.beginEnd()
        #expect(try idle.isClosed())
        try busy.send(Array(body.dropFirst(9)))
        let answer = try #require(try busy.answer())
        #expect(answer.status == 200)
        #expect(answer.headers["connection"] == "close")
        #expect(try await serving.end() == 4)
    }

    @Test func `a port that is taken is shown with its owner and opened once it is free`()
        async throws
    {
        let other = try await OTLPServing(places: [.tcp(host: "127.0.0.1", port: 45_318)])
        while other.server.status[0].problem == "not open yet" {
            try await Task.sleep(for: .milliseconds(5))
        }
        #expect(other.server.status[0].problem == nil)
        let serving = try await OTLPServing(places: [.tcp(host: "127.0.0.1", port: 45_318)])
        while serving.server.status[0].problem == "not open yet" {
            try await Task.sleep(for: .milliseconds(5))
        }
        let problem = try #require(serving.server.status[0].problem)
        #expect(problem.contains("port 45318 is taken"))
        #if os(Linux)
            #expect(problem.contains("(pid \(ThisProcess.pid))"))
        #endif
        #expect(try await other.end() == 0)
        while serving.server.status[0].problem != nil {
            try await Task.sleep(for: .milliseconds(20))
        }
        #expect(try await serving.end() == 0)
    }
}
