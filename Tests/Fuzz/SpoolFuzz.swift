import ByteCoding
import Logging
import Receive
import SegmentLog
import Synchronization
import SystemIO
import TelemetryBatch

/// A spool file of hostile bytes, taken over by the agent's drainer into a log. The input is flags, then
/// the file; or what damages one frame of a file that was whole, whose other frames must all be taken.
enum SpoolFuzz {
    private static let repairsChecksums: UInt8 = 1
    private static let damagesOneFrame: UInt8 = 2
    private static let producer = ProducerID(high: 0x0102_0304_0506_0708, low: 9)

    static func seeds(_ folder: SeedFolder) throws -> [(name: String, bytes: [UInt8])] {
        var seeds: [(name: String, bytes: [UInt8])] = []
        for seed in try folder.hex("spool") + folder.hex("frames/valid") {
            seeds.append((seed.name, [0] + seed.bytes))
            seeds.append((seed.name + "-repaired", [repairsChecksums] + seed.bytes))
            seeds.append((seed.name + "-damage", [damagesOneFrame] + seed.bytes.prefix(64)))
        }
        return seeds
    }

    /// One log for many inputs: opening one for each would be most of the time.
    private struct Bench {
        var log: GroupCommit
        var folder: String
        var runs = 0
    }

    private static let bench = Mutex<Bench?>(nil)
    private static let runsOfOneLog = 2000

    static func run(_ bytes: [UInt8]) {
        var input = FuzzInput(bytes)
        let flags = input.byte()
        do {
            let (log, folder) = try currentBench()
            let path = folder + "/\(producer.hex).spool"
            let file: [UInt8]
            if flags & damagesOneFrame != 0 {
                file = damaged(&input)
            } else {
                var bytes = Array(input.rest)
                if flags & repairsChecksums != 0 { FrameFuzz.repair(&bytes) }
                file = bytes
            }
            try Files.replace(path, with: file)
            let ledger = IntakeLedger()
            var logger = Logger(label: "fuzz")
            logger.logLevel = .critical
            let drainer = SpoolDrainer(
                directories: [folder], log: log, ledger: ledger, logger: logger)
            var notes = SpoolDrainer.Notes()
            let drained = drainer.drain(&notes)
            let counts = ledger.snapshot
            check(file, drained, counts)
            if flags & damagesOneFrame != 0 {
                let taken = counts.stored.batches + counts.duplicate.batches
                promise(taken >= undamaged, "\(taken) of \(undamaged) undamaged batches taken")
            }
            promise(!Files.exists(path), "the file is left")
            let kept = folder + "/\(producer.hex).damaged"
            let isWhole = counts.spoolFilesRefused.isEmpty
            promise(try Files.remove(kept) == !isWhole, "the file is kept: \(!isWhole)")
        } catch { fail("the spool's folder cannot be used: \(error)") }
    }

    /// Batches beside the damaged frame: one less than there are.
    private static let undamaged: UInt64 = 4

    /// A whole file, a frame of which the input changes: which one, then pairs of a place in it and what
    /// is changed there.
    private static func damaged(_ input: inout FuzzInput) -> [UInt8] {
        var frames = [Hello(producer: producer).frame.encoded]
        for sequence in 1...undamaged + 1 {
            var builder = BatchBuilder(producer: producer)
            builder.begin(baseTime: 1_000)
            frames.append(Frame(type: .batch, body: builder.finish(sequence: sequence)).encoded)
        }
        let which = Int(input.byte()) % frames.count
        let changes = Array(input.rest)
        for pair in stride(from: 0, to: changes.count - 1, by: 2) {
            frames[which][Int(changes[pair]) % frames[which].count] ^= changes[pair + 1]
        }
        return frames.flatMap { $0 }
    }

    private static func currentBench() throws -> (GroupCommit, String) {
        let current = bench.withLock { $0 }
        if let current, current.runs < runsOfOneLog {
            bench.withLock { $0?.runs += 1 }
            return (current.log, current.folder)
        }
        let temporary = ThisProcess.environment("FUZZ_SPOOL") ?? "/dev/shm"
        let folder = "\(temporary)/fuzz-spool-\(ThisProcess.pid)"
        try Files.makeDirectories(folder)
        current?.log.shutdown()
        let log = try GroupCommit(
            state: MemoryDisk().root,
            limits: LogLimits(
                capBytes: 64 << 20, space: StorageSpace(total: 1 << 30, available: 1 << 29)))
        bench.withLock { $0 = Bench(log: log, folder: folder) }
        return (log, folder)
    }

    /// Every byte is in one part; every sound batch has exactly one outcome.
    private static func check(_ file: [UInt8], _ drained: Int, _ counts: IntakeCounts) {
        var reader = SpoolReader(file, name: producer.hex + SpoolReader.suffix)
        var batches: UInt64 = 0
        var damagedBytes = 0
        var end = 0
        while let part = reader.next() {
            switch part {
            case .hello(let hello):
                promise(end == 0, "a hello at \(end)")
                // Its trailing bytes are its own.
                promise(hello.producer == reader.producer, "the hello's producer is not taken")
                end = FrameHeader.byteCount + length(file)
            case .batch(let body):
                promise(body.lowerBound == end + FrameHeader.byteCount, "a gap before \(body)")
                batches += 1
                end = body.upperBound
            case .damaged(let range), .torn(let range):
                promise(range.lowerBound == end && !range.isEmpty, "a gap before \(range)")
                if case .damaged = part { damagedBytes += range.count }
                end = range.upperBound
            }
        }
        promise(end == file.count, "\(end) of \(file.count) bytes are read")
        promise(drained == 1 && counts.spoolFilesDrained == 1, "the file is not drained")
        promise(counts.received.batches == batches, "\(counts.received) of \(batches) batches")
        promise(counts.spoolDamagedBytes == UInt64(damagedBytes), "\(damagedBytes) damaged bytes")
        let flight = counts.inFlight
        promise(flight.batches == 0 && flight.records == 0, "\(flight) have no outcome")
    }

    private static func length(_ file: [UInt8]) -> Int {
        do { return Int(try FrameHeader(decoding: file.span.bytes).length) } catch { return 0 }
    }
}
