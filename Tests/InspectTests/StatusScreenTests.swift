import Control
import Testing

@testable import Inspect

private func status() -> AgentStatus {
    var status = AgentStatus()
    status.agent.version = "0.1.0"
    status.agent.scope = "user"
    status.agent.pid = 4711
    status.agent.uptimeSeconds = 7_500
    status.agent.memoryAnonymousBytes = 4 << 20
    status.agent.memoryFileBytes = 9_961_472
    status.agent.places = ["ingest_socket": "/run/user/1000/codex-telemetry/ingest.sock"]
    status.intake.received = AgentStatus.Count(batches: 12, records: 12_345)
    status.intake.stored = AgentStatus.Count(batches: 10, records: 12_340)
    status.intake.duplicate = AgentStatus.Count(batches: 1, records: 4)
    status.intake.refused = ["bad_value": AgentStatus.Count(batches: 1, records: 1)]
    status.log.stored.records = 12_340
    status.log.kept.records = 12_340
    status.log.keptSpans = 9_000
    status.log.bytes = 8 << 20
    status.log.segments = 1
    status.log.committed = "1:8256"
    status.log.synced = "1:8256"
    var journald = AgentStatus.Exporter()
    journald.name = "journald"
    journald.state = "running"
    journald.stored = 12_340
    journald.delivered = 340
    journald.excluded = ["not_selected": 12_000]
    status.exporters = [journald]
    status.producers.connections = 2
    status.producers.connectionsTotal = 40
    status.limits = ["log_cap_bytes": 1 << 30, "connections": 1024]
    return status
}

private let plain = Style(isTerminal: false, width: nil) { _ in nil }

@Suite struct StatusScreenTests {
    @Test func `the screen shows state, balance, figures and limits`() {
        #expect(
            StatusScreen(status(), style: plain).lines() == [
                "codex-telemetryd 0.1.0 · user agent · running · up 2 h 5 min · pid 4711 · 4 MiB of memory + 9.5 MiB mapped",
                "",
                "intake     open · received 12,345 records = stored 12,340 + duplicate 4 + refused 1",
                "           refused bad_value 1",
                "log        writing · 12,340 records (9,000 spans) in 8 MiB, 1 segments",
                "           stored 12,340 = kept 12,340 + expired 0 · committed 1:8256 · synced 1:8256",
                "exporters  journald running · stored 12,340 = delivered 340 + waiting 0 + excluded 12,000 + lost 0",
                "           excluded not_selected 12,000",
                "producers  2 connected · 40 since the start · 0 spool files taken",
                "places     ingest socket /run/user/1000/codex-telemetry/ingest.sock",
                "limits     connections 1,024 · log cap bytes 1 GiB",
            ])
    }

    @Test func `what does not balance is said first`() {
        var broken = status()
        broken.exporters[0].delivered = 339
        broken.intake.stored.records = 1
        let lines = StatusScreen(broken, style: plain).lines()
        #expect(lines[1] == "  ! does not balance: received 12,345 records, accounted for 6")
        #expect(
            lines[2]
                == "  ! does not balance: journald has 12,340 records, accounted for 12,339")
    }

    @Test func `an agent's text controls no terminal`() {
        var hostile = status()
        hostile.agent.reasons = ["\u{1b}[2J"]
        hostile.producers.environment = ["A\u{9b}B": 1]
        hostile.log.damagedRanges = 1
        hostile.log.damage = ["\u{7}"]
        for line in StatusScreen(hostile, style: plain).lines() {
            #expect(!line.unicodeScalars.contains(where: TerminalText.isControl))
        }
    }
}
