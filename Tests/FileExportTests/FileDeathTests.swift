import ByteCoding
import Export
import SimulationKit
import SystemIO
import Testing

@testable import FileExport

@Suite struct `A file's lines after a death` {
    @Test func `are there once though no cursor was saved`() throws {
        var exporting = try Exporting()
        defer { exporting.remove() }
        try exporting.take(spans: 3)
        exporting.step()
        try exporting.take(spans: 2)
        exporting.step()
        exporting.restart()
        exporting.finish()
        #expect(try exporting.spans() == exporting.wanted)
        #expect(exporting.ledger.counts[.delivered] == 5)
        #expect(exporting.ledger.pending == 0)
    }

    @Test(arguments: 0..<40)
    func `are there once wherever in its writing it died`(_ seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        var exporting = try Exporting { $0.bytesMax = 2000 }
        defer { exporting.remove() }
        for _ in 0..<12 {
            let before = try size(exporting.path)
            let inode = try Files.facts(exporting.path).inode
            try exporting.take(spans: Int.random(in: 1...4, using: &random))
            exporting.step(stopping: Bool.random(using: &random))
            exporting.time.now += 1_000_000_000
            guard Int.random(in: 0..<3, using: &random) == 0 else { continue }
            // The last note is not written, and of the bytes only some.
            let start = try Files.facts(exporting.path).inode == inode ? before : 0
            let end = try size(exporting.path)
            if end > start {
                try forgetNewestNote(exporting)
                let kept = UInt64.random(in: start...end, using: &random)
                try Files.open(exporting.path, [.readWrite]).setSize(kept)
            }
            exporting.restart()
            #expect(exporting.step(stopping: true).state == .running, "seed \(seed)")
            exporting.time.now += 1_000_000_000
        }
        exporting.finish()
        #expect(try exporting.spans() == exporting.wanted.suffix(try exporting.spans().count))
        #expect(exporting.ledger.pending == 0)
    }

    @Test func `are there once after loss of power took the note`() throws {
        var exporting = try Exporting()
        defer { exporting.remove() }
        try exporting.take(spans: 3)
        exporting.finish()
        let saved = exporting.exporter.checkpoint(upTo: nil)
        let known = try size(exporting.path)
        try exporting.take(spans: 2)
        exporting.step()
        // Of what was not synced a part arrived, and zeros.
        let file = try Files.open(exporting.path, [.readWrite])
        try file.setSize(known + 20)
        try file.setSize(known + 4096)
        try removeNote(exporting)
        exporting.restart(state: saved)
        exporting.finish()
        #expect(try exporting.spans() == exporting.wanted)
        #expect(exporting.exporter.details["cut_bytes"] == "4096")
    }

    @Test func `stay beside what somebody else wrote`() throws {
        var exporting = try Exporting()
        defer { exporting.remove() }
        try exporting.take(spans: 3)
        exporting.finish()
        let saved = exporting.exporter.checkpoint(upTo: nil)
        let known = try size(exporting.path)
        let words = Array("{\"mine\":1}".utf8)
        try Files.open(exporting.path, [.readWrite]).write(words.span.bytes, at: known)
        try removeNote(exporting)
        exporting.restart(state: saved)
        try exporting.take(spans: 1)
        exporting.finish()
        #expect(try exporting.contents().contains("\n{\"mine\":1}\n{\"resource"))
        #expect(exporting.exporter.details["warning"]?.contains("somebody else") == true)
    }

    private func size(_ path: String) throws -> UInt64 { try Files.facts(path).size }

    private func removeNote(_ exporting: Exporting) throws {
        try Files.remove(exporting.directory + "/cursors/file.note")
    }

    private func forgetNewestNote(_ exporting: Exporting) throws {
        let path = exporting.directory + "/cursors/file.note"
        let file = try Files.open(path, [.readWrite])
        var sequences: [UInt64] = []
        for slot in 0..<2 {
            var bytes = [UInt8](repeating: 0, count: 16)
            _ = try file.read(into: &bytes, range: 0..<16, at: UInt64(slot) << 20)
            sequences.append(bytes[8..<16].reversed().reduce(0) { $0 << 8 | UInt64($1) })
        }
        let newest: UInt64 = sequences[0] > sequences[1] ? 0 : 1
        let wrong: [UInt8] = [0]
        try file.write(wrong.span.bytes, at: newest << 20)
    }
}
