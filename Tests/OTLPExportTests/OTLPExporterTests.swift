import ByteCoding
import Export
import Foundation
import OTLPCodec
import SegmentLog
import SystemIO
import TelemetryBatch
import Testing

@testable import OTLPExport

/// A backend that does as it is told, at once.
final class ScriptedSender: RequestSender {
    private(set) var requests: [OutgoingRequest] = []
    private(set) var isClosed = false
    var answers: [SendOutcome] = []
    /// Instead of answers.
    var decide: ((OutgoingRequest) -> SendOutcome)?
    private(set) var accepted: [OutgoingRequest] = []
    private(set) var refused: [OutgoingRequest] = []
    static let taken = SendOutcome.answered(
        status: 200, retryAfter: nil, contentType: nil, body: [])

    func send(
        _ request: OutgoingRequest, timeout: Duration,
        completion: @escaping @Sendable (SendOutcome) -> Void
    ) {
        requests.append(request)
        if let decide {
            let answer = decide(request)
            if answer == Self.taken { accepted.append(request) } else { refused.append(request) }
            return completion(answer)
        }
        completion(answers.isEmpty ? Self.taken : answers.removeFirst())
    }

    func close() { isClosed = true }
}

final class TestTime: TimeSource, @unchecked Sendable {
    // Guard: the test's one thread.
    var now: UInt64 = 1_000_000_000
    func wall() -> UInt64 { now }
    func boottime() -> UInt64 { now }
}

/// An exporter, its ledger and its backend.
struct Exporting {
    let sender = ScriptedSender()
    let time = TestTime()
    let directory: String
    var exporter: OTLPExporter
    let configuration: OTLPExportConfiguration
    var ledger = ExportLedger(cursor: LogOffset(rawValue: 0))
    var end: UInt64 = 0

    init(
        memory: RequestMemory = RequestMemory(),
        _ change: (inout OTLPExportConfiguration) -> Void = { _ in }
    ) throws {
        directory = "/tmp/otlp-export-tests-\(ThisProcess.pid)-\(UInt32.random(in: 0 ... .max))"
        var configuration = OTLPExportConfiguration()
        for signal in OTLPSignal.allCases {
            configuration.endpoints[signal] = "http://backend/v1/\(signal.rawValue)"
        }
        change(&configuration)
        self.configuration = configuration
        exporter = OTLPExporter(
            name: "test", configuration: configuration,
            state: try DirectoryStorage(creating: directory), sender: sender, time: time,
            memory: memory)
    }

    /// Begins at a cursor, also as the one after it that was killed; nothing is settled in its ledger.
    mutating func resume(at cursor: UInt64 = 0, ticket: ExportLedger.Ticket? = nil) throws {
        exporter = OTLPExporter(
            name: "test", configuration: configuration,
            state: try DirectoryStorage(creating: directory), sender: sender, time: time)
        ledger = ExportLedger(cursor: LogOffset(rawValue: cursor))
        end = cursor
        exporter.resume(
            ExportResumption(
                logID: String(repeating: "a", count: 32), cursor: LogOffset(rawValue: cursor),
                state: [], isClean: false))
    }

    /// A batch of spans and log events.
    mutating func take(spans: Int, logs: Int = 0) throws {
        var builder = BatchBuilder(producer: ID128(high: 1, low: 1))
        builder.begin(baseTime: 1000)
        for number in 0..<spans {
            builder.beginSpan(
                name: builder.ref("span"), kind: .internal, status: .unset, trace: .zero,
                span: SpanID(rawValue: UInt64(number + 1)), start: 1000, duration: 1)
            _ = builder.endRecord()
        }
        for _ in 0..<logs {
            builder.beginLog(time: 1000, severity: 9)
            _ = builder.endRecord()
        }
        let batch = try Batch(builder.finish(sequence: 1))
        end += 100
        let ticket = ledger.take(records: spans + logs, end: LogOffset(rawValue: end))
        exporter.take(
            ExportBatch(
                batch: batch, offset: LogOffset(rawValue: end - 100), ticket: ticket,
                receiptNanoseconds: 0, peer: .unknown), ledger: &ledger)
    }

    @discardableResult mutating func step(stopping: Bool = false) -> ExporterStep {
        let step = exporter.step(stopping: stopping, ledger: &ledger)
        // Its answer may have come within it.
        return step.isDone ? step : exporter.step(stopping: stopping, ledger: &ledger)
    }
}

