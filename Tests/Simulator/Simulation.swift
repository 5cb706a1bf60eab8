import ByteCoding
import Export
import SegmentLog
import SimulationKit
import SystemIO
import TelemetryBatch

/// One seed's world: a disk, clocks, one agent at a time, producers, readers, exporters, and the oracle.
///
/// It runs on one thread. That threads of the agent overlap is simulated by doing one's work inside an
/// operation of another's: at every storage operation `fault(at:)` may run what does not belong to the
/// same thread.
final class Simulation: FaultPlan, @unchecked Sendable {
    // @unchecked: made, run and dropped by one thread; it is Sendable because a disk's plan must be.
    let seed: UInt64
    let disk = MemoryDisk(blockBytes: 512)
    let time = ManualTime()
    var random: SeededGenerator
    var weather: Weather
    var oracle = Oracle()
    var tallies = Tallies()
    var trace: Trace
    /// What was violated first.
    var violation: String?

    /// Nanoseconds that really passed.
    var trueTime: UInt64 = 0
    var steppedSeconds = 0.0
    var stepsPending: [(at: UInt64, seconds: Double)] = []

    var agent: SimulatedAgent?
    var producers: [Producer] = []
    var builder = BatchBuilder(producer: ID128(high: 1, low: 1))
    var readers: [SimulatedReader] = []
    /// `base`: records that had gone when its cursor was made.
    var sinks: [(name: String, record: SinkRecord, checked: LogOffset, base: UInt64)] = []
    var outsideReaders = 0

    /// Nothing fails any more.
    var isCalm = false
    var isStartCalm = false
    var ending = Ending.order
    var startingProcess = 0
    var isClosing = false
    /// Steps of the clock that the agent believes by now.
    var believedSeconds = 0.0
    var startAttempts = 0
    var hasCursors = false
    var flippedBytes: Set<LogOffset> = []
    var flipsElsewhere = 0
    var depth = 0
    /// A death that happened in an operation is one of power.
    var powerIsFailing = false
    /// Faults that struck since the agent's last start began.
    var struck = 0
    /// The highest segment number that any file ever had.
    var highestSegment: SegmentNumber = 0
    /// After an unclean end nothing may be stored in a segment at or below this.
    var spentSegments: SegmentNumber = 0
    /// The same before starts that failed after an orderly end: they stored nothing.
    var spentBeforeFailedStarts: SegmentNumber?
    /// A death in the midst of writing `position`: what retention deleted may not be told.
    var wasPositionTorn = false

    init(seed: UInt64, prints: Bool) {
        self.seed = seed
        random = SeededGenerator(seed: seed)
        weather = Weather(&random)
        trace = Trace(prints: prints)
        disk.setPlan(self)
        let exporters = 1 + random.below(2)
        for index in 0..<exporters {
            sinks.append((index == 0 ? "journald" : "file", SinkRecord(), .none, 0))
        }
        for _ in 0..<(1 + random.below(5)) {
            let uid = UInt32(1000 + random.below(2))
            // Now and then two users' producers have the same id.
            let fresh = ID128(random: &random)
            let id = random.oneIn(4) ? producers.last?.id ?? fresh : fresh
            if !producers.contains(where: { $0.uid == uid && $0.id == id }) {
                producers.append(Producer(uid: uid, id: id))
            }
        }
    }

    /// Runs the world; nil if all that was promised held.
    func run(steps: Int) -> String? {
        start()
        var step = 0
        while step < steps, violation == nil {
            act()
            step += 1
        }
        if violation == nil { settle() }
        tallies[.events] = Int(disk.events)
        tallies[.diskFull] = disk.refusals
        for sink in sinks {
            tallies[.delivered] += sink.record.delivered.count
            tallies[.deliveredAgain] += sink.record.delivered.values.reduce(0) { $0 + $1 - 1 }
            tallies[.sinkFailures] += sink.record.failures
        }
        return violation
    }

    /// What is wrong: the first counts.
    func fail(_ what: @autoclosure () -> String) {
        guard violation == nil else { return }
        let text = what()
        violation = "at event \(disk.events): \(text)"
        trace.note("VIOLATED: \(text)")
    }

    // MARK: Steps

    private func act() {
        guard let agent else { return start() }
        switch random.below(100) {
        case 0..<30: produce()
        case 30..<48: append(agent)
        case 48..<56: beginSync(agent)
        case 56..<63: performJob(agent)
        case 63..<70: finishSync(agent)
        case 70..<78: readSome()
        case 78..<88: turn(agent)
        case 88..<90: maintain(agent)
        case 90..<95: passTime()
        case 95: changeSpace()
        case 96: restartSomething(agent)
        case 97: if weather.flips || weather.flipsFooters { flip() } else { check(agent) }
        case 98: if weather.removals, random.oneIn(2) { takeFile(agent) } else { secondAgent() }
        default: if random.oneIn(6) { endInOrder(agent) } else { check(agent) }
        }
        buryTheDead()
    }

