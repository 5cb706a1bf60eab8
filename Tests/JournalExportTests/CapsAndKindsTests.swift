import ByteCoding
import Export
import Meaning
import SegmentLog
import SystemIO
import TelemetryBatch
import Testing

@testable import JournalExport

private let second: UInt64 = 1_000_000_000

@Suite struct EntryCapsTests {
    @Test func `a burst is ten seconds' worth and the rest comes at the rate`() {
        var caps = EntryCaps(entriesPerSecond: 10, bytesPerDay: nil)
        let start = 1000 * second
        let burst = (0..<200).filter { _ in caps.admit(bytes: 1, receiptNanoseconds: start) }
        #expect(burst.count == 100)
        let later = (0..<200).filter { _ in
            caps.admit(bytes: 1, receiptNanoseconds: start + 2 * second)
        }
        #expect(later.count == 20)
    }

    @Test func `the day's bytes are counted by receipt and start anew at midnight`() {
        let day = 86_400 * second
        var caps = EntryCaps(entriesPerSecond: nil, bytesPerDay: 100)
        #expect(caps.admit(bytes: 60, receiptNanoseconds: 5 * day) == true)
        #expect(caps.admit(bytes: 60, receiptNanoseconds: 5 * day + second) == false)
        #expect(caps.admit(bytes: 40, receiptNanoseconds: 5 * day + second) == true)
        #expect(caps.admit(bytes: 60, receiptNanoseconds: 6 * day) == true)
        // A clock that went back opens no second allowance.
        #expect(caps.admit(bytes: 60, receiptNanoseconds: 5 * day) == false)
    }

    @Test func `what waited while journald was away is not capped for coming late`() {
        var caps = EntryCaps(entriesPerSecond: 10, bytesPerDay: nil)
        for index in 0..<10_000 {
            #expect(
                caps.admit(
                    bytes: 1, receiptNanoseconds: 1000 * second + UInt64(index) * second / 10)
                    == true)
        }
    }

    @Test func `no cap is no cap`() {
        var caps = EntryCaps(entriesPerSecond: nil, bytesPerDay: nil)
        #expect(
            (0..<1000).allSatisfy { _ in caps.admit(bytes: 1 << 30, receiptNanoseconds: 1) } == true
        )
    }
}

@Suite struct EntryKindTests {
    @Test func `the catalog has exactly our kinds under our ids`() throws {
        var root = #filePath.split(separator: "/").dropLast(3).map(String.init)
        root += ["contrib", "systemd", "codex-telemetry.catalog"]
        let catalog = String(
            decoding: try Files.read("/" + root.joined(separator: "/"), limit: 1 << 20),
            as: UTF8.self)
        var ids: [String: String] = [:]
        var kind: String?
        for line in catalog.split(separator: "\n") {
            if line.hasPrefix("# kind: ") {
                kind = String(line.dropFirst(8))
            } else if line.hasPrefix("-- "), let name = kind {
                ids[name] = String(line.dropFirst(3))
                kind = nil
            }
        }
        for kind in EntryKind.allCases {
            #expect(ids[kind.catalogName] == kind.messageID.description)
        }
        #expect(Set(EntryKind.allCases.map(\.messageID.description)).count == 11)
    }
}

@Suite struct MetricSummariesTests {
    private func fold(
        _ interval: UInt64, _ service: String, _ name: String, _ index: UInt32, sum: Double
    ) -> MetricFold {
        var service_ = ServiceFold(id: EntryID(offset: 1 << 32, index: index))
        service_.points = 1
        var metric = ServiceFold.Metric()
        (metric.points, metric.sum, metric.hasSum) = (1, sum, true)
        service_.add(name, metric)
        var fold = MetricFold()
        fold.interval = interval
        fold.add(service, service_)
        return fold
    }

    private func ticket(_ ledger: inout ExportLedger) -> ExportLedger.Ticket {
        ledger.take(records: 1, end: .none)
    }

    private func restored(_ summaries: MetricSummaries) throws -> (
        MetricSummaries, [MetricSummaries.Summary]
    ) {
        var writer = ByteWriter(capacity: 64)
        summaries.encode(into: &writer)
        let bytes = writer.bytes
        var made = MetricSummaries()
        var reader = ByteReader(bytes.span.bytes)
        let resumed = try made.decode(&reader)
        return (made, resumed)
    }

    @Test func `points of an interval become one summary when the next begins`() {
        var ledger = ExportLedger(cursor: .none)
        var summaries = MetricSummaries()
        #expect(summaries.add(fold(7, "cli", "calls", 1, sum: 2), ticket(&ledger)).isEmpty == true)
        #expect(summaries.add(fold(7, "cli", "calls", 2, sum: 3), ticket(&ledger)).isEmpty == true)
        let emitted = summaries.add(fold(8, "cli", "calls", 3, sum: 9), ticket(&ledger))
        #expect(emitted.count == 1)
        #expect(emitted.first?.fold.metrics["calls"]?.sum == 5)
        #expect(emitted.first?.fold.points == 2)
        #expect(emitted.first?.fold.id.index == 2)
    }

    @Test func `a checkpoint has the fold of the cursor and not what came after it`() throws {
        var ledger = ExportLedger(cursor: .none)
        var summaries = MetricSummaries()
        let first = ticket(&ledger)
        _ = summaries.add(fold(7, "cli", "calls", 1, sum: 2), first)
        _ = summaries.add(fold(7, "cli", "calls", 2, sum: 3), ticket(&ledger))
        summaries.advance(upTo: first)
        let (made, resumed) = try restored(summaries)
        #expect(resumed.isEmpty)
        #expect(made.live.services["cli"]?.metrics["calls"]?.sum == 2)
    }

    @Test func `a summary that is not confirmed is sent again after a restart`() throws {
        var ledger = ExportLedger(cursor: .none)
        var summaries = MetricSummaries()
        _ = summaries.add(fold(7, "cli", "calls", 1, sum: 2), ticket(&ledger))
        let last = ticket(&ledger)
        let emitted = summaries.add(fold(8, "cli", "calls", 2, sum: 3), last)
        summaries.advance(upTo: last)
        #expect(try restored(summaries).1 == emitted)
        summaries.confirmed(emitted[0].fold.id)
        #expect(try restored(summaries).1.isEmpty)
    }

    @Test func `a confirmation may come before the cursor`() throws {
        var ledger = ExportLedger(cursor: .none)
        var summaries = MetricSummaries()
        _ = summaries.add(fold(7, "cli", "calls", 1, sum: 2), ticket(&ledger))
        let last = ticket(&ledger)
        let emitted = summaries.add(fold(8, "cli", "calls", 2, sum: 3), last)
        summaries.confirmed(emitted[0].fold.id)
        summaries.advance(upTo: last)
        #expect(try restored(summaries).1.isEmpty)
    }

    @Test func `names and services are bounded`() {
        var ledger = ExportLedger(cursor: .none)
        var summaries = MetricSummaries()
        for index in 0..<1000 {
            _ = summaries.add(
                fold(7, "s\(index % 200)", "m\(index)", UInt32(index), sum: 1), ticket(&ledger))
        }
        #expect(summaries.live.services.count <= MetricFold.servicesMax + 1)
        let points = summaries.live.services.values.reduce(0) { $0 + $1.points }
        #expect(points == 1000)
        for fold in summaries.live.services.values {
            #expect(fold.metrics.count <= ServiceFold.namesMax + 1)
        }
    }
}
