import Agent
import ByteCoding
import CodexTelemetry
import Control
import Inspect
import SimulationKit
import SystemIO

/// What people, parents and agents write: configuration, environment, times, ids, the control
/// socket's messages, the status. Input: which reader, then its text.
enum TextFuzz {
    private static let environmentNames = [
        "TRACEPARENT", "TRACESTATE", "BAGGAGE", "CODEX_OTEL_ENABLED", "CODEX_OTEL_SAMPLE_RATE",
        "CODEX_OTEL_EXPORTER", "CODEX_OTEL_SERVICE_NAME", "OTEL_SDK_DISABLED",
    ]

    static func seeds(_ folder: SeedFolder) throws -> [(name: String, bytes: [UInt8])] {
        let yaml = """
            receivers:
              codex: {enabled: true, connections_max: 10}
            exporters:
              journald: &a
                enabled: ${env:CODEX_OTEL_ENABLED:-true}
                detail: operations
                metrics_interval: 60s
            service:
              telemetry: {logs: {level: debug}}
            log: {cap: 1GiB, fsync: every_commit, fsync_interval: 100ms, retention: 7d}
            """
        let context = """
            00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01
            ot=th:8,vendor=1
            session.id=abc,originator=cli;p=1,key=%41%C3%A9
            true
            0.25
            console
            name
            """
        let status = try AgentStatus().json()
        let messages =
            controlFrame(.read, ReadQuestion(from: 80, follow: true).encoded())
            + controlFrame(.status) + controlFrame(.json, status)
        let times =
            ["24h", "1h30m", "1 hour ago", "yesterday", "14:30:05", "@1795269600"]
            + ["2026-11-21 14:30", "2026-11-21T14:30:05.25+01:00", "90 minutes", "now"]
        return [
            ("yaml", [0] + Array(yaml.utf8)), ("context", [1] + Array(context.utf8)),
            ("status", [2] + status), ("messages", [3, 9] + messages),
            ("id", [5] + Array("0af7651916cd43dd8448eb211c80319c".utf8)),
        ] + times.enumerated().map { ("time-\($0.offset)", [4] + Array($0.element.utf8)) }
    }

    static func run(_ bytes: [UInt8]) {
        var input = FuzzInput(bytes)
        switch input.byte() % 6 {
        case 0: configuration(String(decoding: input.rest, as: UTF8.self))
        case 1: environment(&input)
        case 2: status(Array(input.rest))
        case 3: messages(&input)
        case 4: times(String(decoding: input.rest, as: UTF8.self))
        default: ids(String(decoding: input.rest, as: UTF8.self))
        }
    }

    private static func configuration(_ yaml: String) {
        do throws(ConfigProblems) {
            let reading = try ConfigReading(
                yaml: yaml, file: "f", environment: { $0 == "CODEX_OTEL_ENABLED" ? "true" : nil })
            let entries = reading.config.entries(origins: reading.origins)
            promise(!entries.isEmpty, "a configuration without entries")
            promise(
                reading.origins.keys.allSatisfy { key in entries.contains { $0.key == key } },
                "a key that was read is not shown: \(reading.origins)")
        } catch {
            promise(!error.problems.isEmpty, "refused without a problem")
            promise(!error.description.isEmpty, "a problem without a word")
        }
    }

    private static func environment(_ input: inout FuzzInput) {
        var variables: [String: String] = [:]
        for name in environmentNames where !input.rest.isEmpty { variables[name] = input.line() }
        let seen = ClientEnvironment(
            environment: { variables[$0] }, names: Array(variables.keys),
            userFileExists: { false })
        promise(seen.warnings.count <= variables.count, "more warnings than variables")
        guard let context = TraceContext(environment: { variables[$0] }) else { return }
        var passed: [String: String] = [:]
        for (name, value) in context.environment { passed[name] = value }
        guard let again = TraceContext(environment: { passed[$0] }) else {
            fail("what is passed on is not understood: \(passed)")
        }
        promise(again.environment.map(\.value) == context.environment.map(\.value), "\(passed)")
        promise((passed["BAGGAGE"] ?? "").utf8.count <= 8192, "baggage grows")
        promise(!passed.values.contains { $0.utf8.contains(0) }, "a NUL is passed on")
    }

    private static func status(_ json: [UInt8]) {
        let status: AgentStatus
        do { status = try AgentStatus(json: json) } catch { return }
        do {
            let again = try status.json()
            promise(try AgentStatus(json: again) == status, "a status changes")
            _ = try status.json(pretty: true)
        } catch { fail("a status that was read is not written: \(error)") }
    }

    private static func messages(_ input: inout FuzzInput) {
        var random = SeededGenerator(seed: UInt64(input.byte()))
        let stream = Array(input.rest)
        var whole = ControlBuffer(bodyBytesMax: ControlLimits.questionBytesMax)
        whole.append(stream)
        var pieces = ControlBuffer(bodyBytesMax: ControlLimits.questionBytesMax)
        var arrived: [ControlMessage] = []
        var hasFailed = false
        var rest = stream[...]
        while !rest.isEmpty, !hasFailed {
            let count = Int.random(in: 1...64, using: &random)
            pieces.append(rest.prefix(count))
            rest = rest.dropFirst(count)
            hasFailed = take(&pieces, &arrived)
        }
        var all: [ControlMessage] = []
        let failed = take(&whole, &all)
        promise(all == arrived && failed == hasFailed, "messages depend on how they arrive")
        for message in all {
            promise(message.body.count <= ControlLimits.questionBytesMax, "a giant message")
            if let question = ReadQuestion(untrusted: message.body) {
                promise(ReadQuestion(untrusted: question.encoded()) == question, "a question")
            }
        }
    }

    private static func take(
        _ buffer: inout ControlBuffer, _ messages: inout [ControlMessage]
    ) -> Bool {
        do {
            while let message = try buffer.next() { messages.append(message) }
            return false
        } catch { return true }
    }

    private static func times(_ text: String) {
        let now: UInt64 = 1_795_269_600_000_000_000
        for zone in [TimeZoneRule.utc, TimeZoneRule { $0 < 1_795_000_000 ? 7200 : -3600 }] {
            do { _ = try TimeExpression.parse(text, now: now, zone: zone) } catch {
                promise(!error.description.isEmpty, "a refusal without a word")
            }
        }
        do { _ = try DurationExpression.parse(text) } catch {
            promise(!error.description.isEmpty, "a refusal without a word")
        }
    }

    private static func ids(_ text: String) {
        guard let query = IDQuery(text) else { return }
        promise(query.digits.utf8.count <= 32, "an id of \(query.digits.utf8.count) digits")
        promise(query.matches(query.digits), "an id does not match itself")
        if query.isComplete { promise(ID128(hex: query.digits) != nil, "no id: \(query.digits)") }
    }
}
