package import Export

#if Journald && os(Linux)
    import ByteCoding
    import Meaning
    import SegmentLog
    package import SystemIO
    import TelemetryBatch

    /// Forwards records to systemd's journal as entries with fields (DESIGN.md, "Journald"), and confirms
    /// each by reading it back.
    package final class JournalExporter: Exporter {
        /// Entries that are encoded together, and their bytes.
        private static let groupEntriesMax = 64
        private static let groupBytesMax = 256 << 10
        /// Records looked at in one step, most of which may be excluded.
        private static let recordsInStepMax = 4096

        private struct Current {
            let export: ExportBatch
            var interpreter: BatchInterpreter
            var records: RecordSequence.Iterator
            /// The first of the batch's ranges that has records yet to come.
            var range = 0
            var points = MetricFold()
            var isBegun = false

            /// Whether a record, each after the one before it, is in the ranges.
            mutating func isOurs(_ index: Int) -> Bool {
                let ranges = export.ranges
                while range < ranges.count, ranges[range].upperBound <= index { range += 1 }
                return range < ranges.count && ranges[range].contains(index)
            }
        }

        private let configuration: JournalConfiguration
        private let time: any TimeSource
        private let delivery: JournalDelivery
        private var encoder = EntryEncoder(logID: "", isRoot: false)
        private var caps: EntryCaps
        private var summaries = MetricSummaries()
        private var current: Current?
        /// Further parts of the same batch.
        private var parts: [Current] = []
        private let intervalNanoseconds: UInt64?
        private var resumed: [MetricSummaries.Summary] = []

        /// An exporter that has not begun.
        package init(
            configuration: JournalConfiguration, time: any TimeSource = SystemTime(),
            failpoints: Failpoints? = nil
        ) {
            self.configuration = configuration
            self.time = time
            delivery = JournalDelivery(
                configuration: configuration, time: time, failpoints: failpoints)
            caps = EntryCaps(
                entriesPerSecond: configuration.entriesPerSecond,
                bytesPerDay: configuration.bytesPerDay)
            intervalNanoseconds = configuration.metricsInterval.map {
                max(nanoseconds(of: $0), 1_000_000_000)
            }
        }

        package var wantsBatch: Bool { current == nil && delivery.mayQueue }

        package var details: [String: String] {
            var found = [
                "detail": configuration.detail.rawValue,
                "verification": delivery.unreadableReason == nil ? "read_back" : "sent_unverified",
                "sent_again": String(delivery.tracker.resent),
                "in_doubt": String(delivery.tracker.inDoubt),
            ]
            if let reason = delivery.unreadableReason { found["verification_reason"] = reason }
            if delivery.unverified > 0 { found["sent_unverified"] = String(delivery.unverified) }
            return found
        }

        package func resume(_ resumption: ExportResumption) {
            encoder = EntryEncoder(logID: resumption.logID, isRoot: ThisProcess.euid == 0)
            restore(resumption.state)
            delivery.begin(
                logID: resumption.logID, cursor: resumption.cursor.rawValue,
                isClean: resumption.isClean, wanted: Set(resumed.map(\.fold.id)))
        }

        package func take(_ batch: ExportBatch, ledger: inout ExportLedger) {
            parts.append(
                Current(
                    export: batch, interpreter: BatchInterpreter(batch.batch),
                    records: batch.batch.records.makeIterator()))
            if current == nil { current = parts.removeFirst() }
        }

        package func step(stopping: Bool, ledger: inout ExportLedger) -> ExporterStep {
            var settled: [(entry: DeliveryTracker.Entry, outcome: Outcome)] = []
            delivery.step { entry, outcome in settled.append((entry, outcome)) }
            for (entry, outcome) in settled {
                if let ticket = entry.ticket {
                    ledger.settle(ticket, outcome)
                } else {
                    summaries.confirmed(entry.id)
                }
            }
            if delivery.phase == .ready {
                if !resumed.isEmpty {
                    queue(resumed)
                    resumed = []
                }
                encodeSome(&ledger)
                if current == nil, !stopping { emitSummaryIfDue() }
            }
            return ExporterStep(
                state: state, idleNanoseconds: idleNanoseconds,
                isDone: current == nil && delivery.tracker.unconfirmed == 0,
                knowsSink: delivery.phase == .ready)
        }

        package func checkpoint(upTo ticket: ExportLedger.Ticket?) -> [UInt8] {
            summaries.advance(upTo: ticket)
            var writer = ByteWriter(capacity: 256)
            writer.write(uint8: 1)
            writer.write(varint: caps.day)
            writer.write(varint: caps.bytesOfDay)
            summaries.encode(into: &writer)
            return writer.bytes
        }

        package func close() { delivery.close() }

        // MARK: State

        private var state: ExporterState {
            if let problem = delivery.problem { return .degraded(problem) }
            return delivery.phase == .ready ? .running : .starting
        }

        private var idleNanoseconds: UInt64 {
            if current != nil, delivery.mayQueue { return 0 }
            return delivery.idleNanoseconds
        }

        private func restore(_ state: [UInt8]) {
            guard !state.isEmpty else { return }
            var reader = ByteReader(state.span.bytes)
            do throws(ByteError) {
                guard try reader.readUInt8() == 1 else { return }
                caps = EntryCaps(
                    entriesPerSecond: configuration.entriesPerSecond,
                    bytesPerDay: configuration.bytesPerDay, day: try reader.readVarint(),
                    bytesOfDay: try reader.readVarint())
                resumed = try summaries.decode(&reader)
            } catch {
                // The file's checksum was right, so it is another version's: its summaries are not known.
                summaries = MetricSummaries()
            }
        }

        // MARK: Records

        /// Encodes records of the current batch while there is room for what they become.
        private func encodeSome(_ ledger: inout ExportLedger) {
            guard var now = current else { return }
            current = nil
            if !now.isBegun {
                now.isBegun = true
                encoder.begin(now.export)
                delivery.forgetPresent(below: now.export.offset.rawValue)
            }
            var looked = 0
            var isAtEnd = false
            while looked < Self.recordsInStepMax, delivery.mayQueue, !isAtEnd {
                isAtEnd = encodeGroup(&now, &looked, &ledger)
            }
            if isAtEnd {
                finish(now)
                if !parts.isEmpty { current = parts.removeFirst() }
            } else {
                current = now
            }
        }

        /// Encodes some entries that share their bytes; whether the batch has no more records.
        private func encodeGroup(
            _ now: inout Current, _ looked: inout Int, _ ledger: inout ExportLedger
        ) -> Bool {
            var entries: [(id: EntryID, range: Range<Int>)] = []
            var isAtEnd = false
            while entries.count < Self.groupEntriesMax, encoder.byteCount < Self.groupBytesMax,
                looked < Self.recordsInStepMax
            {
                guard let record = now.records.next() else {
                    isAtEnd = true
                    break
                }
                looked += 1
                guard now.isOurs(record.index) else { continue }
                if let entry = consider(record, &now, &ledger) { entries.append(entry) }
            }
            if !entries.isEmpty {
                let encoded = EncodedEntries(encoder.take())
                for (id, range) in entries {
                    delivery.queue(id, now.export.ticket, encoded, range)
                }
            }
            return isAtEnd
        }

        /// Settles a record that becomes no entry, else encodes it.
        private func consider(
            _ record: Record, _ now: inout Current, _ ledger: inout ExportLedger
        ) -> (id: EntryID, range: Range<Int>)? {
            let ticket = now.export.ticket
            guard let meaning = now.interpreter.meaning(of: record) else {
                ledger.settle(ticket, .excluded(.notSelected))
                return nil
            }
            switch EntrySelection(meaning, configuration) {
            case .excluded(let cause):
                ledger.settle(ticket, .excluded(cause))
                return nil
            case .summary:
                if case .point(let point) = record { fold(point, meaning, &now) }
                ledger.settle(ticket, .excluded(.aggregated))
                return nil
            case .entry: break
            }
            let id = EntryID(
                offset: now.export.offset.rawValue, index: UInt32(truncatingIfNeeded: record.index))
            if delivery.present.contains(id) {
                ledger.settle(ticket, .delivered)
                return nil
            }
            let range = encoder.encode(record, meaning, in: now.export.batch)
            guard
                caps.admit(
                    bytes: range.count, receiptNanoseconds: now.export.receiptNanoseconds)
            else {
                encoder.truncate(to: range.lowerBound)
                ledger.settle(ticket, .excluded(.rateCapped))
                return nil
            }
            return (id, range)
        }

        // MARK: Metrics

        private func fold(_ point: PointView, _ meaning: RecordMeaning, _ now: inout Current) {
            guard let intervalNanoseconds else { return }
            let batch = now.export.batch
            let service = batch.string(meaning.service) ?? "unknown_service"
            let metric = point.metric
            now.points.interval = now.export.receiptNanoseconds / intervalNanoseconds
            var fold = ServiceFold(
                id: EntryID(
                    offset: now.export.offset.rawValue,
                    index: UInt32(truncatingIfNeeded: point.index)))
            fold.points = 1
            fold.add(batch.text(metric.name), ServiceFold.Metric(point, metric))
            now.points.add(service, fold)
        }

        private func finish(_ done: Current) {
            if done.points.isEmpty { return }
            queue(summaries.add(done.points, done.export.ticket))
        }

        /// The interval is over, and nothing of it waits to be read.
        private func emitSummaryIfDue() {
            guard let intervalNanoseconds, !summaries.live.isEmpty, delivery.mayQueue else {
                return
            }
            let now = time.wall() / intervalNanoseconds
            if now > summaries.live.interval { queue(summaries.emit()) }
        }

        private func queue(_ found: [MetricSummaries.Summary]) {
            let seconds = (intervalNanoseconds ?? 0) / 1_000_000_000
            for summary in found {
                let id = summary.fold.id
                if delivery.present.contains(id) || delivery.tracker.holds(id) {
                    summaries.confirmed(id)
                    continue
                }
                let range = encoder.encode(summary, seconds: seconds)
                delivery.queue(id, nil, EncodedEntries(encoder.take()), range)
            }
        }
    }
