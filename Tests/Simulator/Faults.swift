import SegmentLog
import SimulationKit
import SystemIO

extension Simulation {
    /// The disk asks before each operation: first others may do something, then a fault may strike.
    func fault(at event: DiskEvent) -> DiskFault {
        guard violation == nil else { return .none }
        // A thread of a process that died goes on for a while, and can do nothing.
        guard !disk.isDead(event.process) else { return .none }
        if event.operation == .remove, event.name.hasSuffix(".segment") { removes(event) }
        if event.operation == .rename, event.name.hasSuffix(".cursor.tmp") { cursorIsSaved() }
        interlude(event)
        let fault = disk.isDead(event.process) ? .none : choose(event)
        trace.add(event.number)
        trace.add(UInt64(event.count) << 8 | UInt64(event.process & 0xFF))
        trace.add(event.position)
        trace.add(event.name)
        trace.add(event.operation.rawValue)
        if fault != .none { struck += 1 }
        if trace.prints {
            let place = event.count > 0 ? " \(event.count) bytes at \(event.position)" : ""
            let outcome = fault == .none ? "" : "  ← \(fault)"
            print(
                "\(event.number) [\(event.process)] \(event.operation.rawValue) \(event.name)"
                    + place + outcome)
        }
        return fault
    }

    private func choose(_ event: DiskEvent) -> DiskFault {
        guard !isCalm, !isStartCalm else { return .none }
        guard event.process == agent?.process ?? startingProcess else {
            return event.operation == .read && random.oneIn(weather.readError)
                ? count(.readErrors, .error(5)) : .none
        }
        if random.oneIn(weather.death) {
            tallies[.deathsInAnOperation] += 1
            powerIsFailing = random.oneIn(weather.powerPart)
            if event.name == "position" { wasPositionTorn = true }
            return .death(done: [0.0, 1, 0.3, 0.7, 0.95][random.below(5)])
        }
        switch event.operation {
        case .write:
            if random.oneIn(weather.shortWrite) {
                return count(.shortWrites, .short(random.below(event.count + 1), errno: 28))
            }
            if random.oneIn(weather.writeError) {
                return count(.writeErrors, .short(random.below(event.count + 1), errno: 5))
            }
        case .sync
        where event.name == "log" || event.name == "cursors"
            || event.name == "quarantine":
            if random.oneIn(weather.syncError) { return count(.failedNameSyncs, .error(5)) }
            if random.oneIn(weather.descriptors) { return count(.descriptorsShort, .error(24)) }
        case .sync:
            if random.oneIn(weather.syncError) {
                return count(.failedSyncs, .syncFails(seed: random.next()))
            }
        case .open:
            if random.oneIn(weather.descriptors) { return count(.descriptorsShort, .error(24)) }
        case .read:
            if random.oneIn(weather.readError) { return count(.readErrors, .error(5)) }
        case .rename, .remove, .truncate, .allocate:
            if random.oneIn(weather.otherError) {
                return count(.otherErrors, .error(random.oneIn(2) ? 28 : 5))
            }
        default: break
        }
        return .none
    }

    private func count(_ tally: Tally, _ fault: DiskFault) -> DiskFault {
        tallies[tally] += 1
        return fault
    }

    /// Other threads and processes work while this operation is under way.
    private func interlude(_ event: DiskEvent) {
        guard depth < 2, weather.interleave > 0, let agent, !agent.isDead,
            random.oneIn(weather.interleave)
        else { return }
        depth += 1
        defer { depth -= 1 }
        let before = disk.events
        // Who may need what another thread has, waits.
        let waits = agent.writer.isWaitedFor
        switch random.below(6) {
        case 0, 1: if !agent.writerIsBusy, !waits { append(agent) }
        case 2: if !agent.jobIsBusy, !waits { performJob(agent) }
        case 3: readSome()
        case 4: turn(agent)
        default: if !agent.writerIsBusy, !waits { maintain(agent) }
        }
        if disk.events > before { tallies[.interludes] += 1 }
    }
}
