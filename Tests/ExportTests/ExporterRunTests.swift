import ByteCoding
import SegmentLog
import SimulationKit
import Synchronization
import SystemIO
import TelemetryBatch
import Testing

@testable import Export

/// A clock that a test moves.
final class TestTime: TimeSource {
    private let now = Mutex<UInt64>(1_000_000_000_000)
    func wall() -> UInt64 { now.withLock { $0 } }
    func boottime() -> UInt64 { now.withLock { $0 } }
    func advance(seconds: Double) { now.withLock { $0 += UInt64(seconds * 1e9) } }
}

/// A log in memory: batches of one log event each, or of several.
private final class TestSource: ExportSource {
    let logID = String(repeating: "a", count: 32)
    var items: [SourceItem] = []
    var position = 0
    var syncedItems = Int.max
    var error: SourceError?
    var seeks: [LogOffset] = []

    static func offset(_ index: Int) -> LogOffset {
        LogOffset(segment: 1, position: UInt32(64 + index * 8))
    }

    func add(records: Int, damaged: Bool = false) {
        var builder = BatchBuilder(producer: ID128(high: 1, low: 1))
        builder.begin(baseTime: 1)
        for _ in 0..<records {
            builder.beginLog(time: 1, severity: 9)
            _ = builder.endRecord()
        }
        var payload = builder.finish(sequence: 1)
        if damaged { payload[0] = 77 }
        items.append(
            .batch(
                SourceBatch(
                    offset: Self.offset(items.count), end: Self.offset(items.count + 1),
                    ordinal: nil, records: records, receiptNanoseconds: 1, peer: .unknown,
                    payload: payload)))
    }

    func addLost(_ cause: LossCause, records: Int) {
        items.append(
            .lost(cause, records: records, end: Self.offset(items.count + 1), ordinal: nil))
    }

    func seek(to place: LogPlace) throws(SourceError) {
        seeks.append(place.offset)
        position = (Int(place.offset.position) - 64) / 8
    }

    func seek(to start: StartPlace) throws(SourceError) -> LogPlace {
        position = start == .end ? items.count : 0
        return LogPlace(offset: Self.offset(position), ordinal: nil)
    }

    func next() throws(SourceError) -> SourceItem {
        if let error { throw error }
        guard position < items.count else { return .nothing }
        position += 1
        return items[position - 1]
    }

    func synced() throws(SourceError) -> LogOffset {
        Self.offset(min(syncedItems, items.count))
    }

    func end() throws(SourceError) -> LogOffset? { Self.offset(items.count) }

    func backlogRecords() throws(SourceError) -> UInt64? {
        items[min(position, items.count)...].reduce(0) { sum, item in
            switch item {
            case .batch(let batch): sum + UInt64(batch.records)
            case .lost(_, let records, _, _): sum + UInt64(records)
            case .nothing: sum
            }
        }
    }
}

private final class TestStore: CursorStore {
    var saved: SavedCursor?
    var saves = 0
    var error: SourceError?

    func load(logID: String, end: LogOffset?) throws(SourceError) -> SavedCursor? { saved }
    var setAside: String? { nil }
    func save(_ cursor: SavedCursor, logID: String) throws(SourceError) {
        if let error { throw error }
        saved = cursor
        saves += 1
    }
}

/// Delivers what it is told to.
private final class TestExporter: Exporter {
    var taken: [ExportBatch] = []
    var room = Int.max
    var deliversAtOnce = true
    var state = ExporterState.running
    var resumption: ExportResumption?
    var isClosed = false
    var knowsSink = true

    var wantsBatch: Bool { room > 0 }
    var details: [String: String] { ["taken": String(taken.count)] }
    func resume(_ resumption: ExportResumption) { self.resumption = resumption }
    func take(_ batch: ExportBatch, ledger: inout ExportLedger) {
        taken.append(batch)
        room -= 1
    }
    func step(stopping: Bool, ledger: inout ExportLedger) -> ExporterStep {
        if deliversAtOnce {
            for batch in taken {
                ledger.settle(
                    batch.ticket, .delivered, records: Int(batch.batch.header.recordCount))
            }
            taken = []
        }
        return ExporterStep(
            state: state, idleNanoseconds: 5, isDone: taken.isEmpty, knowsSink: knowsSink)
    }
    func checkpoint(upTo ticket: ExportLedger.Ticket?) -> [UInt8] { [9] }
    func close() { isClosed = true }
}

@Suite struct ExporterRunTests {
    private let time = TestTime()
    private let source = TestSource()
    private let store = TestStore()
    private let exporter = TestExporter()

