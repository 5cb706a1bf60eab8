import ByteCoding
import Export
import SegmentLog
import Synchronization
import TelemetryBatch
import Testing

@testable import DebugExport

/// What was printed.
final class Printed: Sendable {
    private let lines = Mutex<[String]>([])
    func add(_ line: String) { lines.withLock { $0.append(line) } }
    /// And forgets it.
    func take() -> [String] {
        lines.withLock { lines in
            defer { lines = [] }
            return lines
        }
    }
}

@Suite struct `A debug exporter` {
    let time = TestTime()
    let printed = Printed()

    func exporter(_ change: (inout DebugExportConfiguration) -> Void) -> DebugExporter {
        var configuration = DebugExportConfiguration()
        change(&configuration)
        let printed = printed
        return DebugExporter(configuration: configuration, time: time) { printed.add($0) }
    }

    /// A span, a log event and a point of each kind, with all that is shown of them.
    func batch() throws -> Batch {
        var builder = BatchBuilder(producer: ID128(high: 1, low: 1))
        builder.begin(
            baseTime: 1000,
            resource: Resource(
                attributes: [Attribute("service.name", .string("shop"))], schemaURL: "https://s"))
        let scope = builder.index(of: Scope(name: "library", version: "2"))
        writeSpan(&builder, try #require(scope))
        builder.beginLog(time: 1010, severity: 9, eventName: builder.ref("paid"))
        builder.body(.string("twice\n"))
        builder.attribute(builder.ref("parts"), .array([.int(1), .map([Attribute("a", .none)])]))
        builder.severityText(builder.ref("INFO"))
        _ = builder.endRecord()
        let sum = builder.index(
            of: Metric(
                kind: .sum, temporality: .delta, isMonotonic: true, name: "orders",
                description: "taken", unit: "1"))
        builder.beginNumber(metric: try #require(sum), time: 1030, startTime: 1020)
        builder.attribute(builder.ref("paid"), true)
        builder.number(.int(5))
        _ = builder.endRecord()
        let gauge = builder.index(of: Metric(kind: .gauge, name: "load"))
        builder.beginNumber(metric: try #require(gauge), time: 1030)
        builder.number(.double(0.5))
        _ = builder.endRecord()
        let histogram = builder.index(of: Metric(kind: .exponentialHistogram, name: "latency"))
        builder.beginExponential(
            metric: try #require(histogram), time: 1030, count: 2, scale: 0, zeroCount: 2)
        builder.totals(sum: 4, min: nil, max: nil)
        _ = builder.endRecord()
        return try Batch(builder.finish(sequence: 1))
    }

    private func writeSpan(_ builder: inout BatchBuilder, _ scope: Int) {
        builder.beginSpan(
            name: builder.ref("buy"), kind: .client, status: .error, trace: ID128(high: 0, low: 1),
            span: SpanID(rawValue: 2), parent: SpanID(rawValue: 3), start: 1000, duration: 20,
            scope: scope)
        builder.attribute(builder.ref("price"), 9.5)
        builder.statusMessage(builder.ref("no money"))
        builder.beginEvent(name: builder.ref("asked"), time: 1005)
        builder.attribute(builder.ref("times"), .int(2))
        builder.endEvent()
        builder.beginLink(trace: ID128(high: 0, low: 4), span: SpanID(rawValue: 5))
        builder.endLink()
        _ = builder.endRecord()
    }

    /// Hands a batch over; the ledger afterwards.
    func show(_ batch: Batch, _ ranges: [Range<Int>]? = nil, to exporter: DebugExporter)
        -> ExportLedger
    {
        var ledger = ExportLedger(cursor: LogOffset(rawValue: 0))
        let records = ranges?.reduce(0) { $0 + $1.count } ?? Int(batch.header.recordCount)
        let ticket = ledger.take(records: records, end: LogOffset(rawValue: 200))
        #expect(exporter.wantsBatch)
        exporter.take(
            ExportBatch(
                batch: batch, ranges: ranges, offset: LogOffset(rawValue: 100), ticket: ticket,
                receiptNanoseconds: 0, peer: .unknown), ledger: &ledger)
        #expect(!exporter.wantsBatch)
        let step = exporter.step(stopping: false, ledger: &ledger)
        #expect(step.isDone && exporter.wantsBatch)
        #expect(ledger.pending == 0)
        return ledger
    }

    @Test func `basic says how many of each signal`() throws {
        let exporter = exporter { $0.verbosity = .basic }
        let ledger = show(try batch(), to: exporter)
        #expect(
            printed.take() == ["Traces spans: 1, Logs log records: 1, Metrics data points: 3"])
        #expect(ledger.counts[.delivered] == 5)
        _ = show(try batch(), [1..<3], to: exporter)
        #expect(printed.take() == ["Logs log records: 1, Metrics data points: 1"])
    }

    @Test func `normal is a line a record`() throws {
        let ledger = show(try batch(), to: exporter { $0.verbosity = .normal })
        let trace = String(repeating: "0", count: 31) + "1"
        #expect(
            printed.take() == [
                "buy \(trace) 0000000000000002 price=9.5", "paid twice\n parts=[1, {a=}]",
                "orders{paid=true} 5", "load{} 0.5", "latency{} count=2 sum=4.0",
            ])
        #expect(ledger.counts[.delivered] == 5)
    }

    @Test func `detailed is all of it, and the resource once`() throws {
        _ = show(try batch(), to: exporter { $0.verbosity = .detailed })
        let lines = printed.take()
        #expect(
            lines.prefix(3) == [
                "Resource SchemaURL: https://s", "Resource attributes:",
                "     -> service.name: Str(shop)",
            ])
        #expect(lines.count { $0.hasPrefix("Resource SchemaURL") } == 1)
        for expected in [
            "InstrumentationScope library 2", "Span #0",
            "    Parent ID      : 0000000000000003", "    Name           : buy",
            "    Kind           : Client", "    Start time     : 1000",
            "    End time       : 1020", "    Status code    : Error",
            "    Status message : no money", "     -> price: Double(9.5)", "SpanEvent #0",
            "     -> Name: asked", "     -> Timestamp: 1005", "          -> times: Int(2)",
            "SpanLink #0", "     -> ID: 0000000000000005", "LogRecord #1", "Timestamp: 1010",
            "SeverityText: INFO", "SeverityNumber: 9", "EventName: paid", "Body: Str(twice\n)",
            "     -> parts: Slice([1, {a=}])", "     -> Name: orders", "     -> Description: taken",
            "     -> Unit: 1", "     -> DataType: Sum", "     -> IsMonotonic: true",
            "     -> AggregationTemporality: Delta", "DataPoint #2", "     -> paid: Bool(true)",
            "StartTimestamp: 1020", "Timestamp: 1030", "Value: 5", "Value: 0.5",
            "     -> DataType: ExponentialHistogram", "Value: count=2 sum=4.0",
        ] {
            #expect(lines.contains(expected))
        }
    }

    @Test func `what is beyond the lines of a second is counted, and a line says so in the next`()
        throws
    {
        let exporter = exporter {
            $0.verbosity = .normal
            $0.linesPerSecond = 2
        }
        var ledger = show(try batch(), to: exporter)
        #expect(printed.take().count == 2)
        #expect(ledger.counts[.delivered] == 2)
        #expect(ledger.counts[.excluded(.rateCapped)] == 3)
        #expect(exporter.details == ["not_printed": "3"])
        time.now += 999_999_999
        ledger = show(try batch(), [0..<1], to: exporter)
        #expect(printed.take() == [])
        #expect(ledger.counts[.excluded(.rateCapped)] == 1)
        time.now += 1
        ledger = show(try batch(), [3..<4], to: exporter)
        #expect(
            printed.take() == [
                "4 records were not printed so far: more than 2 lines a second", "load{} 0.5",
            ])
        #expect(ledger.counts[.delivered] == 1)
    }

    @Test func `basic has no more lines a second than the others`() throws {
        let exporter = exporter {
            $0.verbosity = .basic
            $0.linesPerSecond = 1
        }
        #expect(show(try batch(), to: exporter).counts[.delivered] == 5)
        let ledger = show(try batch(), [1..<4], to: exporter)
        #expect(printed.take().count == 1)
        #expect(ledger.counts[.excluded(.rateCapped)] == 3)
        #expect(exporter.details == ["not_printed": "3"])
    }

    @Test func `what is another exporter's is neither printed nor settled`() throws {
        let ledger = show(try batch(), [0..<1, 4..<5], to: exporter { $0.verbosity = .normal })
        #expect(printed.take().map { $0.prefix(7) } == ["buy 000", "latency"])
        #expect(ledger.counts.total == 2)
    }
}
