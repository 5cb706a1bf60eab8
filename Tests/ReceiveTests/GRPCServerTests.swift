import Compression
import OTLPCodec
import SegmentLog
import SystemIO
import Testing

@testable import Receive

extension OTLPServing {
    func caller(_ settings: [(UInt16, UInt32)] = []) throws -> GRPCClient {
        try GRPCClient(socket: socket, settings: settings)
    }
}

@Suite(.timeLimit(.minutes(2)), .serialized) struct `OTLP over gRPC` {
    @Test func `a call is answered when it is in the log, and the connection stays`()
        async throws
    {
        let serving = try await OTLPServing()
        let client = try serving.caller()
        for round in 1...3 {
            let answer = try #require(try client.answer(to: spans(5)))
            #expect(answer.httpStatus == 200)
            #expect(answer.code == 0)
            #expect(answer.body == [0, 0, 0, 0, 0])
            #expect(serving.log.statistics.stored.records == UInt64(5 * round))
        }
        #expect(serving.server.counts.answers == ["OK": 3])
        #expect(try await serving.end() == 15)
    }

    @Test func `a place takes both protocols`() async throws {
        let serving = try await OTLPServing()
        let old = try serving.client()
        let new = try serving.caller()
        try old.post(spans(1))
        #expect(try old.answer()?.status == 200)
        #expect(try new.answer(to: spans(1))?.code == 0)
        #expect(serving.server.counts.answers == ["200": 1, "OK": 1])
        #expect(try await serving.end() == 2)
    }

    @Test func `what says in pieces what it speaks is understood`() async throws {
        let serving = try await OTLPServing()
        let socket = try UnixSocket.connect(serving.socket)
        try socket.setTimeLimits(sendMilliseconds: 20_000, receiveMilliseconds: 20_000)
        for byte in GRPCClient.preface { try socket.sendAll([byte].span.bytes) }
        var answer: [UInt8] = []
        #expect(try socket.receive(appendingTo: &answer, limit: 9) > 3)
        // SETTINGS come first.
        #expect(answer[3] == GRPCClient.Kind.settings.rawValue)
        #expect(try await serving.end() == 0)
    }

    @Test func `each signal has its method`() async throws {
        let serving = try await OTLPServing()
        let client = try serving.caller()
        for signal in OTLPSignal.allCases {
            // A resource without records.
            #expect(try client.answer(to: field(0x0A, []), signal)?.code == 0)
        }
        let unknown = try client.answer(to: spans(1), .traces, [":path": "/v1/traces"])
        #expect(unknown?.code == GRPCCode.unimplemented.rawValue)
        #expect(unknown?.message.contains("TraceService") == true)
        #expect(try await serving.end() == 0)
    }

    @Test func `a compressed message is taken`() async throws {
        let serving = try await OTLPServing()
        let client = try serving.caller()
        let compressor = try Compressor()
        let gzip = ["grpc-encoding": "gzip"]
        let packed = compressor.gzip(spans(3).span.bytes)
        #expect(try client.answer(to: packed, .traces, gzip, flag: 1)?.code == 0)
        // Each message says for itself whether it is.
        #expect(try client.answer(to: spans(4), .traces, gzip)?.code == 0)
        let code = { (answer: GRPCClient.Answer?) in answer.flatMap { GRPCCode(rawValue: $0.code) }
        }
        let wrong = try client.answer(to: spans(1), .traces, gzip, flag: 1)
        #expect(code(wrong) == .internalError)
        #expect(code(try client.answer(to: packed, flag: 1)) == .internalError)
        #expect(code(try client.answer(to: spans(1), .traces, gzip, flag: 2)) == .internalError)
        let other = try client.answer(to: spans(1), .traces, ["grpc-encoding": "zstd"], flag: 1)
        #expect(code(other) == .unimplemented)
        #expect(try await serving.end() == 7)
    }

    @Test func `a message of the limit is taken, one byte more is not`() async throws {
        var limits = OTLPLimits()
        let body = spans(1)
        limits.messageBytesMax = body.count
        let serving = try await OTLPServing(limits)
        let client = try serving.caller()
        let compressor = try Compressor()
        let gzip = ["grpc-encoding": "gzip"]
        let zeros = compressor.gzip([UInt8](repeating: 0, count: 1 << 20).span.bytes)
        limits.messageBytesMax = zeros.count
        let packing = try await OTLPServing(limits)
        #expect(try client.answer(to: body)?.code == 0)
        let late = try client.answer(to: body + [0])
        let bomb = try packing.caller().answer(to: zeros, .traces, gzip, flag: 1)
        for answer in [late, bomb] {
            #expect(answer?.code == GRPCCode.resourceExhausted.rawValue)
            #expect(answer?.retrySeconds == nil)
        }
        #expect(serving.admission.partialBytes == 0)
        #expect(try await serving.end() == 1)
        #expect(try await packing.end() == 0)
    }

    @Test func `what is left out is told in the answer`() async throws {
        let serving = try await OTLPServing()
        let client = try serving.caller()
        let wrong = field(0x0A, field(0x12, field(0x12, field(0x0A, [1, 2, 3]))))
        let answer = try #require(try client.answer(to: spans(2) + wrong))
        #expect(answer.code == 0)
        let response = try ExportResponse(
            answer.body.span.bytes.extracting(5..<answer.body.count), .traces, .protobuf)
        #expect(response.rejected == 1)
        #expect(try await serving.end() == 2)
    }

    @Test func `what is no call is refused and the next one is taken`() async throws {
        let serving = try await OTLPServing()
        let client = try serving.caller()
        let code = { (answer: GRPCClient.Answer?) in answer.flatMap { GRPCCode(rawValue: $0.code) }
        }
        #expect(code(try client.answer(to: Array("hello".utf8))) == .invalidArgument)
        let text = try client.answer(to: spans(1), .traces, ["content-type": "text/plain"])
        #expect(code(text) == .invalidArgument && text?.httpStatus == 415)
        let get = try client.answer(to: spans(1), .traces, [":method": "GET"])
        #expect(code(get) == .internalError && get?.httpStatus == 405)
        let page = try client.answer(to: spans(1), .traces, ["origin": "http://page.example"])
        #expect(code(page) == .permissionDenied && page?.httpStatus == 403)
        let whole = GRPCClient.message(spans(1))
        #expect(code(try client.answer(client.call(whole + whole))) == .unimplemented)
        #expect(code(try client.answer(client.call([]))) == .unimplemented)
        #expect(code(try client.answer(client.call(Array(whole.dropLast())))) == .internalError)
        let (head, stream) = try client.head(ends: true)
        try client.send(head)
        #expect(code(try client.answer(stream)) == .unimplemented)
        #expect(code(try client.answer(to: spans(1))) == .ok)
        #expect(try await serving.end() == 1)
    }

    @Test func `calls arrive in pieces, side by side`() async throws {
        let serving = try await OTLPServing()
        let client = try serving.caller()
        let streams = try (0..<20).map { _ in try client.call([], ends: false) }
        for byte in GRPCClient.message(spans(2)) {
            try client.send(
                Array(streams.map { GRPCClient.frame(.data, [byte], stream: $0) }.joined()))
        }
        for stream in streams.reversed() {
            try client.send(GRPCClient.frame(.data, flags: 1, stream: stream))
            #expect(try client.answer(stream)?.code == 0)
        }
        #expect(try await serving.end() == 40)
    }

    @Test func `with too much under way it says when to come again`() async throws {
        var intake = IntakeLimits()
        intake.inFlightBytesMax = 0
        let serving = try await OTLPServing(intake: intake)
        let client = try serving.caller()
        let answer = try #require(try client.answer(to: spans(1)))
        #expect(answer.code == GRPCCode.resourceExhausted.rawValue)
        #expect(answer.retrySeconds == 1)
        #expect(serving.server.counts.answers == ["RESOURCE_EXHAUSTED": 1])
        #expect(try await serving.end() == 0)
    }

    @Test func `messages that are not whole have their budget`() async throws {
        var intake = IntakeLimits()
        intake.partialBytesMax = 100_000
        let serving = try await OTLPServing(intake: intake)
        let client = try serving.caller()
        let long = Array(GRPCClient.message(spans(1, padding: 90_000)).dropLast(1000))
        let first = try client.call(long, ends: false)
        let second = try client.call(long, ends: false)
        let answer = try #require(try client.answer(second))
        #expect(answer.code == GRPCCode.resourceExhausted.rawValue)
        #expect(answer.retrySeconds == 1)
        try client.send(
            GRPCClient.frame(.data, [UInt8](repeating: 0x78, count: 1000), flags: 1, stream: first))
        #expect(try client.answer(first)?.code != nil)
        #expect(serving.admission.partialBytes == 0)
        _ = try await serving.end()
    }

    @Test func `who is slow is let go of`() async throws {
        var limits = OTLPLimits()
        limits.requestDeadline = .milliseconds(50)
        limits.idleDeadline = .milliseconds(100)
        let serving = try await OTLPServing(limits)
        let client = try serving.caller()
        let stream = try client.call(Array(GRPCClient.message(spans(1)).dropLast()), ends: false)
        #expect(try client.answer(stream)?.code == GRPCCode.deadlineExceeded.rawValue)
        try client.waitForEnd()
        #expect(client.goodbye == 0)
        #expect(try await serving.end() == 0)
    }

    @Test func `calls that trickle make room for those that come`() async throws {
        var limits = OTLPLimits()
        limits.connectionsMax = 4
        let serving = try await OTLPServing(limits)
        var slow: [(GRPCClient, UInt32)] = []
        for _ in 0..<4 {
            let client = try serving.caller()
            #expect(try client.answer(to: spans(1))?.code == 0)
            slow.append((client, try client.call([0], ends: false)))
            // It has begun once the next is answered.
            #expect(try client.answer(to: spans(1))?.code == 0)
        }
        let late = try serving.client()
        try late.post(spans(1))
        #expect(try late.answer()?.status == 200)
        let answer = try #require(try slow[0].0.answer(slow[0].1))
        #expect(answer.code == GRPCCode.unavailable.rawValue && answer.retrySeconds == 1)
        try slow[0].0.waitForEnd()
        slow.removeAll()
        #expect(try await serving.end() == 9)
    }

    @Test func `idle connections make room, each for one that comes`() async throws {
        var limits = OTLPLimits()
        limits.connectionsMax = 4
        // None goes by itself.
        limits.leavingDeadline = .seconds(600)
        let serving = try await OTLPServing(limits)
        var idle: [GRPCClient] = []
        for _ in 0..<12 { idle.append(try serving.caller()) }
        #expect(try idle[11].answer(to: spans(1))?.code == 0)
        for client in idle.prefix(8) { try client.waitForEnd() }
        idle.removeAll()
        #expect(try await serving.end() == 1)
    }

    @Test func `at the end what has begun is answered, and the connection closed`() async throws {
        let serving = try await OTLPServing()
        let idle = try serving.caller()
        let busy = try serving.caller()
        let body = GRPCClient.message(spans(3))
        let stream = try busy.call(Array(body.prefix(9)), ends: false)
        #expect(try busy.answer(to: spans(1))?.code == 0)
        #expect(try idle.answer(to: spans(1))?.code == 0)
        await serving.beginEnd()
        try idle.waitForEnd()
        #expect(idle.goodbye == 0)
        try busy.send(
            GRPCClient.frame(.data, Array(body.dropFirst(9)), flags: 1, stream: stream))
        #expect(try busy.answer(stream)?.code == 0)
        try busy.waitForEnd()
        #expect(try await serving.end() == 5)
    }
}

