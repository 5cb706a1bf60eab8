package import SegmentLog
package import SystemIO
import TelemetryBatch

/// One exporter at its cursor, without a thread: what its runner does in each turn. Time, log, sink and
/// store are handed in.
///
/// `starting` → `running` ⇄ `degraded` → `stopped`.
package struct ExporterRun {
    /// At most this long after records are settled is the cursor saved.
    static let checkpointNanoseconds: UInt64 = 1_000_000_000
    /// And at most this many records after the last time: it bounds what is looked for after a crash.
    static let checkpointRecordsMax: UInt64 = 131_072
    /// Nothing more is read when this many records were taken since the last save: while cursors cannot be
    /// saved, what a restart would have to look for stays bounded.
    static let unsavedRecordsMax: UInt64 = 524_288
    /// Batches that are taken in one turn, and how long it may go on with them: processors may look through
    /// megabytes of each, and a turn that does not end looks like a loop that hangs.
    static let batchesInTurnMax = 32
    static let takingNanosecondsMax: UInt64 = 1_000_000_000
    /// How long the reading of the log rests after an error.
    static let errorRestNanoseconds: UInt64 = 1_000_000_000
    /// How often it is looked whether taken batches are settled and synced.
    static let syncPollNanoseconds: UInt64 = 100_000_000
    /// How often the exporter is asked for its details: they are texts, and a turn is short.
    static let detailsNanoseconds: UInt64 = 100_000_000
    /// How often the backlog is counted anew.
    static let backlogNanoseconds: UInt64 = 500_000_000

    /// What `status` shows.
    package private(set) var snapshot: ExporterSnapshot
    /// What was wrong with the saved cursor, nil if nothing.
    let cursorProblem: String?

    /// How long the last turn's end may be behind before new records are looked for.
    let restNanoseconds: UInt64

    private let rules: RecordRules
    private let source: any ExportSource
    private let exporter: any Exporter
    private let store: any CursorStore
    private let time: any TimeSource
    private var ledger: ExportLedger
    private var isDirty = false
    /// What was taken is settled, and the sink holds nothing else of the log.
    private var isClean = false
    private var checkpointedNanoseconds: UInt64 = 0
    private var checkpointedRecords: UInt64 = 0
    private var saveProblem: String?
    private var readProblem: String?
    private var readAgainNanoseconds: UInt64 = 0
    private var detailedNanoseconds: UInt64 = 0
    /// The state that the details in the snapshot belong to.
    private var shownState: ExporterState?
    private var backlogCountedNanoseconds: UInt64 = 0
    /// The backlog when it was counted, and what had been taken then.
    private var backlog: UInt64 = 0
    private var takenAtCount: UInt64 = 0

    /// Loads the cursor, or makes one, and prepares source and exporter.
    package init(
        name: String, startAt: StartPlace, rules: RecordRules = .everything,
        source: any ExportSource, exporter: any Exporter, store: any CursorStore,
        time: any TimeSource
    ) throws(SourceError) {
        self.rules = rules
        self.source = source
        self.exporter = exporter
        restNanoseconds = exporter.restNanoseconds
        self.store = store
        self.time = time
        snapshot = ExporterSnapshot(name: name)
        let logID = source.logID
        let saved: SavedCursor
        if let found = try store.load(logID: logID, end: source.end()) {
            saved = found
        } else {
            saved = SavedCursor(
                cursor: try source.seek(to: startAt), settled: OutcomeCounts(), isClean: true,
                state: [])
        }
        cursorProblem = store.setAside
        snapshot.cursorsSetAside = cursorProblem == nil ? 0 : 1
        ledger = ExportLedger(
            cursor: saved.cursor.offset, ordinal: saved.cursor.ordinal, settled: saved.settled)
        checkpointedRecords = saved.settled.total
        try source.seek(to: saved.cursor)
        exporter.resume(
            ExportResumption(
                logID: logID, cursor: saved.cursor.offset, state: saved.state,
                isClean: saved.isClean))
        // From now on entries may be in the sink beyond the cursor: that must stand on disk first. A new
        // cursor is saved for another reason: else a restart would start at another end.
        try store.save(
            SavedCursor(
                cursor: saved.cursor, settled: saved.settled, isClean: false, state: saved.state),
            logID: logID)
        // Before the first turn the counts are true already.
        publish(.starting, time.boottime())
        snapshot.savedCursor = saved.cursor.offset
        snapshot.turns = 0
    }

    /// One turn: reads, steps the exporter, saves the cursor. Returns how long there is nothing to do
    /// unless the log grows: 0 for "go on at once".
    package mutating func turn() -> UInt64 {
        let now = time.boottime()
        let readAll = readBatches(now)
        let step = exporter.step(stopping: false, ledger: &ledger)
        advance()
        if isDirty,
            now &- checkpointedNanoseconds >= Self.checkpointNanoseconds
                || ledger.settled.total - checkpointedRecords >= Self.checkpointRecordsMax
        {
            save(clean: false, now)
        }
        let goesOn = !readAll && mayTake
        publish(step.state, now, isResting: !goesOn && step.idleNanoseconds > 0)
        if goesOn { return 0 }
        // Nobody tells when what is settled survives power loss.
        if ledger.openBatches > 0 { return min(step.idleNanoseconds, Self.syncPollNanoseconds) }
        if isDirty { return min(step.idleNanoseconds, Self.checkpointNanoseconds) }
        return step.idleNanoseconds
    }

    /// One turn of an orderly stop: nothing more is read. Returns how long there is nothing to do, nil
    /// once all that was taken is settled and synced, or a sink that is away is all that is waited for.
    package mutating func stopTurn() -> UInt64? {
        let step = exporter.step(stopping: true, ledger: &ledger)
        advance()
        publish(step.state, time.boottime())
        let isDone = step.isDone && ledger.openBatches == 0
        isClean = isDone && step.knowsSink
        return isDone || step.waitsForSink ? nil : step.idleNanoseconds
    }

    /// Ends it: saves the cursor, lets go of the sink.
    package mutating func finish() {
        advance()
        // What is settled beyond the synced position comes again after a restart, and is looked for.
        save(clean: isClean, time.boottime())
        exporter.close()
        publish(.stopped, time.boottime())
    }

    private var mayTake: Bool {
        exporter.wantsBatch && ledger.hasRoom
            && ledger.taken - checkpointedRecords < Self.unsavedRecordsMax
    }

    private mutating func readBatches(_ now: UInt64) -> Bool {
        guard now >= readAgainNanoseconds else { return true }
        do throws(SourceError) {
            for _ in 0..<Self.batchesInTurnMax {
                guard mayTake, time.boottime() &- now <= Self.takingNanosecondsMax else {
                    return false
                }
                switch try source.next() {
                case .nothing:
                    readProblem = nil
                    return true
                case .lost(let cause, let records, let end, let ordinal):
                    ledger.take(lost: cause, records: records, end: end, ordinal: ordinal)
                case .batch(let found): take(found)
                }
            }
            readProblem = nil
            return false
        } catch {
            readProblem = error.description
            readAgainNanoseconds = now + Self.errorRestNanoseconds
            return true
        }
    }

    private mutating func take(_ found: SourceBatch) {
        do throws(BatchError) {
            let batch = try found.read()
            let ticket = ledger.take(
                records: Int(batch.header.recordCount), end: found.end, ordinal: found.ordinal)
            var selection = rules.select(from: batch)
            let parts = rules.process(batch, &selection)
            for (cause, records) in selection.excluded {
                ledger.settle(ticket, .excluded(cause), records: records)
            }
            for part in parts where !part.ranges.isEmpty {
                exporter.take(
                    ExportBatch(
                        batch: part.batch, ranges: part.ranges, offset: found.offset,
                        ticket: ticket, receiptNanoseconds: found.receiptNanoseconds,
                        peer: found.peer),
                    ledger: &ledger)
            }
        } catch {
            // Checked at intake, and under a checksum since: what is stored is not what was accepted.
            ledger.take(
                lost: .damaged, records: found.records, end: found.end, ordinal: found.ordinal)
        }
    }

    private mutating func advance() {
        do throws(SourceError) {
            if ledger.advance(synced: try source.synced()) { isDirty = true }
        } catch {
            readProblem = error.description
        }
    }

    private mutating func save(clean: Bool, _ now: UInt64) {
        do throws(SourceError) {
            try store.save(
                SavedCursor(
                    cursor: LogPlace(offset: ledger.cursor, ordinal: ledger.ordinal),
                    settled: ledger.settled, isClean: clean,
                    state: exporter.checkpoint(upTo: ledger.settledTicket)), logID: source.logID)
            isDirty = false
            saveProblem = nil
            checkpointedRecords = ledger.settled.total
            snapshot.savedCursor = ledger.cursor
            exporter.didSave(upTo: ledger.settledTicket)
        } catch {
            saveProblem = error.description
        }
        checkpointedNanoseconds = now
    }

    /// `isResting`: the next turn may be a while away.
    private mutating func publish(
        _ state: ExporterState, _ now: UInt64, isResting: Bool = true
    ) {
        if let problem = readProblem ?? saveProblem, state != .stopped {
            snapshot.state = .degraded(problem)
        } else {
            snapshot.state = state
        }
        snapshot.counts = ledger.counts
        snapshot.inFlight = ledger.pending
        // What was taken since the backlog was counted is no backlog any more: each record counts once.
        snapshot.backlog = backlog - min(backlog, ledger.taken &- takenAtCount)
        snapshot.cursor = ledger.cursor
        let isOld = now &- detailedNanoseconds >= Self.detailsNanoseconds
        if isOld || isResting || snapshot.state != shownState {
            (shownState, detailedNanoseconds) = (snapshot.state, now)
            snapshot.details = exporter.details
        }
        snapshot.turns &+= 1
        snapshot.turnNanoseconds = now
        guard now &- backlogCountedNanoseconds >= Self.backlogNanoseconds || state == .stopped
        else { return }
        backlogCountedNanoseconds = now
        do throws(SourceError) {
            guard let counted = try source.backlogRecords() else { return }
            (backlog, takenAtCount) = (counted, ledger.taken)
            snapshot.backlog = counted
        } catch {
            readProblem = error.description
        }
    }
}