#else
    package import SystemIO

    /// Stands where the journal's exporter would: this program was built without it, or runs where there is
    /// no journald. It takes nothing, so that records wait in the log.
    package final class JournalExporter: Exporter {
        /// An exporter that can do nothing.
        package init(
            configuration: JournalConfiguration, time: any TimeSource = SystemTime(),
            failpoints: Failpoints? = nil
        ) {}

        package var wantsBatch: Bool { false }
        package var details: [String: String] { [:] }
        package func resume(_ resumption: ExportResumption) {}
        package func take(_ batch: ExportBatch, ledger: inout ExportLedger) {}
        package func step(stopping: Bool, ledger: inout ExportLedger) -> ExporterStep {
            ExporterStep(
                state: .degraded(JournalSupport.unavailableReason ?? ""),
                idleNanoseconds: UInt64.max, isDone: true)
        }
        package func checkpoint(upTo ticket: ExportLedger.Ticket?) -> [UInt8] { [] }
        package func close() {}
    }
#endif

/// Whether this build can write to a journal.
package enum JournalSupport {
    /// Why not, nil if it can.
    package static var unavailableReason: String? {
        #if !os(Linux)
            "there is no journald on this system"
        #elseif Journald
            nil
        #else
            "this program was built without the trait Journald"
        #endif
    }
}