    private func makeRun(_ startAt: StartPlace = .beginning) throws -> ExporterRun {
        try ExporterRun(
            name: "test", startAt: startAt, source: source, exporter: exporter, store: store,
            time: time)
    }

    private func expectBalance(_ run: ExporterRun, stored: UInt64) {
        #expect(run.snapshot.stored == stored)
        #expect(run.snapshot.counts.total + run.snapshot.waiting == stored)
    }

    @Test func `a new cursor starts at the end unless it is told otherwise`() throws {
        source.add(records: 2)
        var run = try makeRun(.end)
        _ = run.turn()
        #expect(run.snapshot.counts.total == 0)
        source.add(records: 3)
        _ = run.turn()
        #expect(run.snapshot.counts[.delivered] == 3)

        store.saved = nil
        var second = try makeRun(.beginning)
        _ = second.turn()
        #expect(second.snapshot.counts[.delivered] == 5)
    }

    @Test func `a new cursor is saved at once so that a restart starts where it did`() throws {
        source.add(records: 2)
        _ = try makeRun(.end)
        source.add(records: 3)
        var run = try makeRun(.end)
        _ = run.turn()
        #expect(run.snapshot.counts[.delivered] == 3)
    }

    @Test func `counts survive a death and what was not settled comes again`() throws {
        source.add(records: 2)
        source.add(records: 3)
        var run = try makeRun()
        _ = run.turn()
        time.advance(seconds: 2)
        _ = run.turn()
        #expect(store.saved?.settled.total == 5)
        source.add(records: 4)
        exporter.deliversAtOnce = false
        _ = run.turn()
        expectBalance(run, stored: 9)
        // Dies here; a new one goes on.
        exporter.taken = []
        exporter.deliversAtOnce = true
        var next = try makeRun()
        #expect(exporter.resumption?.isClean == false)
        #expect(exporter.resumption?.state == [9])
        _ = next.turn()
        #expect(next.snapshot.counts[.delivered] == 9)
        expectBalance(next, stored: 9)
    }

    @Test func `counts are true before the first turn`() throws {
        source.add(records: 3)
        var run = try makeRun()
        _ = run.turn()
        source.add(records: 2)
        expectBalance(try makeRun(), stored: 5)
    }

    @Test func `the saved cursor never passes the synced position`() throws {
        source.add(records: 2)
        source.add(records: 3)
        source.syncedItems = 1
        var run = try makeRun()
        _ = run.turn()
        time.advance(seconds: 2)
        _ = run.turn()
        #expect(store.saved?.cursor.offset == TestSource.offset(1))
        #expect(store.saved?.settled.total == 2)
        #expect(run.snapshot.counts[.delivered] == 5)
    }

    @Test func `an orderly stop is clean only when all is settled and synced`() throws {
        source.add(records: 2)
        source.syncedItems = 0
        var run = try makeRun()
        _ = run.turn()
        #expect(run.stopTurn() != nil)
        source.syncedItems = 1
        #expect(run.stopTurn() == nil)
        run.finish()
        #expect(store.saved?.isClean == true)
        #expect(exporter.isClosed)
        #expect(run.snapshot.state == .stopped)

        exporter.deliversAtOnce = false
        source.add(records: 1)
        var second = try makeRun()
        #expect(exporter.resumption?.isClean == true)
        // From the first moment on there may be entries that no cursor knows.
        #expect(store.saved?.isClean == false)
        _ = second.turn()
        #expect(second.stopTurn() != nil)
        second.finish()
        #expect(store.saved?.isClean == false)
        #expect(store.saved?.settled.total == 2)
    }

    @Test func `a stop before the sink was looked at ends at once and is not clean`() throws {
        source.add(records: 2)
        var killed = try makeRun()
        _ = killed.turn()
        // The next run looks in the sink for what this one may have left there; it is stopped before.
        exporter.knowsSink = false
        exporter.room = 0
        var stopped = try makeRun()
        #expect(exporter.resumption?.isClean == false)
        _ = stopped.turn()
        #expect(stopped.stopTurn() == nil)
        stopped.finish()
        #expect(store.saved?.isClean == false)
    }

    @Test func `what cannot be read is lost by its cause`() throws {
        source.addLost(.expired, records: 10)
        source.add(records: 2)
        source.addLost(.damaged, records: 3)
        source.add(records: 4, damaged: true)
        var run = try makeRun()
        _ = run.turn()
        #expect(run.snapshot.lost == ["expired": 10, "damaged": 7])
        #expect(run.snapshot.counts[.delivered] == 2)
        expectBalance(run, stored: 19)
    }

