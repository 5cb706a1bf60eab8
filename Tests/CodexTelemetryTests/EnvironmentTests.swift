import Foundation
import SimulationKit
import SystemIO
import Testing

@testable import CodexTelemetry

/// One case of contrib/protocol/vectors/environment.
struct EnvironmentCase: Decodable, Sendable, CustomTestStringConvertible {
    struct Context: Decodable, Sendable {
        let trace_id: String
        let span_id: String
        let sampled: Bool
        let trace_state: String
        let threshold: String
    }
    struct Outcome: Decodable, Sendable {
        let enabled: Bool
        let service_name: String
        let threshold: String
        let console: Bool
        let context: Context?
        let session_id: String?
        let originator: String?
        let warns: [String]
    }
    let name: String
    let file: Bool
    let environment: [String: String]
    let result: Outcome

    var testDescription: String { name }

    static let all: [EnvironmentCase] = {
        let folder = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        let path = "/" + folder + "/contrib/protocol/vectors/environment/index.json"
        do {
            return try JSONDecoder().decode(
                [EnvironmentCase].self, from: Data(Files.read(path, limit: 1 << 20)))
        } catch {
            Issue.record("\(path): \(error)")
            return []
        }
    }()
}

@Suite struct `The environment's rule` {
    @Test(arguments: EnvironmentCase.all)
    func `every vector`(vector: EnvironmentCase) {
        let variables = vector.environment
        let read = ClientEnvironment(
            environment: { variables[$0] }, names: Array(variables.keys),
            userFileExists: { vector.file })
        let wanted = vector.result
        #expect(read.isEnabled == wanted.enabled)
        #expect(read.serviceName ?? "codex-cli" == wanted.service_name)
        #expect("\(read.sampler.threshold)" == wanted.threshold)
        #expect(read.printsToConsole == wanted.console)
        #expect(read.warnings.count == wanted.warns.count)
        for name in wanted.warns { #expect(read.warnings.contains { $0.hasPrefix(name + "=") }) }
        let context = TraceContext { variables[$0] }
        #expect(context?.traceID.description == wanted.context?.trace_id)
        #expect(context?.spanID.description == wanted.context?.span_id)
        #expect(context?.isSampled == wanted.context?.sampled)
        #expect(context?.traceState == wanted.context?.trace_state)
        #expect(
            context.map { "\(Sampler.threshold(in: $0.traceState))" } == wanted.context?.threshold)
        let baggage = Baggage(header: variables["BAGGAGE"] ?? "")
        #expect(baggage["session.id"] == wanted.session_id)
        #expect(baggage["originator"] == wanted.originator)
    }

    @Test func `no vector is left out`() {
        #expect(EnvironmentCase.all.count >= 51)
        #expect(Set(EnvironmentCase.all.map(\.name)).count == EnvironmentCase.all.count)
    }

    @Test(arguments: [nil, "maybe", "1"] as [String?])
    func `an explicit act is recorded unless it is explicitly off`(value: String?) {
        func read(_ variables: [String: String]) -> ClientEnvironment {
            ClientEnvironment(
                environment: { variables[$0] }, names: [], userFileExists: { false },
                isExplicit: true)
        }
        var variables: [String: String] = [:]
        variables["CODEX_OTEL_ENABLED"] = value
        #expect(read(variables).isEnabled)
        for word in ["0", "false", "no", "off", ""] {
            #expect(!read(["CODEX_OTEL_ENABLED": word]).isEnabled)
        }
        #expect(!read(["CODEX_OTEL_ENABLED": "1", "OTEL_SDK_DISABLED": "true"]).isEnabled)
    }

    @Test func `a bad value reaches a terminal without control characters, cut short`() {
        let read = ClientEnvironment(
            environment: {
                $0 == "CODEX_OTEL_ENABLED" ? "\u{1B}[31m" + String(repeating: "x", count: 99) : nil
            }, names: [], userFileExists: { false })
        #expect(read.warnings.count == 1)
        #expect(!read.warnings[0].contains("\u{1B}"))
        #expect(read.warnings[0].count < 160)
    }

    @Test func `off, nothing is made and nothing happens`() throws {
        let scratch = try Scratch()
        let telemetry = Telemetry(scratch.configuration(["CODEX_OTEL_ENABLED": "0"]))
        #expect(!telemetry.isEnabled)
        telemetry.emitSpan("x", telemetry.newContext(), start: Telemetry.now())
        telemetry.event("x")
        telemetry.counter("x").add()
        #expect(telemetry.withSpan("x") { _ in 7 } == 7)
        #expect(telemetry.flush())
        #expect(telemetry.childEnvironment().isEmpty)
        #expect(try scratch.spooled().isEmpty)
        #expect(!Telemetry.shared.isEnabled)
    }
}

