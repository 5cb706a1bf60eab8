import ByteCoding
import SegmentLog
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