@Suite(.timeLimit(.minutes(2)), .serialized) struct `Hostile HTTP/2` {
    /// Others are served, and nothing is left of the hostile one.
    private func finish(_ serving: OTLPServing, stored: UInt64 = 0) async throws {
        #expect(try serving.caller().answer(to: spans(1))?.code == 0)
        #expect(serving.admission.partialBytes == 0)
        #expect(serving.admission.inFlightBytes == 0)
        #expect(try await serving.end() == stored + 1)
    }

    /// Sends until the agent has closed.
    private func flood(_ serving: OTLPServing, _ bytes: [UInt8], times: Int = 1) throws -> UInt32? {
        let client = try serving.caller()
        do throws(any Error) {
            for _ in 0..<times { try client.send(bytes) }
            try client.waitForEnd()
        } catch let error as SystemError where error.isDisconnected {
            // What it said last may still be here.
            try client.waitForEnd()
        }
        return client.goodbye
    }

    @Test(arguments: [GRPCClient.Kind.ping, .settings, .priority])
    func `a flood of frames that give no work ends the connection`(_ kind: GRPCClient.Kind)
        async throws
    {
        var limits = OTLPLimits()
        limits.controlFramesPerSecondMax = 50
        let serving = try await OTLPServing(limits)
        let content: [GRPCClient.Kind: [UInt8]] = [
            .ping: [UInt8](repeating: 0, count: 8), .settings: [],
            .priority: [0, 0, 0, 0, 1],
        ]
        let stream: UInt32 = kind == .priority ? 3 : 0
        let one = GRPCClient.frame(kind, content[kind] ?? [], stream: stream)
        _ = try flood(serving, Array(repeatElement(one, count: 1000).joined()))
        try await finish(serving)
    }

    @Test func `calls that are begun and reset end the connection`() async throws {
        let serving = try await OTLPServing()
        let client = try serving.caller()
        var bytes: [UInt8] = []
        for _ in 0..<1000 {
            let (head, stream) = try client.head()
            bytes += head + GRPCClient.frame(.reset, GRPCClient.bytes(UInt32(8)), stream: stream)
        }
        do {
            try client.send(bytes)
            try client.waitForEnd()
        } catch let error as SystemError where error.isDisconnected {
            try client.waitForEnd()
        }
        try await finish(serving)
    }

    @Test func `more calls at a time than there may be end the connection`() async throws {
        let serving = try await OTLPServing()
        let client = try serving.caller()
        var bytes: [UInt8] = []
        for _ in 0..<101 { bytes += try client.head().frame }
        try client.send(bytes)
        try client.waitForEnd()
        #expect(client.goodbye != nil)
        try await finish(serving)
    }

    @Test func `headers without end and headers that unfold are refused`() async throws {
        let serving = try await OTLPServing()
        // Continued for ever: HEADERS, and CONTINUATION after CONTINUATION (RFC 9113, 6.10).
        let start = GRPCClient.frame(.headers, [0x82], stream: 1)
        let next = GRPCClient.frame(
            .continuation, [UInt8](repeating: 0x82, count: 1000), stream: 1)
        #expect(
            try flood(serving, start + Array(repeatElement(next, count: 100).joined())) != nil)
        // A header of 4,000 bytes that is put into the table once and named a thousand times.
        let value = [UInt8](repeating: 0x61, count: 4000)
        let literal: [UInt8] = [0x40, 1, 0x78, 0x7F, 0xA1, 0x1E] + value
        let named = [UInt8](repeating: 0xBE, count: 1000)
        let goodbye = try flood(
            serving, GRPCClient.frame(.headers, literal + named, flags: 5, stream: 1))
        #expect(goodbye != nil && goodbye != 0)
        try await finish(serving)
    }

    @Test func `who makes no room for an answer is not waited for`() async throws {
        var limits = OTLPLimits()
        limits.requestDeadline = .milliseconds(50)
        let serving = try await OTLPServing(limits)
        // No stream may have a byte until it is said.
        let client = try serving.caller([(4, 0)])
        let stream = try client.call(GRPCClient.message(spans(1)))
        let answer = try #require(try client.answer(stream))
        #expect(answer.httpStatus == 200 && answer.code == -1 && answer.reset != nil)
        // With room in time the answer comes.
        let next = try client.call(GRPCClient.message(spans(1)))
        try client.send(GRPCClient.frame(.window, [0, 0, 0, 5], stream: next))
        #expect(try client.answer(next)?.code == 0)
        try await finish(serving, stored: 2)
    }

    @Test func `refused messages that are sent all the same do not stop the connection`()
        async throws
    {
        var limits = OTLPLimits()
        limits.messageBytesMax = 1000
        let serving = try await OTLPServing(limits)
        let client = try serving.caller()
        // Three times what may be under way on a connection.
        var streams: [UInt32] = []
        for _ in 0..<6 * GRPCSettings.windowBytes / 131_072 {
            streams.append(
                try client.call(GRPCClient.message([UInt8](repeating: 0, count: 65_000))))
        }
        for stream in streams {
            #expect(try client.answer(stream)?.code == GRPCCode.resourceExhausted.rawValue)
        }
        #expect(try client.answer(to: spans(1))?.code == 0)
        try await finish(serving, stored: 1)
    }

    @Test func `what only looks like HTTP/2 is closed`() async throws {
        let serving = try await OTLPServing()
        let socket = try UnixSocket.connect(serving.socket)
        try socket.setTimeLimits(sendMilliseconds: 20_000, receiveMilliseconds: 20_000)
        try socket.sendAll(Array("PRI * HTTP/1.1\r\nHost: localhost\r\n\r\n".utf8).span.bytes)
        var answer: [UInt8] = []
        while try socket.receive(appendingTo: &answer, limit: 4096) > 0 {}
        // Frames at most, which say what is wrong, and no answer.
        #expect(!answer.starts(with: Array("HTTP/".utf8)))
        #expect(serving.server.counts.answers.isEmpty)
        // It is nobody else's trouble.
        #expect(try serving.caller().answer(to: spans(1))?.code == 0)
        try await finish(serving, stored: 1)
    }
}
