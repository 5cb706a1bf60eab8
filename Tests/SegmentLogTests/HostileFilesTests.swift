import ByteCoding
import SimulationKit
import SystemIO
import Testing

@testable import SegmentLog

/// Files that somebody, or a flipped bit behind a right checksum, put into the log's place.
@Suite("Hostile files")
struct HostileFilesTests {
    private static let logID = ID128(high: 1, low: 2)

    /// A state directory of its own, removed at the end.
    private func inDirectory(_ body: (String, DirectoryStorage) throws -> Void) throws {
        let path = "/tmp/hostile-files-\(ID128.random().hex)"
        let storage = try DirectoryStorage(creating: path)
        _ = try storage.directory("log", create: true)
        _ = try storage.directory("quarantine", create: true)
        defer {
            for folder in ["log", "quarantine", ""] {
                do {
                    for name in try Files.list(path + "/" + folder) where name.contains(".") {
                        try Files.remove(path + "/" + folder + "/" + name)
                    }
                    for name in ["meta", "position", "dedupe", "reserve", "lock"] {
                        try Files.remove(path + "/" + folder + "/" + name)
                    }
                    try Files.removeDirectory(path + "/" + folder)
                } catch { Issue.record("\(path) stays: \(error)") }
            }
        }
        try body(path, storage)
    }

    private func batch(_ sequence: UInt64) -> AppendRequest {
        let payload: [UInt8] = [1, 2, 3]
        return AppendRequest(
            payload: payload, payloadCRC: crc32c(payload.span.bytes), peer: .unknown,
            receiver: .socket, producer: ID128(high: 7, low: 7), sequence: sequence, records: 2,
            spans: 1, logs: 1, earliest: 0, latest: 0, traceIDs: [])
    }

    private func offset(_ result: Result<AppendOutcome, LogError>) throws -> LogOffset {
        guard case .stored(let offset) = try result.get() else {
            Issue.record("\(result)")
            return .none
        }
        return offset
    }

    @Test(arguments: [
        "log/4294967295.segment", "log/4278190080.segment", "quarantine/4294967295-0.bytes",
        "quarantine/18446744073709551615-0.bytes", "quarantine/4278190080-8.bytes",
    ])
    func `a stray file with a number beyond all segments is left alone`(name: String) throws {
        try inDirectory { path, storage in
            do {
                // Ends without a word, and lets go of the lock.
                let first = try LogWriter(state: storage)
                #expect(try offset(first.append([batch(1)])[0]).segment == 1)
            }
            try Files.replace(path + "/" + name, with: [1])
            let second = try LogWriter(state: storage)
            let stored = try offset(second.append([batch(2)])[0])
            #expect((2...20).contains(stored.segment))
            #expect(Files.exists(path + "/" + name))
            let reader = try LogReader(state: storage, at: .beginning)
            var read = 0
            while let item = try reader.next() { if case .batch = item { read += 1 } }
            #expect(read == 2)
        }
    }

    @Test(arguments: ["4278190079.segment", "4261412864.segment"], [0, 50, 5000])
    func `a stray file does not take the numbers that are left`(_ name: String, _ size: Int) throws
    {
        let disk = MemoryDisk()
        var log = try LogWriter(state: disk.root, limits: smallLimits())
        let first = try #require(try log.store(request(1)))
        try log.close()
        disk.killProcess()
        disk.put("log/" + name, [UInt8](repeating: 7, count: size))
        for sequence in 2...4 as ClosedRange<UInt64> {
            log = try LogWriter(state: disk.root, limits: smallLimits())
            let place = try #require(try log.store(request(sequence)))
            #expect(place > first && place.segment < 20)
            #expect(log.recovery.damaged.count == (sequence == 2 && size > 80 ? 1 : 0))
            #expect(!disk.names("log").contains(name))
            if sequence == 3 { try log.close() }
            disk.killProcess()
        }
        #expect(try readAll(disk.root).texts == (1...4).map { "1000/1/\($0)" })
        #expect(disk.names("quarantine").contains { $0.hasPrefix(name.dropLast(8)) } == (size > 0))
    }

