import Export
import SegmentLog
import TelemetryBatch

/// What a sink got, wherever the agent is: it outlives it.
final class SinkRecord {
    /// Batches that the sink has, how often.
    var delivered: [LogOffset: Int] = [:]
    /// Batches that were left out or refused for good.
    var settledOtherwise: Set<LogOffset> = []
    var failures = 0

    func knows(_ offset: LogOffset) -> Bool {
        delivered[offset] != nil || settledOtherwise.contains(offset)
    }
}

/// An exporter whose sink is slow, fails, and forgets to answer.
final class SimulatedSink: Exporter {
    private let record: SinkRecord
    private let draw: (Int) -> Int
    private var queue: [ExportBatch] = []
    /// It does what it should, at once.
    var isCalm = false

    init(_ record: SinkRecord, draw: @escaping (Int) -> Int) {
        self.record = record
        self.draw = draw
    }

    var wantsBatch: Bool { queue.count < 6 }
    var details: [String: String] { [:] }

    func resume(_ resumption: ExportResumption) {}

    func take(_ batch: ExportBatch, ledger: inout ExportLedger) { queue.append(batch) }

    func step(stopping: Bool, ledger: inout ExportLedger) -> ExporterStep {
        var state = ExporterState.running
        while let batch = queue.first {
            let chance = isCalm ? 9 : draw(10)
            if chance == 0 {
                record.failures += 1
                state = .degraded("the sink failed")
                break
            }
            if chance == 1 { break }
            let records = Int(batch.batch.header.recordCount)
            switch batch.offset.rawValue >> 3 % 11 {
            case 0:
                record.settledOtherwise.insert(batch.offset)
                ledger.settle(batch.ticket, .excluded(.filtered), records: records)
            case 1:
                record.settledOtherwise.insert(batch.offset)
                ledger.settle(batch.ticket, .lost(.rejected), records: records)
            default:
                record.delivered[batch.offset, default: 0] += 1
                // The sink has it and dies before it says so: it will be sent again.
                if chance == 2 {
                    record.failures += 1
                    return ExporterStep(state: state, idleNanoseconds: 0, isDone: false)
                }
                ledger.settle(batch.ticket, .delivered, records: records)
            }
            queue.removeFirst()
        }
        return ExporterStep(state: state, idleNanoseconds: 1_000_000, isDone: queue.isEmpty)
    }

    func checkpoint(upTo ticket: ExportLedger.Ticket?) -> [UInt8] { [] }

    func close() {}
}
