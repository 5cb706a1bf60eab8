import ByteCoding
import Logging
import Receive
import SegmentLog
import Synchronization
import SystemIO
import TelemetryBatch

/// A spool file of hostile bytes, taken over by the agent's drainer into a log. The input is flags, then
/// the file.
enum SpoolFuzz {
    private static let repairsChecksums: UInt8 = 1

    static func seeds(_ folder: SeedFolder) throws -> [(name: String, bytes: [UInt8])] {
        try (folder.hex("spool") + folder.hex("frames/valid")).flatMap { seed in
            [(seed.name, [0] + seed.bytes), (seed.name + "-repaired", [1] + seed.bytes)]
        }
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
        var file = Array(input.rest)
        if flags & repairsChecksums != 0 { FrameFuzz.repair(&file) }
        do {
            let (log, folder) = try currentBench()
            let path = folder + "/one.spool"
            try Files.replace(path, with: file)
            let ledger = IntakeLedger()
            var logger = Logger(label: "fuzz")
            logger.logLevel = .critical
            let drainer = SpoolDrainer(
                directories: [folder], log: log, ledger: ledger, logger: logger)
            var known: Set<String> = []
            let drained = drainer.drain(known: &known)
            check(file, drained, ledger.snapshot, left: Files.exists(path))
            try Files.remove(path)
        } catch { fail("the spool's folder cannot be used: \(error)") }
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

    /// Every complete batch behind a hello has exactly one outcome, and the file is gone; or the file is
    /// left as it is, with a reason.
    private static func check(_ file: [UInt8], _ drained: Int, _ counts: IntakeCounts, left: Bool) {
        var hasHello = false
        var isRefused = false
        var batches: UInt64 = 0
        var frames = FrameBuffer()
        frames.append(file)
        reading: while let frame = next(&frames) {
            switch frame.type {
            case .hello where !hasHello:
                hasHello = hello(frame.body) != nil
                isRefused = !hasHello
            case .batch:
                if hasHello { batches += 1 } else { isRefused = true }
            default: break
            }
            if isRefused { break reading }
        }
        promise(left == isRefused && drained == (isRefused ? 0 : 1), "the file is left: \(left)")
        promise(counts.spoolFilesDrained == UInt64(drained), "drained files are counted wrongly")
        if isRefused {
            promise(counts.spoolFilesRefused == ["no_hello": 1], "\(counts.spoolFilesRefused)")
        }
        promise(counts.received.batches == batches, "\(counts.received) of \(batches) batches")
        let flight = counts.inFlight
        promise(flight.batches == 0 && flight.records == 0, "\(flight) have no outcome")
    }

    private static func next(_ frames: inout FrameBuffer) -> Frame? {
        do { return try frames.next() } catch { return nil }
    }

    private static func hello(_ body: [UInt8]) -> Hello? {
        do { return try Hello(decoding: body.span.bytes) } catch { return nil }
    }
}