@Suite struct `Context between processes` {
    @Test func `a child joins the trace and the session`() throws {
        let scratch = try Scratch()
        let telemetry = Telemetry(
            scratch.configuration(startsThread: false) { $0.originator = "my sdk" })
        let context = telemetry.newContext()
        let handed = Dictionary(
            uniqueKeysWithValues: telemetry.childEnvironment(of: context).map {
                ($0.name, $0.value)
            })
        let child = Telemetry(scratch.configuration(startsThread: false, handed))
        #expect(child.sessionID == telemetry.sessionID)
        let inner = child.newContext()
        #expect(inner.traceID == context.traceID)
        #expect(inner.parentSpanID == context.spanID)
        #expect(handed["BAGGAGE"]?.contains("originator=my%20sdk") == true)
    }

    @Test func `baggage of others is handed on as it came`() {
        var baggage = Baggage(header: "a=1;p=2, session.id=s,b=%C3%A4,bad key=1,=2")
        baggage["session.id"] = "t"
        #expect(baggage.header == "a=1;p=2,session.id=t,b=%C3%A4")
        #expect(baggage["b"] == "ä")
        baggage["a"] = nil
        #expect(baggage.header == "session.id=t,b=%C3%A4")
    }

    @Test func `baggage is bounded`() {
        let many = (0..<500).map { "k\($0)=v" }.joined(separator: ",")
        #expect(Baggage(header: many).members.count == Baggage.membersMax)
        #expect(Baggage(header: String(repeating: "x", count: 9_000)).isEmpty)
    }

    @Test func `withSpan nests, in tasks too, and records what is thrown`() async throws {
        let scratch = try Scratch()
        let agent = try FakeAgent(scratch.socket)
        let telemetry = Telemetry(scratch.configuration(startsThread: false))
        struct Denied: TelemetryError { let errorType = ErrorType.approvalDenied }
        var contexts: [TraceContext] = []
        await telemetry.withSpan(.turn) { turn in
            contexts.append(turn.context)
            let inner = await Task { telemetry.newContext() }.value
            contexts.append(inner)
            do {
                try telemetry.withSpan(.approval) { span in
                    contexts.append(span.context)
                    span.set(.codexApprovalDecision, "denied")
                    throw Denied()
                }
            } catch {
                #expect(error is Denied)
            }
        }
        #expect(TraceContext.current == nil)
        #expect(contexts[1].parentSpanID == contexts[0].spanID)
        #expect(contexts[2].parentSpanID == contexts[0].spanID)
        #expect(Set(contexts.map(\.traceID)).count == 1)
        #expect(telemetry.flush(timeout: .seconds(5)))
        #expect(try agent.names() == ["codex.approval", "codex.turn"])
        telemetry.shutdown()
        try agent.stop()
    }
}

@Suite struct Sampling {
    @Test(arguments: [0.0, 0.1, 0.25, 0.5, 0.9, 1.0])
    func `about the asked share is kept, the same traces by everyone`(rate: Double) throws {
        let sampler = try #require(Sampler(rate: rate))
        var random = SeededGenerator(seed: 42)
        var kept = 0
        for _ in 0..<20_000 {
            let id = TraceContext.TraceID(high: random.next(), low: random.next())
            let (isSampled, state) = sampler.root(id)
            kept += isSampled ? 1 : 0
            #expect(isSampled == (id.low & (1 << 56 - 1) >= sampler.threshold))
            if isSampled, rate < 1 { #expect(Sampler.threshold(in: state) == sampler.threshold) }
        }
        #expect(abs(Double(kept) / 20_000 - rate) < 0.02)
    }

    @Test func `thresholds are written as OpenTelemetry writes them`() {
        #expect(Sampler(rate: 0.5)?.th == "8")
        #expect(Sampler(rate: 0.25)?.th == "c")
        #expect(Sampler(rate: 1)?.th == "0")
        #expect(Sampler(rate: 0)?.th == nil)
        #expect(Sampler(rate: .nan) == nil)
        #expect(Sampler(rate: 1.01) == nil)
    }

    @Test(arguments: ["01", "00"])
    func `a parent's decision wins over our rate`(flags: String) throws {
        let scratch = try Scratch()
        let rate = flags == "01" ? "0" : "1"
        let telemetry = Telemetry(
            scratch.configuration(
                startsThread: false,
                [
                    "CODEX_OTEL_SAMPLE_RATE": rate,
                    "TRACEPARENT": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-\(flags)",
                ]))
        telemetry.emitSpan("x", telemetry.newContext(), start: Telemetry.now())
        telemetry.event("y")
        telemetry.flush()
        let names = try scratch.spooled().values.flatMap { try $0.flatMap(FakeAgent.names) }
        #expect(names == (flags == "01" ? ["x", "y"] : []))
        telemetry.shutdown()
    }
}
