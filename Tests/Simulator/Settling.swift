import Export
import SegmentLog
import SimulationKit

/// The end of a run: nothing fails any more, and everything must come to rest as promised.
extension Simulation {
    func settle() {
        trace.note("from here on nothing fails")
        isCalm = true
        weather.interleave = 0
        disk.setCapacity(.max)
        if agent == nil { start() }
        buryTheDead()
        deliverAll()
        guard violation == nil, let agent else { return }
        if producers.contains(where: { !$0.pending.isEmpty }) {
            return fail("a producer cannot get rid of its batches: \(state(agent))")
        }
        for reader in readers { read(reader, 100_000) }
        export(agent)
        check(agent)
        endInOrder(agent)
        if violation == nil, let agent = self.agent { check(agent) }
    }

    private func state(_ agent: SimulatedAgent) -> String {
        agent.writer.statistics.failure ?? "the log is well"
    }

    private func deliverAll() {
        for _ in 0..<400 where violation == nil {
            guard let agent else { return }
            for producer in producers where producer.connection == nil { produce() }
            append(agent)
            performJob(agent)
            finishSync(agent)
            buryTheDead()
            if producers.allSatisfy({ $0.pending.isEmpty }) { break }
            for producer in producers where !producer.pending.isEmpty { reconnect(producer) }
        }
        guard violation == nil, let agent else { return }
        for _ in 0..<2 {
            if agent.job == nil, agent.outcome == nil {
                agent.job = agent.writer.beginSync(force: true)
            }
            performJob(agent)
            finishSync(agent)
        }
        // A sync that failed before the weather cleared has poisoned it.
        buryTheDead()
        if let agent = self.agent, agent.writer.synced < agent.writer.committed {
            fail("a sync did not sync all")
        }
    }

    /// Every exporter reads to the end; what it says adds up to what the log says.
    private func export(_ agent: SimulatedAgent) {
        for _ in 0..<600 where violation == nil {
            advance(1.1)
            turn(agent)
        }
        guard violation == nil else { return }
        for (index, sink) in sinks.enumerated() {
            guard let running = agent.exporters[index] else {
                return fail("\(sink.name) is not running")
            }
            let snapshot = running.run.snapshot
            for offset in oracle.order
            where !sink.record.knows(offset) && !oracle.removed.contains(offset.segment) {
                if oracle.destroyed.contains(offset) { continue }
                if oracle.headersFlipped.contains(offset.segment) { continue }
                fail("\(sink.name) never delivered \(offset): \(snapshot)")
            }
            guard !hasFlips else { continue }
            let stored = agent.writer.statistics.stored.records - sink.base
            // What went with the last segment is known to have expired once there is another.
            let isEmpty = agent.writer.statistics.segments == 0
            // Records that went with power may be counted by an exporter, by the log, or by both.
            let isRight =
                oracle.lostRecords == 0
                ? snapshot.stored == stored && (snapshot.waiting == 0 || isEmpty)
                : snapshot.stored + oracle.lostRecords >= stored
                    && snapshot.stored <= stored + oracle.lostRecords
            if !isRight {
                fail(
                    "\(sink.name) accounts for \(snapshot.stored) of \(stored) records: \(snapshot)"
                )
                trace.note("the oracle knows of \(oracle.records), \(oracle.order.count)")
                trace.note("\(agent.writer.statistics)")
            }
        }
    }
}
