import ByteCoding
import SimulationKit
import Testing

@testable import SegmentLog
@testable import SystemIO

@Suite struct FailpointStorageTests {
    /// Steps that are no storage's: they are at the sockets and at the spool.
    private static let elsewhere: Set<Failpoint.Step> = [
        .batchSubmit, .ackSend, .journalSend, .spoolRemove,
    ]

    private let time = ManualTime()

    private func open(_ disk: MemoryDisk, _ points: Failpoints) throws -> LogWriter {
        try LogWriter(
            state: FailpointStorage(disk.root, points), limits: smallLimits(cap: 8192), time: time)
    }

    @Test func `a small run reaches every place of the storage`() throws {
        let points = Failpoints()
        let disk = MemoryDisk()
        // A file system that cannot reserve.
        disk.fail([.allocate])
        let first = try open(disk, points)
        disk.fail([])
        for sequence in 1...60 { try first.store(request(UInt64(sequence), bytes: 200)) }
        try first.sync()
        first.maintain()
        disk.killProcess()

        let newest = try #require(disk.names("log").last { $0.hasSuffix(".segment") })
        let whole = try #require(disk.content("log/\(newest)"))
        disk.put("log/\(newest)", whole + [1, 2, 3])
        disk.put("log/meta.tmp", [1])
        disk.put("log/dedupe", [1])
        disk.put("quarantine/1-80.bytes", Array(repeating: 1, count: 1 << 20))
        let second = try open(disk, points)
        try second.close()

        let state = FailpointStorage(disk.root, points)
        let cursor = try CheckpointFile.cursor(state: state, exporter: "journald")
        try cursor.write(Checkpoint(logID: .random(), offset: .none, body: []))
        try cursor.setAside()

        let missing = Failpoint.Place.all.filter {
            !Self.elsewhere.contains($0.step) && !points.reached.contains($0)
        }
        #expect(missing.map(\.description) == [])
    }

    /// Steps of the log's own files.
    private static let places = Failpoint.Place.all.filter {
        !elsewhere.contains($0.step) && !$0.step.rawValue.hasPrefix("cursor")
    }

    @Test(arguments: places)
    func `an error or a full disk at any place loses nothing that was stored`(
        place: Failpoint.Place
    ) throws {
        for action in [Failpoint.Action.fail, .full] {
            for turn in 1...4 {
                let disk = MemoryDisk()
                let points = Failpoints([.init(place, action, turn: turn)])
                var sequence: UInt64 = 0
                var stored: [String] = []
                for _ in 1...2 {
                    // The start itself may fail, and so may the end.
                    do throws(LogError) {
                        let log = try LogWriter(
                            state: FailpointStorage(disk.root, points), limits: smallLimits(),
                            time: time)
                        for _ in 1...8 {
                            sequence += 1
                            if case .success(.stored) = log.append([request(sequence, bytes: 200)])[
                                0]
                            {
                                stored.append("1000/1/\(sequence)")
                            }
                            if let job = log.beginSync() { log.finishSync(job.perform()) }
                        }
                        try log.close()
                    } catch {
                        #expect(points.reached.contains(place), "\(place) \(action): \(error)")
                    }
                    disk.killProcess()
                }
                let last = try LogWriter(state: disk.root, limits: smallLimits(), time: time)
                let found = try readAll(disk.root)
                #expect(found.texts == stored, "\(place)=\(action)@\(turn)")
                #expect(found.damaged.isEmpty, "\(place)=\(action)@\(turn)")
                try last.close()
            }
        }
    }
}
