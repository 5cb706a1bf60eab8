import Export
import SegmentLog
import SimulationKit
import SystemIO

/// How the agent's last life ended: what may be missing after it.
enum Ending: Int {
    case order, death, power
    /// In order, but for faults that left something undone.
    case orderWithFaults
}

/// The agent's lives: starts, ends, and what its threads do in between.
extension Simulation {
    /// Starts the agent, again and again if faults prevent it, and compares what it found with the oracle.
    func start() {
        // What a clock says at a start is believed, if the newest entry is of that day by the same clock.
        believedSeconds = steppedSeconds
        for attempt in 0..<40 where violation == nil {
            startAttempts = attempt + 1
            if attempt > 8 { isStartCalm = true }
            if openLog() { break }
            tallies[.failedStarts] += 1
            if powerIsFailing { losePower() }
            powerIsFailing = false
            noteFailedStart()
        }
        isStartCalm = false
        guard violation == nil else { return }
        guard let agent else { return fail("the agent did not start in 40 attempts") }
        tallies[.starts] += 1
        spentBeforeFailedStarts = nil
        tallies[.tornTails] += agent.writer.recovery.tornTails.count
        reconcile(agent)
        if sinks.indices.contains(where: { agent.exporters[$0] == nil }), !hasCursors {
            // A cursor that begins later would not have to account for what went before.
            isStartCalm = true
            for index in sinks.indices { openExporter(index, agent) }
            isStartCalm = false
            hasCursors = true
        }
    }

    /// One start; false if a fault prevented it.
    private func openLog() -> Bool {
        let storage = disk.startProcess()
        startingProcess = storage.process
        struck = 0
        let refusals = disk.refusals
        trace.note("the agent starts (\(ending))")
        do throws(LogError) {
            let writer = try LogWriter(
                state: storage, limits: weather.limits, time: time,
                random: { [unowned self] in random.next() })
            noteSegments()
            guard !disk.isDead(storage.process) else { return false }
            agent = SimulatedAgent(writer, storage, disk, exporters: sinks.count)
            return true
        } catch {
            noteSegments()
            if struck == 0 {
                fail("the start is blocked: \(error), \(disk.refusals - refusals) refusals")
            }
            disk.kill(storage.process)
            return false
        }
    }

    /// What a start left that did not come to its end: unclean, unless it had not begun to write.
    private func noteFailedStart() {
        if let meta = disk.content("log/meta"), meta.count > 40, meta[40] == 1 { return }
        if ending == .order {
            ending = .death
            spentBeforeFailedStarts = spentSegments
        }
        spendSegments()
        // What it found and mended it could tell nobody; the copies do.
        for name in disk.names("quarantine") where name.hasSuffix(".bytes") {
            let words = name.dropLast(6).split(separator: "-").compactMap { UInt32($0) }
            guard words.count == 2, let size = disk.size("quarantine/" + name) else { continue }
            oracle.reported.append(
                DamagedRange(
                    from: LogOffset(segment: words[0], position: words[1]), count: UInt64(size)))
        }
    }

    /// After an unclean end offsets of these segments must not be used again.
    func spendSegments() {
        // If `meta` was damaged nobody knows the numbers of files that never held anything.
        let highest = flipsElsewhere > 0 ? oracle.highestOffset.segment : highestSegment
        spentSegments = max(spentSegments, highest)
    }

    /// The agent ends as it was asked to.
    func endInOrder(_ agent: SimulatedAgent) {
        trace.note("the agent ends in order")
        let before = struck
        performJob(agent)
        finishSync(agent)
        for case let running? in agent.exporters where !agent.isDead && violation == nil {
            running.isBusy = true
            running.sink.isCalm = true
            for _ in 0..<20 where running.run.stopTurn() != nil {}
            running.run.finish()
        }
        agent.writerIsBusy = true
        do throws(LogError) {
            try agent.writer.close()
        } catch {
            trace.note("closing failed: \(error)")
            if struck == 0, disk.refusals == 0 { fail("closing failed: \(error)") }
            isClosing = true
            return kill()
        }
        guard !agent.isDead else { return }
        noteSynced(agent)
        if agent.writer.synced < agent.writer.committed { return kill() }
        noteSegments()
        disk.kill(agent.process)
        self.agent = nil
        for producer in producers { producer.connection = nil }
        readers.removeAll { $0.isInside }
        ending = struck == before ? .order : .orderWithFaults
        tallies[.cleanStarts] += 1
        start()
    }