    @Test func `a sink that takes nothing leaves records waiting in the log`() throws {
        for _ in 0..<100 { source.add(records: 1) }
        exporter.room = 3
        exporter.deliversAtOnce = false
        exporter.state = .degraded("down")
        var run = try makeRun()
        for _ in 0..<10 {
            _ = run.turn()
            time.advance(seconds: 1)
        }
        #expect(run.snapshot.inFlight == 3)
        #expect(run.snapshot.backlog == 97)
        #expect(run.snapshot.state == .degraded("down"))
        #expect(run.snapshot.turns == 10)
        expectBalance(run, stored: 100)
    }

    @Test func `a record counts once between two countings of the backlog`() throws {
        for _ in 0..<100 { source.add(records: 1) }
        exporter.room = 3
        var run = try makeRun()
        _ = run.turn()
        expectBalance(run, stored: 100)
        exporter.room = 50
        _ = run.turn()
        #expect(run.snapshot.counts.total > 3)
        expectBalance(run, stored: 100)
    }

    @Test func `a log that cannot be read degrades and is tried again after a rest`() throws {
        source.add(records: 1)
        var run = try makeRun()
        source.error = SourceError("broken")
        _ = run.turn()
        #expect(run.snapshot.state == .degraded("broken"))
        source.error = nil
        _ = run.turn()
        #expect(run.snapshot.counts.total == 0)
        time.advance(seconds: 1.5)
        _ = run.turn()
        #expect(run.snapshot.counts[.delivered] == 1)
        #expect(run.snapshot.state == .running)
    }

    @Test func `a cursor that cannot be saved degrades and recovers`() throws {
        source.add(records: 1)
        var run = try makeRun()
        store.error = SourceError("disk full")
        _ = run.turn()
        time.advance(seconds: 2)
        _ = run.turn()
        #expect(run.snapshot.state == .degraded("disk full"))
        store.error = nil
        time.advance(seconds: 2)
        _ = run.turn()
        _ = run.turn()
        #expect(run.snapshot.state == .running)
        #expect(store.saved?.settled.total == 1)
    }

    @Test func `cursor files keep everything and set a damaged one aside`() throws {
        let path = "/tmp/codex-telemetry-test-\(ID128.random().hex)"
        let storage = try DirectoryStorage(creating: path)
        defer {
            for name in ["journald.cursor", "journald.cursor.bad"] {
                _ = try? Files.remove(path + "/cursors/" + name)
            }
            _ = try? Files.removeDirectory(path + "/cursors")
            _ = try? Files.removeDirectory(path)
        }
        let file = try CursorFile(state: storage, exporter: "journald")
        let logID = String(repeating: "b", count: 32)
        #expect(try file.load(logID: logID, end: nil) == nil)
        var settled = OutcomeCounts()
        settled[.delivered] = 7
        settled[.lost(.damaged)] = 2
        let cursor = SavedCursor(
            cursor: LogPlace(
                offset: TestSource.offset(3), ordinal: LogOrdinal(batches: 3, records: 9)),
            settled: settled, isClean: true, state: [1, 2, 3])
        try file.save(cursor, logID: logID)
        #expect(try file.load(logID: logID, end: nil) == cursor)
        #expect(try file.load(logID: String(repeating: "c", count: 32), end: nil) == nil)
        #expect(try file.load(logID: logID, end: nil) == nil)
    }

    @Test func `a cursor beyond the log's end is set aside, and all that there is delivered`()
        throws
    {
        let storage = MemoryDisk().root
        let (source, exporter) = (TestSource(), TestExporter())
        for _ in 0..<3 { source.add(records: 2) }
        let before = SavedCursor(
            cursor: LogPlace(offset: TestSource.offset(4), ordinal: nil), settled: OutcomeCounts(),
            isClean: true, state: [])
        let file = try CursorFile(state: storage, exporter: "journald")
        try file.save(before, logID: source.logID)
        var run = try ExporterRun(
            name: "journald", startAt: .beginning, source: source, exporter: exporter,
            store: file, time: TestTime())
        #expect(run.cursorProblem?.contains("stands beyond the log's end") == true)
        #expect(run.snapshot.cursorsSetAside == 1)
        _ = run.turn()
        run.finish()
        #expect(try file.load(logID: source.logID, end: TestSource.offset(3))?.settled.total == 6)
    }
}
