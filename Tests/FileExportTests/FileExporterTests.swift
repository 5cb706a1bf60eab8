import ByteCoding
import Export
import Foundation
import SystemIO
import Testing

@testable import FileExport

@Suite struct `A file exporter` {
    @Test func `writes a request a line, private to its user`() throws {
        var exporting = try Exporting()
        defer { exporting.remove() }
        try exporting.take(spans: 2, logs: 3)
        exporting.finish()
        let lines = try exporting.contents().split(separator: "\n")
        #expect(lines.count == 2)
        #expect(lines[0].hasPrefix("{\"resourceSpans\":[{"))
        #expect(lines[1].hasPrefix("{\"resourceLogs\":[{"))
        #expect(try exporting.contents().hasSuffix("}\n"))
        #expect(exporting.ledger.counts[.delivered] == 5)
        #expect(exporting.ledger.pending == 0)
        #expect(try Files.facts(exporting.path).mode == 0o600)
        #expect(try Files.facts(OutputFile.directory(of: exporting.path)).mode == 0o700)
    }

    @Test func `settles nothing before it survives loss of power`() throws {
        var exporting = try Exporting()
        defer { exporting.remove() }
        try exporting.take(spans: 2)
        #expect(exporting.step().idleNanoseconds == 250_000_000)
        #expect(try exporting.spans() == [1, 2])
        #expect(exporting.ledger.pending == 2)
        exporting.time.now += 250_000_000
        exporting.step()
        #expect(exporting.ledger.counts[.delivered] == 2)
    }

    @Test func `writes protobuf behind its length`() throws {
        var exporting = try Exporting { $0.format = .protobuf }
        defer { exporting.remove() }
        try exporting.take(spans: 2)
        try exporting.take(spans: 1, logs: 1)
        exporting.finish()
        let bytes = try Files.read(exporting.path, limit: 1 << 20)
        var messages = 0
        var position = 0
        while position < bytes.count {
            let length = bytes[position..<position + 4].reduce(0) { $0 << 8 | Int($1) }
            #expect(bytes[position + 4] == 0x0A)
            position += 4 + length
            messages += 1
        }
        #expect(position == bytes.count)
        #expect(messages == 2)
    }

    @Test func `sets a full file aside, and keeps so many`() throws {
        var exporting = try Exporting {
            $0.bytesMax = 1000
            $0.backupsMax = 2
        }
        defer { exporting.remove() }
        for _ in 0..<12 {
            try exporting.take(spans: 3)
            exporting.finish()
            exporting.time.now += 2_000_000_000
        }
        let folder = OutputFile.directory(of: exporting.path)
        let names = try Files.list(folder)
        #expect(names.count == 3)
        #expect(names[0].hasPrefix("traces-2023-11-14T22-13-"))
        #expect(names[0].hasSuffix(".000.json"))
        #expect(names.last == "traces.json")
        for name in names { #expect(try Files.facts("\(folder)/\(name)").size <= 1000) }
        // What is left is the newest, without a gap.
        let spans = try exporting.spans()
        #expect(spans == exporting.wanted.suffix(spans.count))
        #expect(exporting.ledger.counts[.delivered] == 36)
    }

    @Test func `removes what is too old, and nothing of others`() throws {
        var exporting = try Exporting {
            $0.bytesMax = 300
            $0.backupsMax = nil
            $0.backupAge = .seconds(86_400)
        }
        defer { exporting.remove() }
        let folder = OutputFile.directory(of: exporting.path)
        try Files.replace("\(folder)/traces-other.json", with: [])
        for _ in 0..<4 {
            try exporting.take(spans: 3)
            exporting.finish()
            exporting.time.now += 50_000_000_000_000
        }
        // Two that are young enough, the file, and the other's.
        #expect(try Files.list(folder).count == 4)
        #expect(Files.exists("\(folder)/traces-other.json"))
    }

    @Test func `begins anew where somebody moved or removed the file`() throws {
        var exporting = try Exporting()
        defer { exporting.remove() }
        try exporting.take(spans: 1)
        exporting.finish()
        try Files.rename(exporting.path, to: exporting.path + ".1")
        try exporting.take(spans: 1)
        exporting.finish()
        #expect(try exporting.spans() == [1001, 1])
        try Files.remove(exporting.path)
        try exporting.take(spans: 1)
        exporting.finish()
        #expect(try exporting.spans() == [2001, 1])
        // As logrotate's copytruncate does.
        try Files.open(exporting.path, [.readWrite]).setSize(0)
        try exporting.take(spans: 1)
        exporting.finish()
        #expect(try exporting.spans() == [3001, 1])
        #expect(try exporting.contents().first == "{")
    }

    @Test(arguments: ["link", "directory", "shared", "two names"])
    func `writes no file that is not its own, and loses nothing`(_ kind: String) throws {
        var exporting = try Exporting()
        defer { exporting.remove() }
        let other = exporting.directory + "/other"
        try Files.replace(other, with: Array("kept".utf8))
        let manager = FileManager.default
        try Files.remove(exporting.path)
        switch kind {
        case "link":
            try manager.createSymbolicLink(atPath: exporting.path, withDestinationPath: other)
        case "directory": try Files.makeDirectory(exporting.path)
        case "shared":
            try Files.replace(exporting.path, with: [])
            try Files.setMode(exporting.path, 0o666)
        default: try manager.linkItem(atPath: other, toPath: exporting.path)
        }
        try exporting.take(spans: 2)
        let step = exporting.step(stopping: true)
        #expect(!step.isDone)
        #expect(step.state.name == "degraded")
        #expect(step.state.reason.contains(exporting.path))
        #expect(!exporting.exporter.wantsBatch)
        #expect(exporting.ledger.pending == 2)
        try manager.removeItem(atPath: exporting.path)
        exporting.time.now += 60_000_000_000
        #expect(exporting.step(stopping: true).state == .running)
        #expect(try exporting.spans() == [1, 2])
        #expect(try exporting.contents(other) == "kept")
    }

    @Test func `refuses a directory where others may write`() throws {
        var exporting = try Exporting()
        defer { exporting.remove() }
        try Files.remove(exporting.path)
        let folder = OutputFile.directory(of: exporting.path)
        try Files.setMode(folder, 0o777)
        try exporting.take(spans: 1)
        #expect(exporting.step().state.reason.contains("others may write in its directory"))
        try Files.setMode(folder, 0o700)
        exporting.time.now += 60_000_000_000
        #expect(exporting.step().state == .running)
    }

    @Test func `two do not write one file`() throws {
        var exporting = try Exporting()
        defer { exporting.remove() }
        let second = try Exporting { $0.path = exporting.path }
        defer { second.remove() }
        var ledger = second.ledger
        let step = second.exporter.step(stopping: false, ledger: &ledger)
        #expect(step.state.reason.contains("another process writes it"))
        try exporting.take(spans: 1)
        #expect(exporting.step(stopping: true).isDone)
    }
}
