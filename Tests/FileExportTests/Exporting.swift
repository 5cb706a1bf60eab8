import ByteCoding
import Export
import Foundation
import SegmentLog
import SystemIO
import TelemetryBatch

@testable import FileExport

final class TestTime: TimeSource, @unchecked Sendable {
    // Guard: the test's one thread.
    var now: UInt64 = 1_700_000_000_000_000_000
    func wall() -> UInt64 { now }
    func boottime() -> UInt64 { now }
}

/// A file exporter, its ledger, the log that it is given, and the file.
struct Exporting {
    let time = TestTime()
    let directory: String
    var configuration = FileExportConfiguration()
    var exporter: FileExporter
    var ledger = ExportLedger(cursor: LogOffset(rawValue: 0))
    /// All batches so far, in the log's order.
    var log: [(batch: Batch, records: Int)] = []
    private let storage: any Storage

    var path: String { configuration.path }

    /// With `state`, what it notes is there and not in its directory.
    init(
        state: (any Storage)? = nil,
        _ change: (inout FileExportConfiguration) -> Void = { _ in }
    ) throws {
        directory = "/tmp/file-export-tests-\(ThisProcess.pid)-\(UInt64.random(in: 0 ... .max))"
        let own = try DirectoryStorage(creating: directory)
        storage = state ?? own
        configuration.path = directory + "/out/traces.json"
        configuration.flushInterval = .zero
        change(&configuration)
        exporter = FileExporter(
            name: "file", configuration: configuration, state: storage, time: time)
        begin(state: [])
    }

    func remove() {
        do { try FileManager.default.removeItem(atPath: directory) } catch { return }
    }

    /// Another process goes on at the log's beginning, with what the last one saved.
    mutating func restart(state: [UInt8] = []) {
        exporter = FileExporter(
            name: "file", configuration: configuration, state: storage, time: time)
        ledger = ExportLedger(cursor: LogOffset(rawValue: 0))
        begin(state: state)
        for number in log.indices { hand(number) }
    }

    private mutating func begin(state: [UInt8]) {
        exporter.resume(
            ExportResumption(
                logID: String(repeating: "a", count: 32), cursor: LogOffset(rawValue: 0),
                state: state, isClean: false))
        step()
    }

    /// A batch of spans and log events that no other batch has.
    mutating func take(spans: Int, logs: Int = 0) throws {
        var builder = BatchBuilder(producer: ID128(high: 1, low: 1))
        builder.begin(baseTime: 1000)
        for number in 0..<spans {
            builder.beginSpan(
                name: builder.ref("span"), kind: .internal, status: .unset, trace: .zero,
                span: SpanID(rawValue: UInt64(log.count * 1000 + number + 1)), start: 1000,
                duration: 1)
            _ = builder.endRecord()
        }
        for _ in 0..<logs {
            builder.beginLog(time: 1000, severity: 9)
            _ = builder.endRecord()
        }
        log.append((try Batch(builder.finish(sequence: 1)), spans + logs))
        hand(log.count - 1)
    }

    private mutating func hand(_ number: Int) {
        let offset = LogOffset(rawValue: UInt64(number + 1) * 100)
        let end = LogOffset(rawValue: offset.rawValue + 100)
        let ticket = ledger.take(records: log[number].records, end: end)
        exporter.take(
            ExportBatch(
                batch: log[number].batch, offset: offset, ticket: ticket, receiptNanoseconds: 0,
                peer: .unknown), ledger: &ledger)
    }

    @discardableResult mutating func step(stopping: Bool = false) -> ExporterStep {
        exporter.step(stopping: stopping, ledger: &ledger)
    }

    /// Everything is written and settled.
    mutating func finish() { step(stopping: true) }

    // MARK: What is in the file

    func contents(_ file: String? = nil) throws -> String {
        String(decoding: try Files.read(file ?? path, limit: 64 << 20), as: UTF8.self)
    }

    /// Identities of spans in all files, in their order.
    func spans() throws -> [Int] {
        var found: [Int] = []
        let folder = OutputFile.directory(of: path)
        // Names with a time sort before the one without.
        for name in try Files.list(folder) {
            for line in try contents("\(folder)/\(name)").split(separator: "\n") {
                found += try Self.spans(line)
            }
        }
        return found
    }

    private static func spans(_ line: Substring) throws -> [Int] {
        let object = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
        var found: [Int] = []
        for resource in object?["resourceSpans"] as? [[String: Any]] ?? [] {
            for scope in resource["scopeSpans"] as? [[String: Any]] ?? [] {
                for span in scope["spans"] as? [[String: Any]] ?? [] {
                    found.append(Int(span["spanId"] as? String ?? "", radix: 16) ?? -1)
                }
            }
        }
        return found
    }

    /// Identities that were ever taken.
    var wanted: [Int] {
        log.enumerated().flatMap { number, entry in
            (0..<Int(entry.batch.header.recordCount)).map { number * 1000 + $0 + 1 }
        }
    }
}