    // MARK: The sync thread

    func beginSync(_ agent: SimulatedAgent) {
        guard !agent.writerIsBusy, agent.job == nil, agent.outcome == nil, !agent.jobIsBusy else {
            return
        }
        agent.job = agent.writer.beginSync(force: random.oneIn(8))
    }

    func performJob(_ agent: SimulatedAgent) {
        guard let job = agent.job, !agent.jobIsBusy, !agent.isDead else { return }
        tallies[.syncs] += 1
        agent.job = nil
        agent.jobIsBusy = true
        let outcome = job.perform()
        agent.jobIsBusy = false
        if !agent.isDead { agent.outcome = outcome }
    }

    func finishSync(_ agent: SimulatedAgent) {
        guard let outcome = agent.outcome, !agent.isDead else { return }
        agent.outcome = nil
        agent.writerIsBusy = true
        agent.writer.finishSync(outcome)
        agent.writerIsBusy = false
        guard !agent.isDead else { return }
        agent.published.update(agent.writer)
        noteSynced(agent)
    }

    func noteSynced(_ agent: SimulatedAgent) {
        let writer = agent.writer
        if writer.synced > writer.committed {
            fail("synced \(writer.synced) is beyond committed \(writer.committed)")
        }
        if writer.synced > oracle.synced { oracle.synced = writer.synced }
    }

    func maintain(_ agent: SimulatedAgent) {
        guard !agent.writerIsBusy, !agent.isDead else { return }
        agent.writerIsBusy = true
        agent.writer.maintain()
        while let range = agent.damage.popLast() {
            do throws(LogError) {
                try agent.writer.keepDamaged(range)
            } catch {
                trace.note("no copy of \(range): \(error)")
            }
        }
        agent.writerIsBusy = false
        guard !agent.isDead else { return }
        agent.published.update(agent.writer)
        noteSynced(agent)
    }

    /// Another agent on the same state must not come up.
    func secondAgent() {
        guard let agent, !agent.isDead else { return }
        // The first must not die meanwhile.
        depth += 2
        defer { depth -= 2 }
        do throws(LogError) {
            _ = try LogWriter(
                state: disk.startProcess(), limits: weather.limits, time: time, random: { 4 })
            fail("a second agent started on the same state")
        } catch {
            switch error {
            case .locked: tallies[.secondAgents] += 1
            default: fail("a second agent was refused by \(error)")
            }
        }
    }

    // MARK: Exporters

    private func openExporter(_ index: Int, _ agent: SimulatedAgent) {
        guard !agent.openingExporter else { return }
        agent.openingExporter = true
        defer { agent.openingExporter = false }
        let sink = SimulatedSink(sinks[index].record) { [unowned self] in random.below($0) }
        let published = agent.published
        let before = struck
        let refusals = disk.refusals
        do throws(SourceError) {
            let source = try LogSource(
                state: agent.storage, progress: published.progress,
                reportDamage: { [unowned self, unowned agent] in
                    note(damage: $0, by: "an exporter")
                    agent.damage.append($0)
                })
            let run = try ExporterRun(
                name: sinks[index].name, startAt: .beginning, source: source, exporter: sink,
                store: CursorFile(state: agent.storage, exporter: sinks[index].name), time: time)
            agent.exporters[index] = RunningExporter(run, sink)
        } catch {
            trace.note("\(sinks[index].name) does not start: \(error)")
            // Before there is a log, its name in `meta`, there is nothing to export.
            let hasName = disk.size("log/meta") != nil && tallies[.appended] > 0
            if struck == before, disk.refusals == refusals, !agent.isDead, depth == 0, hasName,
                !hasFlips
            {
                fail("\(sinks[index].name) cannot start: \(error)")
            }
        }
    }

    /// One turn of an exporter's thread.
    func turn(_ agent: SimulatedAgent) {
        guard !agent.isDead, violation == nil else { return }
        let index = random.below(sinks.count)
        guard let running = agent.exporters[index] else { return openExporter(index, agent) }
        guard !running.isBusy else { return }
        running.isBusy = true
        running.sink.isCalm = isCalm
        _ = running.run.turn()
        running.isBusy = false
    }
}
