package import Control
import Meaning

/// The agent's state as people see it: what is wrong first, then whether the figures balance, then figures.
package struct StatusScreen: Sendable {
    private let status: AgentStatus
    private let style: Style

    private static let labelColumns = 11

    /// A screen of `status`.
    package init(_ status: AgentStatus, style: Style) {
        self.status = status
        self.style = style
    }

    /// The lines, without newlines. All text in them is safe for a terminal.
    package func lines() -> [String] {
        var lines = head() + [""]
        lines += labelled("intake", intake())
        for receiver in status.receivers ?? [] {
            lines += labelled(safe(receiver.name), self.receiver(receiver))
        }
        lines += labelled("log", log())
        for (index, exporter) in status.exporters.enumerated() {
            lines += labelled(index == 0 ? "exporters" : "", self.exporter(exporter))
        }
        if status.exporters.isEmpty { lines += labelled("exporters", ["none"]) }
        lines += labelled("producers", producers())
        lines += labelled(
            "places",
            status.agent.places.sorted { $0.key < $1.key }.map {
                safe($0.key.replacing("_", with: " ")) + " " + safe($0.value)
            })
        lines += labelled("limits", limits())
        return lines
    }

    // MARK: Parts

    private func head() -> [String] {
        let agent = status.agent
        let isWell = agent.state == "running"
        let uptime = TextFormat.duration(
            nanoseconds: UInt64(max(0, min(agent.uptimeSeconds, 1e9)) * 1e9))
        var lines = [
            style.paint("codex-telemetryd \(safe(agent.version))", .strong)
                + " · \(safe(agent.scope)) agent · "
                + style.paint(safe(agent.state), isWell ? .good : .bad)
                + " · up \(uptime) · pid \(agent.pid)"
                + " · \(bytes(agent.memoryAnonymousBytes)) of memory"
                + " + \(bytes(agent.memoryFileBytes)) mapped"
        ]
        lines += agent.reasons.map { style.paint("  ! " + safe($0), .bad) }
        lines += (agent.warnings ?? []).map { style.paint("  ! " + safe($0), .warning) }
        lines += imbalances().map { style.paint("  ! does not balance: " + $0, .bad) }
        return lines
    }

    private func intake() -> [String] {
        let intake = status.intake
        let refused = intake.refused.values.reduce(into: (batches: UInt64(0), records: UInt64(0))) {
            $0.batches &+= $1.batches
            $0.records &+= $1.records
        }
        var lines = [
            state(intake.state, good: "open")
                + " · received \(count(intake.received.records)) records = stored "
                + "\(count(intake.stored.records)) + duplicate "
                + "\(count(intake.duplicate.records)) + refused \(count(refused.records))"
                + (intake.inFlight.records == 0
                    ? "" : " + in flight \(count(intake.inFlight.records))")
        ]
        if refused.batches > 0 {
            lines.append("refused " + causes(intake.refused.mapValues(\.records)))
        }
        let dropped = intake.producerDropped.filter { $0.value > 0 }
        if !dropped.isEmpty { lines.append("dropped by producers before us " + causes(dropped)) }
        let closed = intake.connectionsClosed.filter { $0.value > 0 }
        if !closed.isEmpty { lines.append("connections closed " + causes(closed)) }
        return lines
    }

    private func receiver(_ receiver: AgentStatus.Receiver) -> [String] {
        let open = receiver.places.filter { $0.problem == nil }.map { safe($0.place) }
        let answers = receiver.answers.sorted { $0.key < $1.key }
            .map { "\(safe($0.key)) \(count($0.value))" }
        var lines = [
            (open.isEmpty ? "nowhere open" : "on " + open.joined(separator: ", "))
                + (answers.isEmpty ? "" : " · answers " + answers.joined(separator: ", "))
        ]
        for place in receiver.places {
            guard let problem = place.problem else { continue }
            lines.append(style.paint("\(safe(place.place)): \(safe(problem))", .warning))
        }
        if receiver.rejectedRecords > 0 {
            lines.append("records left out of requests \(count(receiver.rejectedRecords))")
        }
        if sum(receiver.unknownFields) > 0 {
            lines.append("unknown fields " + causes(receiver.unknownFields))
        }
        return lines
    }

    private func log() -> [String] {
        let log = status.log
        var lines = [
            state(log.state, good: "writing")
                + " · \(count(log.kept.records)) records (\(count(log.keptSpans)) spans) in "
                + "\(bytes(log.bytes)), \(count(log.segments)) segments"
                + (log.oldest.isEmpty ? "" : " · oldest \(safe(log.oldest))"),
            "stored \(count(log.stored.records)) = kept \(count(log.kept.records)) + expired "
                + "\(count(log.expired.records))"
                + (log.lost.records > 0 ? " + lost \(count(log.lost.records))" : "")
                + " · committed \(safe(log.committed)) · synced "
                + safe(log.synced),
        ]
        if log.damagedRanges > 0 {
            lines.append(
                style.paint(
                    "\(count(log.damagedRanges)) damaged ranges, \(bytes(log.damagedBytes)): "
                        + log.damage.map(safe).joined(separator: ", "), .bad))
        }
        return lines
    }

    private func exporter(_ exporter: AgentStatus.Exporter) -> [String] {
        var lines = [
            style.paint(safe(exporter.name), .strong) + " "
                + state(exporter.state, good: "running")
                + (exporter.reason.isEmpty ? "" : " (\(safe(exporter.reason)))")
                + " · stored \(count(exporter.stored)) = delivered \(count(exporter.delivered))"
                + " + waiting \(count(exporter.waiting)) + excluded "
                + "\(count(sum(exporter.excluded))) + lost \(count(sum(exporter.lost)))"
        ]
        if sum(exporter.excluded) > 0 { lines.append("excluded " + causes(exporter.excluded)) }
        if sum(exporter.lost) > 0 {
            lines.append(style.paint("lost " + causes(exporter.lost), .bad))
        }
        if !exporter.details.isEmpty {
            lines += wrapped(
                exporter.details.sorted { $0.key < $1.key }
                    .map { safe($0.key.replacing("_", with: " ")) + " " + safe($0.value) })
        }
        return lines
    }

    private func producers() -> [String] {
        let producers = status.producers
        var lines = [
            "\(count(producers.connections)) connected · \(count(producers.connectionsTotal)) "
                + "since the start · \(count(producers.spoolFilesDrained)) spool files taken"
        ]
        if sum(producers.spoolFilesRefused) > 0 {
            lines.append(
                style.paint(
                    "spool files not taken whole " + causes(producers.spoolFilesRefused), .bad))
        }
        for (name, number) in producers.environment.sorted(by: { $0.key < $1.key }) {
            lines.append(
                style.paint(
                    "\(safe(name)) is set in \(count(number)) producers, not in the agent: it has "
                        + "no effect there", .warning))
        }
        return lines
    }

    private func limits() -> [String] {
        wrapped(
            status.limits.sorted { $0.key < $1.key }.map { key, value in
                let name = safe(key.replacing("_", with: " "))
                return name + " " + (key.contains("bytes") ? bytes(value) : count(value))
            })
    }

    /// What should be equal and is not, a sentence each.
    private func imbalances() -> [String] {
        var found: [String] = []
        let intake = status.intake
        let received = intake.refused.values.reduce(
            intake.stored.records &+ intake.duplicate.records &+ intake.inFlight.records
        ) { $0 &+ $1.records }
        if received != intake.received.records {
            found.append(
                "received \(count(intake.received.records)) records, accounted for "
                    + count(received))
        }
        if status.log.kept.records &+ status.log.expired.records > status.log.stored.records {
            found.append("the log keeps more than it stored")
        }
        for exporter in status.exporters {
            let out =
                exporter.delivered &+ exporter.waiting &+ sum(exporter.excluded)
                &+ sum(exporter.lost)
            if out != exporter.stored {
                found.append(
                    "\(safe(exporter.name)) has \(count(exporter.stored)) records, accounted for "
                        + count(out))
            }
        }
        return found
    }

    // MARK: Words

    private func labelled(_ label: String, _ lines: [String]) -> [String] {
        lines.enumerated().map { index, line in
            let head = index == 0 ? label : ""
            return style.paint(TerminalText.fitted(head, to: Self.labelColumns), .faint) + line
        }
    }

    /// Items on as few lines as the width allows.
    private func wrapped(_ items: [String]) -> [String] {
        var lines: [String] = []
        for item in items {
            let longer = lines.last.map { $0 + " · " + item } ?? item
            if !lines.isEmpty,
                TerminalText.columns(longer) <= max(style.width, 80) - Self.labelColumns
            {
                lines[lines.count - 1] = longer
            } else {
                lines.append(item)
            }
        }
        return lines
    }

    private func state(_ state: String, good: String) -> String {
        style.paint(safe(state), state == good ? .good : .bad)
    }

    private func causes(_ causes: [String: UInt64]) -> String {
        causes.filter { $0.value > 0 }.sorted { $0.key < $1.key }
            .map { "\(safe($0.key)) \(count($0.value))" }.joined(separator: ", ")
    }

    private func sum(_ causes: [String: UInt64]) -> UInt64 { causes.values.reduce(0, &+) }

    private func safe(_ text: String) -> String { TerminalText.safe(text) }

    /// `12,345`.
    private func count(_ number: UInt64) -> String {
        var text = ""
        for (place, digit) in String(number).reversed().enumerated() {
            if place > 0, place % 3 == 0 { text.append(",") }
            text.append(digit)
        }
        return String(text.reversed())
    }

    /// `12.3 MiB`.
    private func bytes(_ number: UInt64) -> String {
        var value = Double(number)
        for unit in ["B", "KiB", "MiB", "GiB"] {
            if value < 1023.95 || unit == "GiB" {
                let tenths = Int((value * 10).rounded())
                return unit == "B" || tenths % 10 == 0
                    ? "\(tenths / 10) \(unit)" : "\(tenths / 10).\(tenths % 10) \(unit)"
            }
            value /= 1024
        }
        return ""
    }
}
