import ByteCoding
import Logging
import Places
import SegmentLog
import SystemIO
import TelemetryBatch
import Testing

@testable import Receive

@Suite struct `The drainer of spool files` {
    let producer = ProducerID(high: 0x1011_1213_1415_1617, low: 3)

    /// A spool directory, and a log to drain it into.
    struct Place {
        let directory: String
        let log: GroupCommit
        let ledger = IntakeLedger()

        init() throws {
            directory = "/tmp/spool-tests-\(ThisProcess.pid)-\(UInt32.random(in: 0 ... .max))"
            try Files.makeDirectories(directory + "/spool")
            log = try GroupCommit(state: DirectoryStorage(creating: directory + "/state"))
        }

        func drain() -> Int {
            var quiet = Logger(label: "test")
            quiet.logLevel = .critical
            var notes = SpoolDrainer.Notes()
            return SpoolDrainer(
                directories: [directory + "/spool"], log: log, ledger: ledger, logger: quiet
            ).drain(&notes)
        }

        func names() throws -> [String] { try Files.list(directory + "/spool").sorted() }

        func end() throws {
            log.shutdown()
            for folder in ["spool", "state/log", "state/cursors", "state/quarantine", "state", ""] {
                let path = directory + "/" + folder
                guard Files.exists(path) else { continue }
                for name in try Files.list(path)
                where try Files.facts(path + "/" + name, following: false).kind == .regular {
                    _ = try Files.remove(path + "/" + name)
                }
                _ = try Files.removeDirectory(path)
            }
        }
    }

    /// A hello and five batches, the byte at every place changed in turn: all frames but the one that was
    /// changed are stored.
    @Test(arguments: [UInt8(1), 0x40, 0xFF])
    func `one wrong byte costs one frame`(_ change: UInt8) throws {
        let place = try Place()
        defer { #expect(throws: Never.self) { try place.end() } }
        let count = 5
        var ends = [Hello(producer: producer).frame.encoded.count]
        let size = batchFrame(producer, 1).count
        for _ in 1...count { ends.append((ends.last ?? 0) + size) }
        var expected: UInt64 = 0
        for at in 0..<ends[count] {
            // Each file is of a producer of its own, or all would be duplicates of the first.
            let producer = ProducerID(high: UInt64(at) + 1, low: UInt64(change))
            var file = Hello(producer: producer).frame.encoded
            for sequence in 1...count { file += batchFrame(producer, UInt64(sequence)) }
            file[at] ^= change
            let name = "\(producer.hex).spool"
            try Files.replace(place.directory + "/spool/" + name, with: file)
            #expect(place.drain() == 1)
            let frame = ends.firstIndex { at < $0 } ?? 0
            let begin = frame == 0 ? 0 : ends[frame - 1]
            // The flags of a frame are nobody's concern.
            let isHarmless = at - begin == 6 || at - begin == 7 || (frame == 0 && at - begin < 0)
            expected += UInt64(frame == 0 || isHarmless ? count : count - 1)
            #expect(place.ledger.snapshot.stored.batches == expected, "byte \(at)")
            #expect(
                try place.names() == (isHarmless ? [] : ["\(producer.hex).damaged"]),
                "byte \(at)")
            for name in try place.names() {
                let path = place.directory + "/spool/" + name
                #expect(try Files.facts(path).mode == 0o600)
                _ = try Files.remove(path)
            }
        }
        let counts = place.ledger.snapshot
        let refused =
            (counts.spoolFilesRefused["damaged"] ?? 0)
            + (counts.spoolFilesRefused["torn"] ?? 0)
        #expect(refused == UInt64(ends[count] - 2 * (count + 1)))
        #expect(counts.spoolDamagedRanges == counts.spoolFilesRefused["damaged"])
    }

    @Test func `files that are kept are bounded, the newest stay`() throws {
        let place = try Place()
        defer { #expect(throws: Never.self) { try place.end() } }
        for number in 1...UInt64(SpoolAside.filesMax + 3) {
            let producer = ProducerID(high: 7, low: number)
            let path = place.directory + "/spool/\(producer.hex).spool"
            let file = Hello(producer: producer).frame.encoded + batchFrame(producer, 1)
            try Files.replace(path, with: file + [1, 2, 3])
            #expect(place.drain() == 1)
        }
        #expect(try place.names().count == SpoolAside.filesMax)
        #expect(place.ledger.snapshot.stored.batches == UInt64(SpoolAside.filesMax + 3))
        #expect(try place.names().last?.hasSuffix("b.damaged") == true)
    }

    @Test func `a file that says nowhere whose it is is left alone`() throws {
        let place = try Place()
        defer { #expect(throws: Never.self) { try place.end() } }
        let path = place.directory + "/spool/nobody.spool"
        try Files.replace(path, with: batchFrame(producer, 1))
        #expect(place.drain() == 0)
        #expect(try place.names() == ["nobody.spool"])
        #expect(place.ledger.snapshot.spoolFilesRefused == ["no_hello": 1])
    }

    /// Sixteen MiB of headers, each of a batch that would be large and is not sound.
    @Test(.timeLimit(.minutes(1)))
    func `the search for a sound frame is bounded`() throws {
        var claim = FrameHeader(type: .batch, body: [UInt8](repeating: 0, count: 64).span.bytes)
        claim.length = 4 << 20
        var writer = ByteWriter()
        claim.write(to: &writer)
        var id = ByteWriter()
        id.write(id: producer)
        let one = writer.bytes + [UInt8](repeating: 0, count: 8) + id.bytes + [0, 0, 0, 0]
        let file = [UInt8]((0..<(16 << 20) / one.count).map { _ in one }.joined())
        var reader = SpoolReader(file, name: producer.hex + ".spool")
        #expect(reader.next() == .damaged(0..<file.count))
        #expect(reader.next() == nil)
    }
}
