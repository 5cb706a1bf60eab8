import ByteCoding
package import Export
import SegmentLog
package import SystemIO

/// Appends records to a file as OTLP requests, a line each, as the Collector's file exporter does; each record once,
/// also across the death of this process and loss of power (contrib/decisions/0016).
package final class FileExporter: Exporter {
    /// Bytes of requests, in protobuf, that are written together.
    private static let groupBytesMost = 1 << 20
    /// What was written is synced after so long, or so much.
    private static let syncNanoseconds: UInt64 = 250_000_000
    private static let unsyncedBytesMax = 8 << 20

    private let configuration: FileExportConfiguration
    private let time: any TimeSource
    private var output: FileWriter
    private var group = OpenGroup()
    private var written: [(ticket: ExportLedger.Ticket, records: Int)] = []
    private var writtenBytes = 0
    private var writtenNanoseconds: UInt64 = 0
    private var retry = RetryState(RetryPolicy(longest: .seconds(10)))
    private var problem: String?

    /// An exporter that has not begun; `name` is its own among exporters.
    package init(
        name: String, configuration: FileExportConfiguration, state: any Storage,
        time: any TimeSource = SystemTime()
    ) {
        self.configuration = configuration
        self.time = time
        output = FileWriter(name, configuration, state, time)
    }

    package var wantsBatch: Bool {
        output.isPlaced && problem == nil && group.byteCount < groupBytesMax
    }

    package var details: [String: String] { output.details }

    package func resume(_ resumption: ExportResumption) {
        output.resume(logID: resumption.logID, state: resumption.state)
    }

    package func take(_ batch: ExportBatch, ledger: inout ExportLedger) {
        let wanted = batch.ranges.reduce(0) { $0 + $1.count }
        let isThere = batch.offset.rawValue <= output.through
        let count =
            isThere
            ? OpenGroup.count(batch) : group.take(batch, nowNanoseconds: time.boottime())
        // The run before us wrote it, and could not say so any more.
        if isThere, count > 0 { ledger.settle(batch.ticket, .delivered, records: count) }
        // Of a type that OTLP does not have.
        if wanted > count {
            ledger.settle(batch.ticket, .excluded(.notSelected), records: wanted - count)
        }
    }

    package func step(stopping: Bool, ledger: inout ExportLedger) -> ExporterStep {
        let now = time.boottime()
        if retry.mayAttempt(nowNanoseconds: now) {
            do throws(FileProblem) {
                try work(now, stopping, &ledger)
                problem = nil
                retry.succeeded()
            } catch {
                problem = error.description
                output.letGo()
                _ = retry.failed(
                    .retryable(after: nil), nowNanoseconds: now, random: Double.random(in: 0..<1))
            }
        }
        return ExporterStep(
            state: problem.map { .degraded($0) } ?? .running,
            idleNanoseconds: idleNanoseconds(time.boottime()),
            isDone: group.isEmpty && written.isEmpty, knowsSink: output.isPlaced)
    }

    package func checkpoint(upTo ticket: ExportLedger.Ticket?) -> [UInt8] { output.checkpoint }

    package func close() { output.letGo() }

    private func work(
        _ now: UInt64, _ stopping: Bool, _ ledger: inout ExportLedger
    ) throws(FileProblem) {
        if !output.isPlaced { try output.place() }
        let isFull = group.byteCount >= groupBytesMax
        if !group.isEmpty, stopping || isFull || age(group.openedNanoseconds, now) >= flush {
            let bytes = group.bytes(configuration.format)
            // A file that is set aside is synced before.
            if try output.isFull(for: bytes.count) {
                try sync(&ledger)
                try output.rotate()
            }
            try output.append(bytes, through: group.through)
            if written.isEmpty { writtenNanoseconds = now }
            writtenBytes += bytes.count
            written += group.parts
            group.removeAll()
        }
        if !written.isEmpty,
            stopping || writtenBytes >= Self.unsyncedBytesMax
                || age(writtenNanoseconds, now) >= Self.syncNanoseconds
        {
            try sync(&ledger)
        }
    }

    private func sync(_ ledger: inout ExportLedger) throws(FileProblem) {
        if written.isEmpty { return }
        try output.sync()
        for (ticket, records) in written { ledger.settle(ticket, .delivered, records: records) }
        written = []
        writtenBytes = 0
    }

    /// Of a small file it is a small part, in JSON, too.
    private var groupBytesMax: Int {
        min(Self.groupBytesMost, Int(clamping: (configuration.bytesMax ?? .max) / 4))
    }

    private var flush: UInt64 { nanoseconds(of: configuration.flushInterval) }

    private func age(_ since: UInt64, _ now: UInt64) -> UInt64 { now > since ? now - since : 0 }

    private func idleNanoseconds(_ now: UInt64) -> UInt64 {
        if problem != nil {
            let next = retry.nextAttemptNanoseconds
            return next > now ? next - now : 0
        }
        var idle = UInt64.max
        if !group.isEmpty { idle = flush - min(flush, age(group.openedNanoseconds, now)) }
        if !written.isEmpty {
            let age = age(writtenNanoseconds, now)
            idle = min(idle, Self.syncNanoseconds - min(Self.syncNanoseconds, age))
        }
        return idle
    }
}
