package import Export
import SegmentLog
package import SystemIO
import TelemetryBatch

/// How a debug exporter prints (`exporters: debug:` of the configuration).
package struct DebugExportConfiguration: Sendable, Equatable {
    /// How much of what there is.
    package enum Verbosity: Sendable {
        /// How many records of each signal.
        case basic
        /// A line a record.
        case normal
        /// Everything.
        case detailed
    }

    /// See `Verbosity`.
    package var verbosity = Verbosity.basic
    /// Lines a second; records that come when they are used up are counted and not printed.
    package var linesPerSecond = 1000

    /// The defaults.
    package init() {}
}

/// Prints records where a person looks: the agent's standard error, and so its journal.
package final class DebugExporter: Exporter {
    private static let second: UInt64 = 1_000_000_000

    private let configuration: DebugExportConfiguration
    private let time: any TimeSource
    private let print: @Sendable (String) -> Void
    private var waiting: [ExportBatch] = []
    private var secondBegan: UInt64 = 0
    private var lines = 0
    private var left: UInt64 = 0

    /// An exporter that gives lines to `print`.
    package init(
        configuration: DebugExportConfiguration, time: any TimeSource = SystemTime(),
        print: @escaping @Sendable (String) -> Void
    ) {
        self.configuration = configuration
        self.time = time
        self.print = print
    }

    package var wantsBatch: Bool { waiting.isEmpty }

    package var details: [String: String] { left > 0 ? ["not_printed": String(left)] : [:] }

    package func resume(_ resumption: ExportResumption) {}

    package func take(_ batch: ExportBatch, ledger: inout ExportLedger) {
        waiting.append(batch)
    }

    package func step(stopping: Bool, ledger: inout ExportLedger) -> ExporterStep {
        for batch in waiting { show(batch, &ledger) }
        waiting = []
        return ExporterStep(state: .running, idleNanoseconds: UInt64.max, isDone: true)
    }

    package func checkpoint(upTo ticket: ExportLedger.Ticket?) -> [UInt8] { [] }

    package func close() {}

    private func show(_ export: ExportBatch, _ ledger: inout ExportLedger) {
        let now = time.boottime()
        if now < secondBegan || now - secondBegan >= Self.second {
            if left > 0, lines >= configuration.linesPerSecond {
                print(
                    "\(left) records were not printed so far: more than "
                        + "\(configuration.linesPerSecond) lines a second")
            }
            (secondBegan, lines) = (now, 0)
        }
        if configuration.verbosity == .basic { return count(export, &ledger) }
        let isDetailed = configuration.verbosity == .detailed
        var isFirst = true
        for record in export.batch.records {
            guard export.ranges.contains(where: { $0.contains(record.index) }) else { continue }
            guard lines < configuration.linesPerSecond else {
                left += 1
                ledger.settle(export.ticket, .excluded(.rateCapped))
                continue
            }
            if isDetailed, isFirst { tell(RecordText.resource(export.batch)) }
            isFirst = false
            tell(
                isDetailed
                    ? RecordText.details(record, export.batch)
                    : [RecordText.line(record, export.batch)])
            ledger.settle(export.ticket, .delivered)
        }
    }

    /// One line for a batch.
    private func count(_ export: ExportBatch, _ ledger: inout ExportLedger) {
        let records = export.ranges.reduce(0) { $0 + $1.count }
        guard lines < configuration.linesPerSecond else {
            left += UInt64(records)
            return ledger.settle(export.ticket, .excluded(.rateCapped), records: records)
        }
        tell([RecordText.counts(export)])
        ledger.settle(export.ticket, .delivered, records: records)
    }

    private func tell(_ found: [String]) {
        for line in found { print(line) }
        lines += found.count
    }
}
