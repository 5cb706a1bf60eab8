import ByteCoding
import SegmentLog
import SimulationKit
import Synchronization
import SystemIO
import TelemetryBatch
import Testing

@testable import Export

/// A log in a directory of its own, written by its real owner.
private final class RealLog {
    let path = "/tmp/codex-telemetry-test-\(ID128.random().hex)"
    let storage: DirectoryStorage
    let log: GroupCommit

    init() throws {
        storage = try DirectoryStorage(creating: path)
        log = try GroupCommit(state: storage)
    }

    deinit { remove(path) }

    private func remove(_ folder: String) {
        for name in (try? Files.list(folder)) ?? [] {
            if (try? Files.remove(folder + "/" + name)) == nil { remove(folder + "/" + name) }
        }
        _ = try? Files.removeDirectory(folder)
    }

    func append(batches: Int, records: Int) throws {
        for index in 0..<batches {
            var builder = BatchBuilder(producer: ID128.random())
            builder.begin(baseTime: 1)
            for _ in 0..<records {
                builder.beginLog(time: UInt64(index) + 1, severity: 9)
                _ = builder.endRecord()
            }
            let payload = builder.finish(sequence: 1)
            let done = Monitor(false)
            let submission = log.submit(
                AppendRequest(
                    payload: payload, payloadCRC: crc32c(payload.span.bytes), peer: .unknown,
                    receiver: .socket, producer: builder.producer, sequence: 1,
                    records: UInt32(records), spans: 0, logs: UInt32(records), earliest: 1,
                    latest: 1, traceIDs: [])
            ) { _ in done.update { $0 = true } }
            #expect(submission == .accepted)
            let stored = done.wait(until: Clocks.monotonic() + 5_000_000_000) { $0 ? true : nil }
            #expect(stored == true)
        }
        try log.sync()
    }

    var progress: LogProgress {
        LogProgress(
            committed: log.committedSource, synced: { [log] in log.synced },
            storedRecords: { [log] in log.statistics.stored.records })
    }
}

/// Delivers everything at once.
private final class Sink: Exporter {
    var records = 0
    private var taken: [ExportBatch] = []
    var wantsBatch = true
    var details: [String: String] { [:] }
    func resume(_ resumption: ExportResumption) {}
    func take(_ batch: ExportBatch, ledger: inout ExportLedger) { taken.append(batch) }
    func step(stopping: Bool, ledger: inout ExportLedger) -> ExporterStep {
        for batch in taken {
            let count = Int(batch.batch.header.recordCount)
            ledger.settle(batch.ticket, .delivered, records: count)
            records += count
        }
        taken = []
        return ExporterStep(state: .running, idleNanoseconds: 1, isDone: true)
    }
    func checkpoint(upTo ticket: ExportLedger.Ticket?) -> [UInt8] { [] }
    func close() {}
}

@Suite struct LogSourceTests {
    @Test func `a run over the real log balances over a restart`() throws {
        let real = try RealLog()
        defer { real.log.shutdown() }
        try real.append(batches: 20, records: 3)
        let time = TestTime()
        for round in 1...3 {
            let sink = Sink()
            var run = try ExporterRun(
                name: "test", startAt: .beginning,
                source: LogSource(state: real.storage, progress: real.progress), exporter: sink,
                store: CursorFile(state: real.storage, exporter: "test"), time: time)
            sink.wantsBatch = false
            _ = run.turn()
            // A new cursor learns what lies before it with the first batch that it reads.
            if round > 1 { #expect(run.snapshot.waiting == 60) }
            sink.wantsBatch = true
            time.advance(seconds: 2)
            for _ in 0..<20 { _ = run.turn() }
            time.advance(seconds: 2)
            _ = run.turn()
            #expect(sink.records == 60)
            #expect(run.snapshot.waiting == 0)
            #expect(run.snapshot.stored == UInt64(60 * round))
            #expect(run.snapshot.counts[.delivered] == UInt64(60 * round))
            try real.append(batches: 20, records: 3)
        }
    }

    @Test func `without an agent the position file tells how far the log is synced`() throws {
        let real = try RealLog()
        defer { real.log.shutdown() }
        try real.append(batches: 3, records: 1)
        let source = try LogSource(state: real.storage, progress: nil)
        #expect(try source.seek(to: .end).offset == real.log.committed)
        #expect(try source.synced() == real.log.synced)
        #expect(try source.backlogRecords() == nil)
    }
}

@Suite struct NewCursorTests {
    let disk = MemoryDisk()

    private func write(_ log: LogWriter, _ sequences: ClosedRange<UInt64>) {
        for sequence in sequences {
            let payload = [UInt8](repeating: 1, count: 900)
            _ = log.append([
                AppendRequest(
                    payload: payload, payloadCRC: crc32c(payload.span.bytes), peer: .unknown,
                    receiver: .socket, producer: ID128(high: 1, low: 1), sequence: sequence,
                    records: 2, spans: 0, logs: 2, earliest: 1, latest: 1, traceIDs: [])
            ])
        }
    }

    @Test func `what expires before the first batch is read is counted`() throws {
        var limits = LogLimits(
            capBytes: 16_384, space: StorageSpace(total: 1 << 30, available: 1 << 30))
        limits.segmentBytes = 4096
        let log = try LogWriter(state: disk.root, limits: limits, time: ManualTime())
        let source = try LogSource(state: disk.root, progress: nil)
        let place = try source.seek(to: .beginning)
        #expect(place.ordinal == LogOrdinal())
        write(log, 1...60)
        try log.sync()
        try source.seek(to: place)
        guard case .lost(.expired, let records, _, _) = try source.next() else {
            Issue.record("nothing was missed")
            return
        }
        #expect(UInt64(records) == log.statistics.expired.records)
    }

    /// Does something when the log's directory is listed for the second time.
    private final class AtSecondList: FaultPlan {
        private let body: @Sendable () -> Void
        // Guards how often it was listed.
        private let lists = Mutex(0)
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }

        func fault(at event: DiskEvent) -> DiskFault {
            guard event.operation == .list, event.name == "log" else { return .none }
            let count = lists.withLock { lists in
                lists += 1
                return lists
            }
            if count == 2 { body() }
            return .none
        }
    }

    @Test func `a segment that is made while a new cursor is has its place in it`() throws {
        let log = try LogWriter(
            state: disk.root,
            limits: LogLimits(
                capBytes: 1 << 20, space: StorageSpace(total: 1 << 30, available: 1 << 30)))
        nonisolated(unsafe) let test = (self, log)
        let source = try LogSource(state: disk.startProcess(), progress: nil)
        disk.setPlan(AtSecondList { test.0.write(test.1, 1...2) })
        let place = try source.seek(to: .beginning)
        disk.setPlan(nil)
        #expect(log.statistics.stored.batches == 2)
        #expect(place.ordinal == LogOrdinal())
    }

    @Test func `a damaged meta does not keep an exporter from the log`() throws {
        let log = try LogWriter(
            state: disk.root,
            limits: LogLimits(
                capBytes: 1 << 20, space: StorageSpace(total: 1 << 30, available: 1 << 30)))
        write(log, 1...2)
        disk.put("log/meta", [1, 2, 3])
        let source = try LogSource(state: disk.root, progress: nil)
        #expect(source.logID == log.logID.hex)
    }
}
