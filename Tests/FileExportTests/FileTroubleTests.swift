import Export
import Foundation
import SimulationKit
import Synchronization
import SystemIO
import Testing

@testable import FileExport

/// Lets one write of a note fail.
private final class FailedWrite: FaultPlan {
    private let left: Atomic<Int>

    /// The write that comes after so many.
    init(after count: Int) { left = Atomic(count) }

    func fault(at event: DiskEvent) -> DiskFault {
        guard event.operation == .write, event.name.hasSuffix("file.note") else { return .none }
        let number = left.wrappingSubtract(1, ordering: .relaxed).oldValue
        return number == 0 ? .short(20, errno: ENOSPC) : .none
    }
}

@Suite struct `A file exporter in trouble` {
    @Test(arguments: 0..<6)
    func `writes each line once though a note cannot be written`(_ number: Int) throws {
        let disk = MemoryDisk()
        var exporting = try Exporting(state: disk.root)
        defer { exporting.remove() }
        disk.setPlan(FailedWrite(after: number))
        for _ in 0..<3 {
            try exporting.take(spans: 2)
            exporting.step()
            exporting.time.now += 60_000_000_000
            exporting.finish()
        }
        #expect(try exporting.spans() == exporting.wanted)
        #expect(exporting.ledger.counts[.delivered] == 6)
        exporting.restart()
        exporting.finish()
        #expect(try exporting.spans() == exporting.wanted)
        #expect(exporting.ledger.pending == 0)
    }

    @Test(arguments: [true, false])
    func `goes on where its full file is gone`(_ isEmptied: Bool) throws {
        var exporting = try Exporting { $0.bytesMax = 1000 }
        defer { exporting.remove() }
        try exporting.take(spans: 4)
        exporting.finish()
        if isEmptied {
            try Files.open(exporting.path, [.readWrite]).setSize(0)
        } else {
            try Files.remove(exporting.path)
        }
        try exporting.take(spans: 4)
        #expect(exporting.step(stopping: true).state == .running)
        #expect(try exporting.spans() == [1001, 1002, 1003, 1004])
        #expect(try Files.list(OutputFile.directory(of: exporting.path)) == ["traces.json"])
    }

    @Test func `goes on where the next file could not be made`() throws {
        var exporting = try Exporting { $0.bytesMax = 1000 }
        defer { exporting.remove() }
        try exporting.take(spans: 4)
        exporting.finish()
        let folder = OutputFile.directory(of: exporting.path)
        // Who sets the file aside may do so, and not make another: a directory takes its place meanwhile.
        try Files.rename(exporting.path, to: "\(folder)/traces-2023-11-14T22-13-20.000.json")
        try Files.makeDirectory(exporting.path)
        try exporting.take(spans: 4)
        #expect(exporting.step(stopping: true).state != .running)
        try Files.removeDirectory(exporting.path)
        exporting.time.now += 60_000_000_000
        #expect(exporting.step(stopping: true).state == .running)
        #expect(try exporting.spans() == exporting.wanted)
        #expect(exporting.ledger.counts[.delivered] == 8)
    }

    @Test func `counts no file of others among its own, nor is stopped by it`() throws {
        var exporting = try Exporting {
            $0.bytesMax = 1000
            $0.backupsMax = 2
        }
        defer { exporting.remove() }
        let folder = OutputFile.directory(of: exporting.path)
        // What cannot be removed as a file, older and newer than all of ours.
        for year in ["1999", "2098", "2099"] {
            try Files.makeDirectory("\(folder)/traces-\(year)-01-01T00-00-00.000.json")
        }
        for _ in 0..<6 {
            try exporting.take(spans: 4)
            #expect(exporting.step(stopping: true).state == .running)
            exporting.time.now += 2_000_000_000
        }
        let names = try Files.list(folder)
        #expect(names.filter { $0.hasPrefix("traces-2023-") }.count == 2)
        #expect(names.count == 6)
        #expect(exporting.ledger.counts[.delivered] == 24)
        exporting.restart()
        #expect(exporting.step(stopping: true).state == .running)
    }
}
