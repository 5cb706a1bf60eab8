import Export
import SegmentLog
import SimulationKit

/// A reader of the log, in the agent's process or in one of its own.
final class SimulatedReader {
    let reader: LogReader
    let isInside: Bool
    let isSlow: Bool
    /// Everything below it is accounted for.
    var last: LogOffset
    /// What it was told that it missed, since its last batch; nil if nobody knows.
    var missed: UInt64? = 0
    var isFirst = true
    var isBusy = false

    init(_ reader: LogReader, isInside: Bool, isSlow: Bool) {
        self.reader = reader
        self.isInside = isInside
        self.isSlow = isSlow
        last = reader.cursor
    }
}

extension Simulation {
    /// A reader reads on, or a new one comes.
    func readSome() {
        guard violation == nil else { return }
        if readers.count < 3, random.oneIn(3) || readers.isEmpty { return addReader() }
        guard !readers.isEmpty else { return }
        let reader = readers[random.below(readers.count)]
        guard !reader.isBusy else { return }
        read(reader, reader.isSlow ? 1 : 1 + random.below(30))
    }

    private func addReader() {
        guard let agent, !agent.isDead else { return }
        let published = agent.published
        let isInside = random.oneIn(2)
        let start = random.oneIn(3) ? ReadStart.end : .beginning
        let storage = isInside ? agent.storage : disk.startProcess()
        do throws(LogError) {
            let reader: LogReader
            if isInside {
                reader = try LogReader(
                    state: storage, at: start, committed: { published.committed })
            } else {
                reader = try LogReader(state: storage, at: start)
            }
            let isSlow = random.oneIn(3)
            readers.append(SimulatedReader(reader, isInside: isInside, isSlow: isSlow))
        } catch {
            if isCalm { fail("a reader cannot start: \(error)") }
        }
    }

    func read(_ one: SimulatedReader, _ count: Int) {
        one.isBusy = true
        defer { one.isBusy = false }
        for _ in 0..<count where violation == nil {
            let committed = agent?.published.committed ?? .none
            do throws(LogError) {
                switch try one.reader.next() {
                case .batch(let batch): met(batch, one)
                case .damaged(let range):
                    note(damage: range, by: "a reader")
                    agent?.damage.append(range)
                case .missed(let range):
                    tallies[.missedByReaders] += Int(range.count?.batches ?? 0)
                    one.missed = range.count.flatMap { count in
                        one.missed.map { $0 + count.batches }
                    }
                case nil:
                    if one.isInside, depth == 0 { isCaughtUp(one, committed) }
                    return
                }
            } catch {
                if isCalm { fail("a reader fails: \(error)") }
                return
            }
            if one.isInside, agent?.isDead ?? true { return }
        }
    }

    private func met(_ batch: StoredBatch, _ one: SimulatedReader) {
        tallies[.readByReaders] += 1
        let place = one.isInside ? "in the process" : "outside"
        guard batch.offset >= one.last else {
            return fail("a reader \(place) met \(batch.offset) after \(one.last)")
        }
        if let agent, !agent.isDead, batch.offset >= agent.writer.committed {
            fail("a reader \(place) met \(batch.offset), which is not committed")
        }
        if one.isInside, batch.offset >= agent?.published.committed ?? .none {
            fail("a reader in the process met \(batch.offset), which is not published")
        }
        compare(batch)
        let passed = oracle.entries(in: one.last..<batch.offset)
        // Of what an append under way has written some may have been deleted already, before anyone could know.
        let isKnown = agent?.underWay.isEmpty ?? true
        if !one.isFirst, !hasFlips, isKnown, let missed = one.missed,
            !oracle.isRight(missed, UInt64(passed.count))
        {
            fail("a reader \(place) passed \(passed.count) batches, and counted \(missed)")
        }
        for offset in passed where !wasDestroyed(offset) && !oracle.removed.contains(offset.segment)
        {
            fail("a reader \(place) passed over \(offset)")
        }
        let index = oracle.index(atOrAbove: batch.offset)
        if !hasFlips, isKnown, let ordinal = batch.ordinal, violation == nil,
            !oracle.isRight(ordinal.batches, UInt64(index))
                || oracle.lostCount == 0 && ordinal.records != oracle.recordsBefore[index]
        {
            fail("\(batch.offset) is the \(index)th batch; the reader says \(ordinal)")
        }
        one.last = batch.next
        one.missed = 0
        one.isFirst = false
    }

    private func wasDestroyed(_ offset: LogOffset) -> Bool {
        oracle.destroyed.contains(offset) || oracle.headersFlipped.contains(offset.segment)
    }

    /// A reader that finds nothing more has met everything.
    private func isCaughtUp(_ one: SimulatedReader, _ committed: LogOffset) {
        guard violation == nil, one.last < committed else { return }
        for offset in oracle.entries(in: one.last..<committed)
        where !wasDestroyed(offset) && !isExpired(offset) {
            fail("a reader finds nothing, and \(offset) is committed")
        }
    }
}
