import ByteCoding
import SimulationKit
import SystemIO
import Testing

@testable import SegmentLog

/// Random work with crashes, against what must be true whatever happened. The seed names a run.
@Suite struct ModelTests {
    /// What the producers know: what was stored, and where.
    private struct Oracle {
        /// Offset → what stands there, for all that was ever acknowledged.
        var acknowledged: [LogOffset: String] = [:]
        /// The same that survived every loss of power so far.
        var safe: Set<LogOffset> = []
        var lastSequence: [UInt64: UInt64] = [:]
        var highestOffset: LogOffset = .none
    }

    private struct Run {
        let disk = MemoryDisk()
        let time = ManualTime()
        var generator: SeededGenerator
        var oracle = Oracle()
        var log: LogWriter?
        var job: SyncJob?
        let seed: UInt64

        init(seed: UInt64) {
            self.seed = seed
            generator = SeededGenerator(seed: seed)
        }

        mutating func open() throws {
            log = nil
            job = nil
            log = try LogWriter(state: disk.root, limits: smallLimits(), time: time)
        }

        mutating func append() throws {
            guard let log else { return }
            var requests: [AppendRequest] = []
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                let producer = UInt64.random(in: 1...3, using: &generator)
                // Now and then one that was sent before.
                let again = Int.random(in: 0..<5, using: &generator) == 0
                let last = oracle.lastSequence[producer] ?? 0
                let sequence = again && last > 0 ? last : last + 1
                oracle.lastSequence[producer] = max(last, sequence)
                requests.append(
                    request(
                        sequence, producer: producer,
                        bytes: Int.random(in: 20...600, using: &generator)))
            }
            for (request, outcome) in zip(requests, log.append(requests)) {
                guard case .success(.stored(let offset)) = outcome else { continue }
                #expect(offset > oracle.highestOffset, "an offset was used again, seed \(seed)")
                oracle.highestOffset = offset
                oracle.acknowledged[offset] = text(request.payload)
            }
        }

        func text(_ payload: [UInt8]) -> String {
            payload.split(separator: UInt8(ascii: "/")).prefix(3)
                .map { String(decoding: $0, as: UTF8.self) }.joined(separator: "/")
        }

        mutating func sync() {
            guard let log else { return }
            if let job {
                log.finishSync(job.perform())
                self.job = nil
                for offset in oracle.acknowledged.keys where offset < log.synced {
                    oracle.safe.insert(offset)
                }
            } else {
                job = log.beginSync()
            }
            #expect(log.synced <= log.committed, "seed \(seed)")
            #expect(log.checkpointed <= log.synced, "seed \(seed)")
        }

        /// The agent dies: nothing that was acknowledged is lost.
        mutating func kill() throws {
            disk.killProcess()
            try open()
            try check(mustHave: Set(oracle.acknowledged.keys))
        }

        /// Power fails: nothing that was synced is lost; what is gone is forgotten by dedupe too.
        mutating func losePower() throws {
            disk.powerFails(&generator)
            try open()
            let kept = try check(mustHave: oracle.safe)
            oracle.acknowledged = oracle.acknowledged.filter { kept.contains($0.key) }
            oracle.safe = kept
            // The producers send again what the log has not: it must be taken.
            for producer in 1...3 {
                let id = ID128(high: 9, low: UInt64(producer))
                oracle.lastSequence[UInt64(producer)] =
                    log?.highestSequence(uid: 1000, producer: id) ?? 0
            }
        }

        @discardableResult
        mutating func check(mustHave: Set<LogOffset>) throws -> Set<LogOffset> {
            let found = try readAll(disk.root)
            var seen = Set<LogOffset>()
            var texts = Set<String>()
            var last: LogOffset = .none
            for batch in found.batches {
                #expect(batch.offset > last, "seed \(seed)")
                last = batch.offset
                seen.insert(batch.offset)
                let text = text(batch.payload)
                #expect(texts.insert(text).inserted, "stored twice: \(text), seed \(seed)")
                #expect(
                    oracle.acknowledged[batch.offset] == text, "\(batch.offset), seed \(seed)")
                let highest = log?.highestSequence(
                    uid: 1000, producer: batch.envelope.producer)
                #expect(
                    highest ?? 0 >= batch.envelope.sequence,
                    "dedupe forgot what is stored, seed \(seed)")
            }
            #expect(mustHave.isSubset(of: seen), "lost \(mustHave.subtracting(seen)), seed \(seed)")
            return seen
        }
    }

    @Test(arguments: 1...40 as ClosedRange<UInt64>)
    func `nothing acknowledged is lost to a kill, nothing synced to loss of power`(
        _ seed: UInt64
    ) throws {
        var run = Run(seed: seed)
        try run.open()
        for _ in 0..<120 {
            switch Int.random(in: 0..<40, using: &run.generator) {
            case 0: try run.kill()
            case 1: try run.losePower()
            case 2:
                if run.job == nil {
                    run.disk.setCapacity(.max)
                    try run.log?.close()
                    run.disk.killProcess()
                    try run.open()
                    #expect(run.log?.recovery.clean == true, "seed \(seed)")
                    try run.check(mustHave: Set(run.oracle.acknowledged.keys))
                    run.oracle.safe = Set(run.oracle.acknowledged.keys)
                }
            case 3...10: run.sync()
            case 11:
                run.time.advance(40)
                run.log?.maintain()
            case 12: run.disk.setCapacity(run.disk.used + 300)
            case 13...14: run.disk.setCapacity(.max)
            default: try run.append()
            }
        }
        run.disk.setCapacity(.max)
        try run.kill()
        try run.losePower()
    }
}