    /// After each step: a process that died in it is replaced.
    func buryTheDead() {
        guard let agent, agent.isDead || powerIsFailing else {
            // Poisoned for good: as an administrator would, start it again.
            if let agent, agent.writer.statistics.failure != nil,
                !agent.writer.statistics.isFull, random.oneIn(4) || isCalm
            {
                trace.note("the poisoned agent is killed")
                kill()
            }
            return
        }
        kill()
    }

    /// The agent's process ends without a word; with power if that is what fails.
    func kill() {
        guard let agent else { return }
        noteSegments()
        disk.kill(agent.process)
        self.agent = nil
        oracle.unsure += agent.sentUnderWay
        for producer in producers { producer.connection = nil }
        readers.removeAll { $0.isInside }
        if ending == .order { ending = .death }
        if powerIsFailing { losePower() } else { tallies[.deaths] += 1 }
        powerIsFailing = false
        // One that died after it had said that it ended cleanly had sealed and synced all before.
        let saidClean =
            isClosing && disk.content("log/meta").map { $0.count > 40 && $0[40] == 1 } ?? false
        isClosing = false
        if !saidClean { spendSegments() }
        start()
    }

    func losePower() {
        tallies[.powerLosses] += 1
        ending = .power
        readers = []
        let loss = PowerLoss.allCases[random.below(PowerLoss.allCases.count)]
        let left = disk.powerFails(&random, loss)
        tallies[.unsyncedWritesAtPowerLoss] += left.writes
        tallies[.unsyncedNamesAtPowerLoss] += left.names
        trace.note("power fails, leaving \(loss) of \(left.writes) writes, \(left.names) names")
        // What those starts said of an unclean end may go with power, too.
        if let spent = spentBeforeFailedStarts, disk.content("log/meta")?[40] == 1 {
            spentSegments = spent
        }
        let off = [1.0, 60, 3600][random.below(3)]
        time.boot(afterSeconds: off)
        trueTime += UInt64(off * 1e9)
    }

    /// Segment numbers in use: whatever was ever made must not be made again.
    func noteSegments() {
        for name in disk.names("log") where name.hasSuffix(".segment") {
            highestSegment = max(highestSegment, SegmentNumber(name.dropLast(8)) ?? 0)
        }
    }

    // MARK: The rest of the world

    /// Somebody removes a segment. The log finds out by itself, now or with the next sync.
    private func takeFile(_ agent: SimulatedAgent) {
        let segments = disk.names("log").filter { $0.hasSuffix(".segment") }
        guard !segments.isEmpty, !agent.writerIsBusy, !agent.jobIsBusy, depth == 0 else { return }
        let name =
            random.oneIn(2) ? segments[segments.count - 1] : segments[random.below(segments.count)]
        guard let number = SegmentNumber(name.dropLast(8)) else { return }
        noteSegments()
        disk.remove("log/" + name)
        trace.note("somebody removes \(name)")
        tallies[.filesTaken] += 1
        oracle.take(number)
        agent.hasUnnoticed = true
        if random.oneIn(2) { maintain(agent) }
    }

    private func passTime() {
        let seconds = [0.001, 0.05, 0.2, 1, 5, 40][random.below(6)]
        advance(seconds)
        if weather.clockSteps, random.oneIn(4) {
            let steps: [Double] = [86_400, -86_400, 30, -3600, 2_592_000, -2_592_000]
            let step = steps[random.below(steps.count)]
            trace.note("the clock is set by \(Int(step)) s")
            tallies[.clockSteps] += 1
            time.step(step)
            steppedSeconds += abs(step)
            stepsPending.append((trueTime, abs(step)))
            // A running agent looks at the clock every few seconds.
            if let agent { maintain(agent) }
        }
        if weather.clockSteps, random.oneIn(8) {
            trace.note("the machine sleeps for 9 hours")
            tallies[.suspensions] += 1
            advance(9 * 3600)
        }
        if weather.days, random.oneIn(3) {
            let days = 1 + random.below(4)
            tallies[.days] += days
            // A running agent looks every few seconds; whoever looks after more than ten minutes has slept.
            for _ in 0..<(days * 144) where violation == nil && !(agent?.isDead ?? true) {
                advance(600)
                if let agent { maintain(agent) }
            }
        }
    }

    func advance(_ seconds: Double) {
        time.advance(seconds)
        trueTime += UInt64(seconds * 1e9)
        trace.note("\(seconds) s pass")
    }

    private func changeSpace() {
        if weather.isOftenFull, random.oneIn(2) {
            let room = random.below(4000)
            disk.setCapacity(disk.used + room)
            trace.note("the disk has \(room) bytes left")
        } else {
            disk.setCapacity(.max)
        }
    }

    private func restartSomething(_ agent: SimulatedAgent) {
        switch random.below(3) {
        case 0:
            let producer = producers[random.below(producers.count)]
            trace.note("a producer restarts")
            producer.restart(ID128(random: &random))
        case 1:
            if !readers.isEmpty { readers.remove(at: random.below(readers.count)) }
        default: agent.restartExporter(random.below(sinks.count))
        }
    }
}
