import ByteCoding
import SegmentLog
import SimulationKit

/// The log compared with the oracle.
extension Simulation {
    /// Bits were flipped in an entry, a header or a small file: counts need not be right to the last one. A
    /// footer is made anew from the entries.
    var hasFlips: Bool {
        flipsElsewhere > 0 || !oracle.destroyed.isEmpty || !oracle.headersFlipped.isEmpty
    }

    /// After a start: everything that must be there is, once and unchanged, and nothing else.
    func reconcile(_ agent: SimulatedAgent) {
        let recovery = agent.writer.recovery
        for range in recovery.damaged { note(damage: range, by: "recovery") }
        oracle.reported += recovery.tornTails
        if ending == .order, startAttempts == 1, !recovery.clean, !recovery.created,
            tallies[.bitFlips] == 0
        {
            fail("an orderly end was taken for an unclean one")
        }
        let found = readEverything(agent)
        var lost: Set<LogOffset> = []
        for offset in oracle.order where !found.contains(offset) && violation == nil {
            // What was removed, and how much it was, only the position file may have known.
            if ending == .power, offset >= oracle.synced || oracle.taken.contains(offset.segment) {
                lost.insert(offset)
                continue
            }
            if isExpired(offset) { continue }
            if mayBeMissing(offset) { continue }
            fail("\(offset) is lost, \(offset < oracle.synced ? "synced" : "acknowledged")")
        }
        tallies[.batchesLostToPower] += lost.count
        // What was on its way may have been counted in a header before it went.
        if ending == .power || !oracle.taken.isEmpty { oracle.doubt(oracle.unsure) }
        for offset in lost.sorted() { trace.note("\(offset) was not synced and is gone") }
        oracle.lose(lost)
        oracle.unsure = []
        oracle.settleAhead()
        ending = .death
        noteSynced(agent)
        compareStatistics(agent)
        compareDedupe(agent)
    }

    /// In the middle of a life.
    func check(_ agent: SimulatedAgent) {
        guard !agent.isDead, !agent.writerIsBusy, violation == nil else { return }
        if agent.hasUnnoticed {
            maintain(agent)
            agent.hasUnnoticed = false
            guard !agent.isDead, agent.writer.statistics.failure == nil else { return }
        }
        let found = readEverything(agent)
        for offset in oracle.order
        where !found.contains(offset) && !isExpired(offset) && !mayBeMissing(offset) {
            fail("\(offset) cannot be read")
        }
        compareStatistics(agent)
        compareDedupe(agent)
    }

    /// Whether retention deleted its segment.
    func isExpired(_ offset: LogOffset) -> Bool {
        oracle.removed.contains(offset.segment)
            && disk.size("log/" + segmentName(offset.segment)) == nil
    }

    func segmentName(_ number: SegmentNumber) -> String {
        let digits = String(number)
        return String(repeating: "0", count: 10 - digits.utf8.count) + digits + ".segment"
    }

    /// Whether flipped bits explain that an entry is gone, and it was reported.
    private func mayBeMissing(_ offset: LogOffset) -> Bool {
        guard
            oracle.destroyed.contains(offset)
                || oracle.headersFlipped.contains(offset.segment)
        else { return false }
        if !oracle.isReported(offset) { fail("\(offset) is destroyed, and nobody said so") }
        return true
    }

    /// Reads all with a reader of its own, on which no fault strikes.
    private func readEverything(_ agent: SimulatedAgent) -> Set<LogOffset> {
        let committed = agent.writer.committed
        var found: Set<LogOffset> = []
        var names: [DedupeKey: Set<UInt64>] = [:]
        do throws(LogError) {
            let reader = try LogReader(
                state: disk.root, at: .beginning, committed: { committed })
            var last = LogOffset.none
            while violation == nil, let item = try reader.next() {
                switch item {
                case .batch(let batch):
                    if batch.offset <= last { fail("\(batch.offset) follows \(last)") }
                    last = batch.offset
                    compare(batch)
                    if oracle.destroyed.contains(batch.offset) {
                        fail("\(batch.offset) was destroyed, and is read")
                    }
                    found.insert(batch.offset)
                    let key = DedupeKey(
                        uid: batch.envelope.peer.uid ?? .max, producer: batch.envelope.producer)
                    if !key.producer.isZero,
                        !names[key, default: []].insert(batch.envelope.sequence).inserted,
                        !weather.days
                    {
                        fail("\(key.uid)/\(batch.envelope.sequence) is stored twice")
                    }
                case .damaged(let range): note(damage: range, by: "a reader of all")
                case .missed: break
                }
            }
        } catch {
            fail("the log cannot be read: \(error)")
        }
        return found
    }