private func refusal(_ status: Int, retryAfter: String? = nil) -> SendOutcome {
    .answered(status: status, retryAfter: retryAfter, contentType: nil, body: [])
}

@Suite struct `An exporter of OTLP` {
    @Test func `keeps what was answered with a web page, and says what to do`() throws {
        var exporting = try Exporting { $0.flushInterval = .zero }
        defer { remove(exporting) }
        let page = Array("<html>Please log in</html>".utf8)
        exporting.sender.answers = [
            .answered(status: 200, retryAfter: nil, contentType: "text/html", body: page)
        ]
        try exporting.take(spans: 3)
        let step = exporting.step()
        #expect(step.state.reason.contains("with a web page"))
        #expect(step.state.reason.contains("correct the exporter's endpoint"))
        #expect(exporting.ledger.counts[.delivered] == 0)
        exporting.time.now += 3_600_000_000_000
        #expect(exporting.step().isDone)
        #expect(exporting.sender.requests.count == 2)
        #expect(exporting.ledger.counts[.delivered] == 3)
    }

    @Test func `takes no more than its share while all together hold too much`() throws {
        let memory = RequestMemory(bytesMax: RequestMemory.shareBytes)
        var exporting = try Exporting(memory: memory) {
            $0.flushInterval = .seconds(60)
            $0.isCompressed = false
        }
        defer { remove(exporting) }
        // Another has what there is.
        memory.change(by: RequestMemory.shareBytes)
        while exporting.exporter.wantsBatch { try exporting.take(spans: 1000) }
        let held = memory.bytes - RequestMemory.shareBytes
        #expect((RequestMemory.shareBytes..<2 * RequestMemory.shareBytes).contains(held))
        memory.change(by: -memory.bytes)
        #expect(exporting.exporter.wantsBatch)
        memory.change(by: held)
        exporting.exporter.close()
        #expect(memory.bytes == 0)
    }