/// How an exporter is, for `status` and the watchdog.
package struct ExporterSnapshot: Sendable, Equatable {
    /// The configured name.
    package var name: String
    /// The state.
    package var state = ExporterState.starting
    /// Records that are settled.
    package var counts = OutcomeCounts()
    /// Records that are taken and not settled.
    package var inFlight: UInt64 = 0
    /// Records in the log that are not taken.
    package var backlog: UInt64 = 0
    /// Everything below it is settled and saved, or will be within a second.
    package var cursor = LogOffset(rawValue: 0)
    /// The cursor as this run last saved it, nil if it could not yet.
    package var savedCursor: LogOffset?
    /// Saved cursors that could not be used, at this start.
    package var cursorsSetAside: UInt64 = 0
    /// Further facts.
    package var details: [String: String] = [:]
    /// Turns of the loop so far.
    package var turns: UInt64 = 0
    /// The end of the last one: nanoseconds since boot. A watchdog that is to be fed compares it with now.
    package var turnNanoseconds: UInt64 = 0

    /// One that has not begun.
    package init(name: String) { self.name = name }

    /// Records that are not settled.
    package var waiting: UInt64 { inFlight + backlog }
    /// Records under the cursor and before it: delivered + waiting + excluded + lost.
    package var stored: UInt64 { counts.total + waiting }

    /// Records left out on purpose, by cause; causes without records are left out.
    package var excluded: [String: UInt64] {
        var found: [String: UInt64] = [:]
        for cause in ExclusionCause.allCases where counts[.excluded(cause)] > 0 {
            found[cause.name] = counts[.excluded(cause)]
        }
        return found
    }

    /// Records that will never arrive, by cause; causes without records are left out.
    package var lost: [String: UInt64] {
        var found: [String: UInt64] = [:]
        for cause in LossCause.allCases where counts[.lost(cause)] > 0 {
            found[cause.name] = counts[.lost(cause)]
        }
        return found
    }
}
