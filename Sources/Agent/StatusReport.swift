internal import ByteCoding
internal import Control
internal import FoundationEssentials
internal import Places
internal import Receive
internal import SegmentLog
internal import SystemIO
internal import TelemetryBatch

/// Puts together what `status` answers, from the parts' own counts: nothing is counted here.
struct StatusReport: Sendable {
    let places: AgentPlaces
    let started: UInt64
    let startedMonotonic: UInt64
    let log: GroupCommit
    let ledger: IntakeLedger
    let admission: Admission
    let limits: LogLimits
    let exporters: @Sendable () -> [AgentStatus.Exporter]
    let receivers: @Sendable () -> [AgentStatus.Receiver]
    let problems: @Sendable () -> [String]
    let warnings: @Sendable () -> [String]

    /// One line for the service manager (`STATUS=`, shown by `systemctl status`).
    var line: String {
        let statistics = log.statistics
        let what = "\(statistics.stored.records) records stored"
        let reasons = reasons(exporters(), statistics)
        guard !reasons.isEmpty else { return "running: \(what)" }
        return "degraded: \(reasons.joined(separator: "; ")); \(what)"
    }

    func make() -> AgentStatus {
        var status = AgentStatus()
        let statistics = log.statistics
        status.exporters = exporters()
        status.intake = intake(statistics)
        status.receivers = receivers()
        status.log = logPart(statistics)
        status.agent = agent(status, statistics)
        status.producers = producers()
        status.limits = limitsPart()
        return status
    }

    private func agent(_ status: AgentStatus, _ statistics: LogStatistics) -> AgentStatus.Agent {
        var agent = AgentStatus.Agent()
        agent.version = AgentVersion.program
        agent.scope = places.scope.rawValue
        agent.pid = ThisProcess.pid
        agent.uid = ThisProcess.euid
        agent.started = Self.time(started, fractional: true)
        agent.uptimeSeconds = Double(Clocks.monotonic() - startedMonotonic) / 1e9
        agent.places = [
            "ingest_socket": places.ingestSocket, "control_socket": places.controlSocket,
            "state_directory": places.stateDirectory, "configuration": places.configurationFile,
        ]
        let memory = ThisProcess.memory()
        agent.memoryAnonymousBytes = memory.anonymous
        agent.memoryFileBytes = memory.file
        let warnings = warnings()
        if !warnings.isEmpty { agent.warnings = warnings }
        agent.reasons = reasons(status.exporters, statistics)
        agent.state = agent.reasons.isEmpty ? "running" : "degraded"
        return agent
    }

    private func reasons(
        _ exporters: [AgentStatus.Exporter], _ statistics: LogStatistics
    ) -> [String] {
        var reasons = problems()
        if let failure = statistics.failure {
            let remedy = statistics.remedy.map { "; \($0)" } ?? ""
            reasons.append("log in \(places.logDirectory): \(failure)\(remedy)")
        }
        if statistics.removedSegments > 0 {
            let count = statistics.removed
            reasons.append(
                """
                log in \(places.logDirectory): \(statistics.removedSegments) segments were removed by \
                somebody else since the start; \(count.batches) batches of \(count.records) records are lost
                """)
        }
        for exporter in exporters where exporter.state == "degraded" {
            reasons.append("\(exporter.name): \(exporter.reason)")
        }
        return reasons
    }

    private func intake(_ statistics: LogStatistics) -> AgentStatus.Intake {
        let counts = ledger.snapshot
        var intake = AgentStatus.Intake()
        if statistics.failure != nil {
            // What arrives is refused with a throttle, and counted; a full disk passes by itself.
            intake.state = statistics.isFull ? "shedding" : "closed"
        }
        intake.received = count(counts.received)
        intake.stored = count(counts.stored)
        intake.duplicate = count(counts.duplicate)
        intake.refused = counts.refused.mapValues(count)
        intake.inFlight = count(counts.inFlight)
        intake.producerDropped = [
            "spans": counts.droppedSpans, "logs": counts.droppedLogs,
            "points": counts.droppedPoints,
        ]
        intake.connectionsClosed = counts.connectionsClosed
        return intake
    }

    private func logPart(_ statistics: LogStatistics) -> AgentStatus.Log {
        var part = AgentStatus.Log()
        part.state = statistics.failure == nil ? "writing" : statistics.isFull ? "full" : "failed"
        part.id = statistics.logID.hex
        part.stored = count(statistics.stored)
        part.kept = count(statistics.kept)
        part.keptSpans = statistics.keptSpans
        part.expired = count(statistics.expired)
        part.lost = count(statistics.lost)
        part.removed = count(statistics.removed)
        part.tornTails = statistics.tornTails
        part.damagedRanges = statistics.damagedRanges
        part.damagedBytes = statistics.damagedBytes
        part.damage = statistics.damage.map(\.description)
        part.segments = UInt64(statistics.segments)
        part.bytes = statistics.bytes
        part.committed = "\(statistics.committed)"
        part.synced = "\(statistics.synced)"
        part.oldest = statistics.oldestReceived == 0 ? "" : Self.time(statistics.oldestReceived)
        return part
    }

    private func producers() -> AgentStatus.Producers {
        let counts = ledger.snapshot
        var producers = AgentStatus.Producers()
        producers.connections = UInt64(admission.connections)
        producers.connectionsTotal = counts.connectionsTotal
        producers.environment = counts.environment
        producers.spoolFilesDrained = counts.spoolFilesDrained
        producers.spoolFilesRefused = counts.spoolFilesRefused
        producers.spoolDamagedRanges = counts.spoolDamagedRanges
        producers.spoolDamagedBytes = counts.spoolDamagedBytes
        return producers
    }

    private func limitsPart() -> [String: UInt64] {
        let intake = admission.limits
        return [
            "log_cap_bytes": limits.capBytes,
            "log_retention_seconds": UInt64(limits.age.components.seconds),
            "log_reserve_bytes": limits.reserveBytes,
            "log_segment_bytes": UInt64(limits.segmentBytes),
            "log_fsync_bytes": UInt64(limits.syncBytes),
            "log_fsync_milliseconds": UInt64(limits.syncDelay / .milliseconds(1)),
            "batch_bytes": UInt64(WireLimits.bodyBytesMax),
            "connections": UInt64(intake.connectionsMax),
            "connections_per_user": UInt64(intake.connectionsPerUserMax),
            "in_flight_bytes": intake.inFlightBytesMax,
            "in_flight_bytes_per_connection": intake.inFlightBytesPerConnectionMax,
        ]
    }

    private func count(_ tally: Tally) -> AgentStatus.Count {
        AgentStatus.Count(batches: tally.batches, records: tally.records)
    }

    private func count(_ ordinal: LogOrdinal) -> AgentStatus.Count {
        AgentStatus.Count(batches: ordinal.batches, records: ordinal.records)
    }

    private static func time(_ nanoseconds: UInt64, fractional: Bool = false) -> String {
        Date.ISO8601FormatStyle(includingFractionalSeconds: fractional)
            .format(Date(timeIntervalSince1970: Double(nanoseconds) / 1e9))
    }
}
