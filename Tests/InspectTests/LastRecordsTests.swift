import ByteCoding
import Meaning
import SegmentLog
import SystemIO
import TelemetryBatch
import Testing

@testable import Inspect

/// A log of `batches` batches, one every second, in a directory of its own; several small segments.
private func withLog(batches: UInt64, _ body: (String) throws -> Void) throws {
    let directory = "/tmp/inspect-\(ID128.random().hex)"
    defer {
        for folder in ["log", "quarantine", "cursors", ""] {
            let path = directory + (folder.isEmpty ? "" : "/" + folder)
            for name in (try? Files.list(path)) ?? [] { _ = try? Files.remove(path + "/" + name) }
            _ = try? Files.removeDirectory(path)
        }
    }
    let storage = try DirectoryStorage(creating: directory)
    var limits = LogLimits(capBytes: 64 << 20, space: try storage.space())
    limits.segmentBytes = 256 << 10
    let writer = try LogWriter(state: storage, limits: limits)
    for number in 0..<batches {
        let start = fixtureTime + number * 1_000_000_000
        let payload = fixtureBatch(
            tool: "t\(number)", start: start, trace: ID128(high: 9, low: number + 1),
            sequence: number + 1)
        let summary = try Batch(payload).summary
        let outcome = writer.append([
            AppendRequest(
                payload: payload, payloadCRC: crc32c(payload.span.bytes), peer: .unknown,
                receiver: .socket, producer: ID128(high: 1, low: 2), sequence: number + 1,
                records: 4, spans: UInt32(summary.spans), logs: UInt32(summary.logs),
                earliest: summary.earliest, latest: summary.latest, traceIDs: summary.traceIDs)
        ])
        _ = try outcome[0].get()
    }
    try writer.sync()
    try body(directory)
}

@Suite struct LastRecordsTests {
    private let batches: UInt64 = 1_200

    @Test func `the last records are found from the end, with and without filters`() throws {
        try withLog(batches: batches) { directory in
            let last = try LastRecords(6, state: directory, filter: RecordFilter())
            #expect(
                last.records.map(\.time)
                    == [
                        1198_200, 1198_300, 1199_000, 1199_100, 1199_200, 1199_300,
                    ].map { fixtureTime + $0 * 1_000_000 })
            #expect(last.gaps.isEmpty)

            var tools = RecordFilter()
            tools.operations = [.tool]
            let found = try LastRecords(3, state: directory, filter: tools).records
            #expect(
                found.map { $0.batch.string($0.meaning.subject) } == ["t1197", "t1198", "t1199"])

            // In the oldest segment only: every newer one is gone through.
            tools.until = fixtureTime + 3_000_000_000
            let oldest = try LastRecords(5, state: directory, filter: tools).records
            #expect(oldest.map { $0.batch.string($0.meaning.subject) } == ["t0", "t1", "t2"])

            let everything = try LastRecords(100_000, state: directory, filter: RecordFilter())
            #expect(everything.records.count == Int(batches) * 4)
            #expect(try LastRecords(0, state: directory, filter: RecordFilter()).records.isEmpty)
        }
    }

    @Test func `a follower goes on where the last records ended`() throws {
        try withLog(batches: 10) { directory in
            let last = try LastRecords(1, state: directory, filter: RecordFilter())
            let source = try RecordSource(
                state: directory, at: .offset(last.next, ordinal: nil), filter: RecordFilter())
            #expect(try source.next() == nil)
        }
    }

    @Test func `a trace is collected by any part of its id that names one`() throws {
        try withLog(batches: 300) { directory in
            func collect(_ id: String) throws -> TraceCollection {
                var traces = TraceCollection(try #require(IDQuery(id)))
                let source = try RecordSource(
                    state: directory, at: .beginning, filter: traces.filter)
                while case .entry(let entry)? = try source.next() { traces.add(entry) }
                return traces
            }
            let whole = ID128(high: 9, low: 17).hex
            let one = try collect(whole)
            #expect(one.resolution == .one(whole))
            #expect(one.records(of: whole).count == 3)
            #expect(try collect("0011").resolution == .one(whole))
            #expect(try collect("ffffff").resolution == IDQuery.Resolution.none)
            guard case .several(let ids, let count) = try collect("0000").resolution else {
                Issue.record("0000 begins every id")
                return
            }
            #expect((ids.count, count) == (IDQuery.shownMax, 300))
        }
    }
}