    /// A batch as it was read against what is known of its offset.
    func compare(_ batch: StoredBatch) {
        let key = DedupeKey(
            uid: batch.envelope.peer.uid ?? .max, producer: batch.envelope.producer)
        if let entry = oracle.entries[batch.offset] {
            if entry.isLost, oracle.wasRemoved(batch.offset.segment) {
                // The start had deleted it before anyone could see that it was there; that was not synced.
                trace.note("\(batch.offset) is back")
                oracle.comesBack(batch.offset)
            } else if entry.isLost {
                fail("\(batch.offset) was lost with power, and is back")
            }
            if entry.batch.key != key || entry.batch.sequence != batch.envelope.sequence
                || entry.batch.payload != batch.payload
                || entry.batch.records != Int(batch.envelope.records)
            {
                fail("what stands at \(batch.offset) has changed")
            }
            return
        }
        func isSame(_ sent: SentBatch) -> Bool {
            sent.key == key && sent.sequence == batch.envelope.sequence
                && sent.payload == batch.payload
        }
        if let sent = oracle.unsure.first(where: isSame) {
            trace.note("\(batch.offset) was on its way and is stored")
            if let wrong = oracle.note(sent, at: batch.offset) { fail(wrong) }
        } else if let sent = agent?.sentUnderWay.first(where: isSame) {
            trace.note("\(batch.offset) is on its way")
            if let met = oracle.ahead[batch.offset], !met.isSame(sent) {
                fail("what stands at \(batch.offset) has changed")
            }
            oracle.ahead[batch.offset] = sent
        } else if oracle.taken.contains(batch.offset.segment) {
            // Who has a removed file open still sees what came into it before a death, and never had an ack.
            trace.note("\(batch.offset) stands in a file that is gone")
        } else {
            fail("at \(batch.offset) stands what nobody was told is stored")
        }
    }

    private func compareStatistics(_ agent: SimulatedAgent) {
        guard !hasFlips, violation == nil else { return }
        let now = agent.writer.statistics
        if !oracle.isRight(now.stored.batches, UInt64(oracle.order.count))
            || oracle.lostCount == 0 && now.stored.records != oracle.records
        {
            fail("\(now.stored) is said to be stored, not \(oracle.order.count), \(oracle.records)")
        }
        // Deletions that were not synced may come back in part: what then is missing between looks lost.
        // So do those of which the position file could not be told.
        let isTold =
            tallies[.powerLosses] == 0 && tallies[.writeErrors] == 0 && tallies[.shortWrites] == 0
        let mayLook = isTold ? 0 : oracle.batchesRemoved
        let taken = oracle.batchesTaken
        if now.lost.batches > oracle.lostCount + mayLook + taken
            || now.lost.batches < taken && !wasPositionTorn
        {
            fail("\(now.lost) is said to be lost; somebody took \(taken)")
        }
        let kept = oracle.order.count { !isExpired($0) }
        if now.kept.batches != UInt64(kept) {
            fail("\(now.kept.batches) batches are said to be kept, not \(kept)")
        }
    }

    /// Dedupe knows what is stored, and nothing more.
    private func compareDedupe(_ agent: SimulatedAgent) {
        for producer in producers where violation == nil {
            let says = agent.writer.highestSequence(uid: producer.uid, producer: producer.id)
            let known = oracle.highest[producer.key]
            if says > oracle.highestPossible(producer.key) {
                fail("dedupe says \(says), stored is \(known?.sequence ?? 0)")
            }
            guard let known, says < known.sequence, !mayBeForgotten(known.trueTime), !hasFlips
            else { continue }
            fail("dedupe says \(says) and has forgotten \(known.sequence)")
        }
    }

    /// Somebody met bytes that are no entry.
    func note(damage range: DamagedRange, by whom: String) {
        tallies[.damageReported] += 1
        oracle.reported.append(range)
        trace.note("\(whom) reports \(range)")
        let end = LogOffset(rawValue: range.from.rawValue + range.count)
        // What stood in a file that is gone, a start takes for damage.
        if oracle.taken.contains(range.from.segment) { return }
        // A flipped zero behind the entries makes a reader pass on; what is written there then it does not know.
        let flips = oracle.flips.contains { $0.segment == range.from.segment && $0 < end }
        if !flips, tallies[.powerLosses] == 0 {
            fail("\(whom) reports damage where none was done: \(range)")
        }
        if oracle.headersFlipped.contains(range.from.segment) { return }
        // Loss of power brought back a segment below one that retention had deleted.
        if tallies[.powerLosses] > 0, oracle.removed.contains(range.from.segment) { return }
        for offset in oracle.entries(in: range.from..<end)
        where !oracle.destroyed.contains(offset) {
            // What is not synced may be torn; the oracle learns it after the start.
            if ending == .power, offset >= oracle.synced { continue }
            fail("\(whom) reports \(range) as damaged, and \(offset) in it was not touched")
        }
    }