    @Test func `shows what a backend said of the last partial success`() throws {
        var exporting = try Exporting { $0.flushInterval = .zero }
        defer { remove(exporting) }
        let said: [(Int64, String)] = [(1, "too old"), (0, "soon no more")]
        exporting.sender.answers = said.map {
            .answered(
                status: 200, retryAfter: nil, contentType: nil,
                body: ExportResponse(rejected: $0.0, message: $0.1).encoded(.traces, .protobuf))
        }
        try exporting.take(spans: 3)
        #expect(exporting.step().isDone)
        #expect(exporting.exporter.details["partial_successes"] == "1")
        #expect(
            exporting.exporter.details["last_partial_success"]
                == "1 of 3 records of traces rejected: too old")
        try exporting.take(spans: 2)
        #expect(exporting.step().isDone)
        #expect(exporting.exporter.details["partial_successes"] == "2")
        #expect(
            exporting.exporter.details["last_partial_success"]
                == "none of 2 records of traces rejected: soon no more")
        #expect(exporting.ledger.counts[.delivered] == 4)
    }

    @Test func `waits for more records, and not for long`() throws {
        var exporting = try Exporting { $0.flushInterval = .milliseconds(200) }
        defer { remove(exporting) }
        try exporting.take(spans: 3, logs: 2)
        #expect(exporting.step().idleNanoseconds == 200_000_000)
        #expect(exporting.sender.requests.isEmpty)
        try exporting.take(spans: 4)
        exporting.time.now += 200_000_000
        #expect(exporting.step().isDone)
        #expect(exporting.sender.requests.map(\.signal) == [.traces, .logs])
        #expect(exporting.sender.requests[0].url == "http://backend/v1/traces")
        #expect(exporting.ledger.counts[.delivered] == 9)
        #expect(exporting.ledger.pending == 0)
    }

    @Test func `a full request goes at once`() throws {
        var exporting = try Exporting { $0.recordsMax = 1000 }
        defer { remove(exporting) }
        try exporting.take(spans: 5000)
        for _ in 0..<6 { exporting.step() }
        #expect(exporting.sender.requests.count == 5)
        #expect(exporting.ledger.counts[.delivered] == 5000)
    }

    @Test func `what may be sent again is, and not before the backend wants it`() throws {
        var exporting = try Exporting { $0.flushInterval = .zero }
        defer { remove(exporting) }
        exporting.sender.answers = [refusal(503, retryAfter: "7"), .failed("no connection")]
        try exporting.take(spans: 3)
        let step = exporting.step()
        #expect(step.state == .degraded("http://backend/v1/traces: answered 503"))
        #expect(step.idleNanoseconds == 7_000_000_000)
        exporting.time.now += 6_999_999_999
        exporting.step()
        #expect(exporting.sender.requests.count == 1)
        exporting.time.now += 1
        exporting.step()
        #expect(exporting.sender.requests.count == 2)
        #expect(exporting.ledger.pending == 3)
        // Two failures of at most a second, doubled, each.
        exporting.time.now += 4_000_000_000
        #expect(exporting.step().state == .running)
        #expect(exporting.sender.requests.count == 3)
        #expect(exporting.ledger.counts[.delivered] == 3)
        #expect(exporting.sender.requests[0].body == exporting.sender.requests[2].body)
    }

    @Test func `one signal's trouble does not hold up another's`() throws {
        var exporting = try Exporting { $0.flushInterval = .zero }
        defer { remove(exporting) }
        exporting.sender.answers = [refusal(503)]
        try exporting.take(spans: 3, logs: 2)
        exporting.step()
        exporting.step()
        #expect(exporting.ledger.counts[.delivered] == 2)
        #expect(exporting.ledger.pending == 3)
    }

    @Test func `what is refused for good is kept with the reason, and the next goes on`() throws {
        var exporting = try Exporting { $0.flushInterval = .zero }
        defer { remove(exporting) }
        exporting.sender.answers = [refusal(400)]
        // Of an agent that was killed meanwhile.
        try Files.makeDirectories(exporting.directory + "/rejected/test")
        try Files.replace(exporting.directory + "/rejected/test/9.traces.pb.gz.tmp", with: [1])
        try exporting.take(spans: 3)
        exporting.step()
        try exporting.take(spans: 4)
        #expect(exporting.step().state == .running)
        #expect(exporting.ledger.counts[.lost(.rejected)] == 3)
        #expect(exporting.ledger.counts[.delivered] == 4)
        let names = try Files.list(exporting.directory + "/rejected/test")
        #expect(names == ["1000000000.reason", "1000000000.traces.pb.gz"])
        let kept = try Files.read(
            exporting.directory + "/rejected/test/1000000000.traces.pb.gz", limit: 1 << 20)
        #expect(kept == exporting.sender.requests[0].body)
        let reason = try Files.read(
            exporting.directory + "/rejected/test/1000000000.reason", limit: 4096)
        #expect(
            String(decoding: reason, as: UTF8.self)
                == "http://backend/v1/traces: answered 400\n")
    }

    @Test func `of what is refused for good the oldest makes room, with its reason`() throws {
        var exporting = try Exporting { $0.flushInterval = .zero }
        defer { remove(exporting) }
        let folder = exporting.directory + "/rejected/test/"
        try Files.makeDirectories(folder)
        for index in 100..<200 {
            for ending in ["logs.pb.gz", "reason"] {
                try Files.replace(folder + "0000000\(index).\(ending)", with: [1])
            }
        }
        for round in 1...2 {
            exporting.time.now += 1
            exporting.sender.answers = [refusal(400)]
            try exporting.take(spans: 3)
            exporting.step()
            let names = try Files.list(folder)
            #expect(names.count == 200)
            #expect(names.first == "0000000\(100 + round).logs.pb.gz")
        }
    }

    @Test func `records that a backend left out are lost, the others delivered`() throws {
        var exporting = try Exporting { $0.flushInterval = .zero }
        defer { remove(exporting) }
        let body = ExportResponse(rejected: 2, message: "old").encoded(.traces, .protobuf)
        exporting.sender.answers = [
            .answered(status: 200, retryAfter: nil, contentType: nil, body: body)
        ]
        try exporting.take(spans: 5)
        exporting.step()
        #expect(exporting.ledger.counts[.lost(.rejected)] == 2)
        #expect(exporting.ledger.counts[.delivered] == 3)
        #expect(exporting.sender.requests.count == 1)
    }

    @Test func `a signal without an endpoint is left out`() throws {
        var exporting = try Exporting {
            $0.flushInterval = .zero
            $0.endpoints[.logs] = nil
        }
        defer { remove(exporting) }
        try exporting.take(spans: 5, logs: 7)
        exporting.step()
        #expect(exporting.ledger.counts[.excluded(.notSelected)] == 7)
        #expect(exporting.ledger.counts[.delivered] == 5)
        #expect(exporting.ledger.pending == 0)
    }

    @Test func `memory is bounded while nothing is taken`() throws {
        var exporting = try Exporting { $0.isCompressed = false }
        defer { remove(exporting) }
        exporting.sender.answers = [SendOutcome](repeating: .failed("down"), count: 10_000)
        var taken = 0
        while exporting.exporter.wantsBatch {
            try exporting.take(spans: 10_000)
            exporting.step()
            taken += 1
        }
        #expect(taken < 100)
        #expect(exporting.ledger.pending == UInt64(taken * 10_000))
    }

    @Test func `what was answered before a death is not sent again`() throws {
        var exporting = try Exporting { $0.flushInterval = .zero }
        defer { remove(exporting) }
        try exporting.resume()
        exporting.sender.answers = [ScriptedSender.taken, .failed("no answer")]
        try exporting.take(spans: 3, logs: 2)
        exporting.step()
        #expect(exporting.sender.requests.map(\.signal) == [.traces, .logs])
        // Killed here; no cursor was saved.
        try exporting.resume()
        try exporting.take(spans: 3, logs: 2)
        #expect(exporting.ledger.counts[.delivered] == 3)
        try exporting.take(spans: 4)
        exporting.step()
        exporting.step()
        let sent = exporting.sender.requests.map(\.signal)
        #expect(sent == [.traces, .logs, .traces, .logs])
        #expect(exporting.ledger.counts[.delivered] == 9)
        #expect(exporting.ledger.pending == 0)
    }

    @Test func `a death within a batch sends its rest alone, and what was refused stays so`() throws
    {
        var exporting = try Exporting {
            $0.flushInterval = .zero
            $0.recordsMax = 1000
        }
        defer { remove(exporting) }
        try exporting.resume()
        exporting.sender.answers = [ScriptedSender.taken, refusal(400), .failed("no answer")]
        try exporting.take(spans: 3500, logs: 1)
        for _ in 0..<3 { exporting.step() }
        let sent = exporting.sender.requests.count
        try exporting.resume()
        exporting.sender.answers = []
        try exporting.take(spans: 3500, logs: 1)
        let before = exporting.ledger.counts
        #expect(before[.lost(.rejected)] == 1 || before[.lost(.rejected)] == 1000)
        for _ in 0..<6 { exporting.step() }
        #expect(exporting.ledger.pending == 0)
        let counts = exporting.ledger.counts
        #expect(counts[.delivered] + counts[.lost(.rejected)] == 3501)
        #expect(counts[.lost(.rejected)] == before[.lost(.rejected)])
        #expect(exporting.sender.requests.count > sent)
        // A cursor that was saved behind the batch knows its counts.
        try exporting.resume(at: 100)
        try exporting.take(spans: 2)
        #expect(exporting.ledger.counts[.lost(.rejected)] == 0)
    }

    @Test func `a stop does not wait for a backend that is away, but tries it once`() throws {
        var exporting = try Exporting()
        defer { remove(exporting) }
        exporting.sender.answers = [.failed("no answer"), .failed("no answer")]
        try exporting.take(spans: 5, logs: 1)
        var step = exporting.step(stopping: true)
        #expect(!step.isDone)
        step = exporting.step(stopping: true)
        #expect(step.waitsForSink && !step.isDone)
        #expect(exporting.sender.requests.count == 2)
        #expect(exporting.ledger.pending == 6)
        // Its time has come: it is asked again.
        exporting.time.now += 3_600_000_000_000
        for _ in 0..<3 { step = exporting.step(stopping: true) }
        #expect(step.isDone && !step.waitsForSink)
        #expect(exporting.ledger.counts[.delivered] == 6)
    }

    @Test func `a stop sends what waits for others`() throws {
        var exporting = try Exporting()
        defer { remove(exporting) }
        try exporting.take(spans: 5)
        #expect(exporting.step(stopping: true).isDone)
        #expect(exporting.ledger.counts[.delivered] == 5)
        exporting.exporter.close()
        #expect(exporting.sender.isClosed)
    }

    func remove(_ exporting: Exporting) {
        do { try FileManager.default.removeItem(atPath: exporting.directory) } catch { return }
    }
}