    @Test func `the last number that counts is one below those that do not`() {
        #expect(SegmentName.number("4278190079.segment") == SegmentName.numberMax)
        #expect(SegmentName.number("4278190080.segment") == nil)
        #expect(
            Quarantine.place("4278190079-4294967295.bytes") ?? (0, 0) == (
                4_278_190_079, 4_294_967_295
            ))
        #expect(Quarantine.place("4278190080-0.bytes") == nil)
    }

    @Test func `meta and position that name a number beyond all segments are damaged`() {
        let highest = UInt64(SegmentName.numberMax)
        for (next, isRight) in [(highest + 1, true), (highest + 2, false), (.max, false)] {
            let meta = LogMeta(
                logID: Self.logID, nextSegment: next, clean: true, before: LogOrdinal())
            #expect((LogMeta.decode(meta.encode()) != nil) == isRight)
        }
        for (segment, isRight) in [(SegmentName.numberMax, true), (.max, false)] {
            var writer = ByteWriter()
            LogPosition(
                committed: LogOffset(segment: segment, position: 80), synced: .none, heartbeat: 1
            ).encode(into: &writer)
            #expect((LogPosition.decode(writer.bytes) != nil) == isRight)
        }
    }

    @Test func `a log whose numbers are used up says so, and can be read`() throws {
        try inDirectory { path, storage in
            do {
                let first = try LogWriter(state: storage)
                _ = try offset(first.append([batch(1)])[0])
            }
            let bytes = try Files.read(path + "/log/meta", limit: 4096)
            var meta = try #require(LogMeta.decode(bytes))
            meta.nextSegment = UInt64(SegmentName.numberMax) + 1
            try Files.replace(path + "/log/meta", with: meta.encode())
            let second = try LogWriter(state: storage)
            let refusal = second.append([batch(2)])[0]
            guard case .failure(.io(let error)) = refusal else {
                Issue.record("\(refusal)")
                return
            }
            #expect(error.errno == SystemError.outOfRange)
            #expect(error.path == "4278190080.segment")
            let reader = try LogReader(state: storage, at: .beginning)
            guard case .batch(let batch) = try reader.next() else {
                Issue.record("the log cannot be read")
                return
            }
            #expect(batch.envelope.sequence == 1)
        }
    }

    /// Counts of a header are the disk's word: with a right checksum they may still be anything.
    @Test func `counts at the end of 64 bits stop neither the start nor a reader`() throws {
        try inDirectory { path, storage in
            let before = LogOrdinal(batches: .max, records: .max - 1)
            var writer = ByteWriter()
            SegmentHeader(
                logID: Self.logID, number: 1, nonce: 5, created: 1, before: before
            ).encode(into: &writer)
            let request = batch(1)
            Envelope(
                offset: LogOffset(segment: 1, position: 80), nonce: 5, payloadBytes: 3,
                payloadCRC: request.payloadCRC, received: 9, peer: .unknown, receiver: 1, flags: 0,
                producer: request.producer, sequence: 1, records: 2, spans: 1, logs: 1,
                earliest: 0, latest: 0
            ).encode(into: &writer)
            writer.write(bytes: request.payload)
            writer.write(zeros: 5)
            try Files.replace(path + "/log/0000000001.segment", with: writer.bytes)
            let log = try LogWriter(state: storage)
            #expect(log.statistics.kept == LogOrdinal(batches: 1, records: 2))
            let stored = try offset(log.append([batch(2)])[0])
            try log.close()
            let reader = try LogReader(state: storage, at: .beginning)
            var read: [LogOffset] = []
            while let item = try reader.next() {
                if case .batch(let batch) = item { read.append(batch.offset) }
            }
            #expect(read == [LogOffset(segment: 1, position: 80), stored])
        }
    }

    /// As above, of two sealed segments' footers, whose counts are added up.
    @Test func `counts of footers are added without an overflow`() {
        var totals = KeptTotals()
        var summary = SegmentSummary(
            number: 1, nonce: 1, entriesEnd: 80, before: LogOrdinal(batches: .max, records: 3))
        (summary.batches, summary.records) = (.max, .max)
        (summary.spans, summary.logs) = (.max, .max)
        totals.add(summary)
        totals.add(summary)
        #expect(totals.spans == .max && totals.logs == .max)
        #expect(totals.count == LogOrdinal(batches: .max, records: .max))
        #expect(summary.after == LogOrdinal(batches: .max, records: .max))
    }
}