    // MARK: Events of the disk

    /// A segment is about to be removed: in turn, and for a reason.
    func removes(_ event: DiskEvent) {
        guard let number = SegmentNumber(event.name.dropLast(8)),
            disk.size("log/" + event.name) != nil
        else { return }
        noteSegments()
        var total = 0
        var oldest = SegmentNumber.max
        for name in disk.names("log") where name.hasSuffix(".segment") {
            total += disk.size("log/" + name) ?? 0
            // One without an entry may be left over, one with a damaged header be left in its place.
            guard let found = SegmentNumber(name.dropLast(8)), !oracle.entries(of: found).isEmpty,
                !oracle.headersFlipped.contains(found)
            else { continue }
            oldest = min(oldest, found)
        }
        let known = oracle.entries(of: number)
        if oracle.headersFlipped.contains(number)
            || known.allSatisfy({ oracle.destroyed.contains($0) })
        {
            oracle.removed.insert(number)
            return
        }
        // What is not synced may be torn to nothing; the oracle learns it after the start.
        let living = known.filter { !(ending == .power && $0 >= oracle.synced) }
        if living.isEmpty {
            oracle.removedInDoubt.insert(number)
            return
        }
        if number != oldest { fail("segment \(number) is removed before \(oldest)") }
        oracle.removed.insert(number)
        tallies[.segmentsExpired] += 1
        let limits = weather.limits
        // What the writer counts is ahead of the files by what it prepares.
        let slack =
            (limits.segmentBytes + limits.allocationBytes) * 2 + 4096
            + limits.allocationBytes * disk.names("log").count
        if UInt64(total + slack) > limits.capBytes { return }
        let newest = living.compactMap { oracle.entries[$0]?.batch.trueTime }.max() ?? 0
        let days = Double(trueTime - newest) / 86_400e9
        for step in stepsPending where trueTime - step.at >= 86_000_000_000_000 {
            believedSeconds = steppedSeconds
        }
        stepsPending.removeAll { trueTime - $0.at >= 86_000_000_000_000 }
        // A wrong clock counts once a day has passed without a step, or after a start, if it also dated the
        // newest entry; never on the spot.
        if days < 6.99 { tallies[.segmentsExpiredEarly] += 1 }
        if days + believedSeconds / 86_400 < 6.99 {
            fail("segment \(number) is removed after \(days) days, without need")
        }
    }

    /// A cursor is about to be saved: only up to what is safe and settled.
    func cursorIsSaved() {
        for index in sinks.indices {
            let name = sinks[index].name + ".cursor"
            guard let saved = readCursor(name + ".tmp") else { continue }
            let cursor = saved.offset
            tallies[.cursorsSaved] += 1
            if disk.size("cursors/" + name) == nil {
                sinks[index].base = (saved.records ?? saved.settled) - saved.settled
            }
            let place = oracle.index(atOrAbove: cursor)
            let before = place < oracle.order.count ? oracle.recordsBefore[place] : oracle.records
            if !hasFlips, oracle.lostRecords == 0, tallies[.powerLosses] == 0,
                saved.settled + sinks[index].base != before || saved.records ?? before != before
            {
                fail("\(name) at \(cursor) says \(saved); \(before) records are below it")
            }
            if cursor > oracle.synced, !oracle.entries(in: oracle.synced..<cursor).isEmpty {
                fail("\(name) is saved at \(cursor), synced is \(oracle.synced)")
            }
            let end = oracle.index(atOrAbove: cursor)
            // What retention took before that cursor passed it may have come back with power.
            let start = min(oracle.index(atOrAbove: sinks[index].checked), end)
            for offset in oracle.order[start..<end]
            where !sinks[index].record.knows(offset) && !isExpired(offset) {
                if oracle.destroyed.contains(offset) { continue }
                if oracle.headersFlipped.contains(offset.segment) { continue }
                fail("\(name) is saved at \(cursor), and \(offset) was not delivered")
            }
            sinks[index].checked = max(sinks[index].checked, cursor)
        }
    }

    /// What a cursor's file says: its place, how many records are settled, and how many were stored below.
    private struct CursorContent {
        var offset: LogOffset
        var settled: UInt64
        var records: UInt64?
    }

    private func readCursor(_ name: String) -> CursorContent? {
        guard let bytes = disk.content("cursors/" + name), bytes.count >= 152 else { return nil }
        func word(_ at: Int) -> UInt64 {
            bytes[at..<(at + 8)].reversed().reduce(0) { $0 << 8 | UInt64($1) }
        }
        return CursorContent(
            offset: LogOffset(rawValue: word(40)),
            settled: stride(from: 72, to: 152, by: 8).reduce(0) { $0 + word($1) },
            records: bytes[50] & 2 != 0 ? word(64) : nil)
    }
}
