import ByteCoding
import SystemIO
import Testing

@testable import Control

@Suite struct `Questions and answers` {
    @Test func `a status survives the way through JSON`() throws {
        var status = AgentStatus()
        status.intake.refused["bad_text"] = .init(batches: 2, records: 7)
        status.exporters = [AgentStatus.Exporter()]
        status.limits["connections_max"] = 9
        status.agent.uptimeSeconds = 1.5
        let json = try status.json()
        #expect(try AgentStatus(json: json) == status)
        let text = String(decoding: json, as: UTF8.self)
        #expect(text.contains("\"uptime_seconds\":1.5"))
        #expect(text.contains("\"bad_text\":{\"batches\":2,\"records\":7}"))
    }

    @Test func `a question to read survives the wire, a short one is refused`() {
        let question = ReadQuestion(from: 3 << 32 | 64, follow: true)
        #expect(ReadQuestion(untrusted: question.encoded()) == question)
        #expect(ReadQuestion(untrusted: [1, 2, 3]) == nil)
    }

    @Test func `no agent is told apart from other errors`() {
        #expect(throws: ControlError.self) {
            _ = try ControlClient(path: "/nonexistent/control.sock")
        }
    }
}
