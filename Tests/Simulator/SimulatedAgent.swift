import Export
import SegmentLog
import SimulationKit
import Synchronization
import SystemIO

/// What the writer's thread tells the others after each piece of work, as `GroupCommit` does.
final class Published: Sendable {
    // Guards the three.
    private let state = Mutex(
        (committed: LogOffset.none, synced: LogOffset.none, records: UInt64(0)))

    var committed: LogOffset { state.withLock { $0.committed } }

    /// As an exporter asks for it.
    var progress: LogProgress {
        LogProgress(
            committed: { self.committed }, synced: { self.state.withLock { $0.synced } },
            storedRecords: { self.state.withLock { $0.records } })
    }

    func update(_ writer: LogWriter) {
        let now = (writer.committed, writer.synced, writer.statistics.stored.records)
        state.withLock { $0 = now }
    }
}

/// One exporter at work in the agent's process.
final class RunningExporter {
    var run: ExporterRun
    let sink: SimulatedSink
    var isBusy = false

    init(_ run: ExporterRun, _ sink: SimulatedSink) {
        self.run = run
        self.sink = sink
    }
}

/// One life of the agent's process: the real writer, the jobs of its sync thread, the exporters' runs.
final class SimulatedAgent: @unchecked Sendable {
    // @unchecked: used by its simulation's one thread.
    let writer: LogWriter
    let storage: MemoryStorage
    let published = Published()
    private let disk: MemoryDisk
    var exporters: [RunningExporter?]
    var job: SyncJob?
    var outcome: SyncOutcome?
    /// Requests of the append that is on its way.
    var underWay: [AppendRequest] = []
    /// When it began.
    var underWaySince: UInt64 = 0
    /// Damaged ranges that the writer is to copy.
    var damage: [DamagedRange] = []
    /// A file was taken, and the writer may not know.
    var hasUnnoticed = false
    var writerIsBusy = false
    var openingExporter = false
    var jobIsBusy = false

    var process: Int { storage.process }
    var isDead: Bool { disk.isDead(storage.process) }

    init(_ writer: LogWriter, _ storage: MemoryStorage, _ disk: MemoryDisk, exporters: Int) {
        self.writer = writer
        self.storage = storage
        self.disk = disk
        self.exporters = Array(repeating: nil, count: exporters)
        published.update(writer)
    }

    /// What the append that is on its way was given.
    var sentUnderWay: [SentBatch] { underWay.map { SentBatch($0, at: underWaySince) } }

    /// Its run ends without order, as a thread of the runner that failed.
    func restartExporter(_ index: Int) {
        guard let running = exporters[index], !running.isBusy else { return }
        exporters[index] = nil
    }
}
