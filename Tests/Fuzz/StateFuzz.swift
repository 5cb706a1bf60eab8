import ByteCoding
import Export
import SystemIO

@testable import SegmentLog

/// The log's small files, one at a time and around a whole log.
///
/// Input: which decoder, flags, then what it gets.
enum StateFuzz {
    private static let repairs: UInt8 = 1

    static func seeds(_ folder: SeedFolder) throws -> [(name: String, bytes: [UInt8])] {
        let checkpoint = Checkpoint(
            logID: SegmentFuzz.logID, offset: LogOffset(segment: 3, position: 80),
            body: dedupeBody)
        var position = ByteWriter()
        LogPosition(
            committed: LogOffset(segment: 3, position: 80), synced: .none, heartbeat: 7
        ).encode(into: &position)
        let disk = MemoryDisk()
        let cursors = try CursorFile(state: disk.root, exporter: "x")
        try cursors.save(
            SavedCursor(
                cursor: LogPlace(
                    offset: LogOffset(segment: 3, position: 80), ordinal: LogOrdinal(batches: 1)),
                settled: OutcomeCounts(), isClean: true, state: [1, 2, 3]),
            logID: SegmentFuzz.logID.hex)
        let cursor = disk.content("cursors/x.cursor") ?? []
        let stored = try storedBatch()
        let names = Array("3-80.bytes\n0000000009.segment\n3:80".utf8)
        return [
            ("meta", [0, 0] + SegmentFuzz.meta), ("position", [1, 0] + position.bytes),
            ("dedupe", [2, 0] + checkpoint.encode(.dedupe)), ("cursor", [3, 0] + cursor),
            ("cursor-repaired", [3, 1] + cursor), ("entry", [4, 0] + stored.entry),
            ("footer", [5, 0] + stored.footer), ("names", [6, 0] + names),
            ("log", [7, 3, 64, 0] + SegmentFuzz.meta + names),
            ("log-dedupe", [7, 3, 64, 1] + SegmentFuzz.meta + checkpoint.encode(.dedupe)),
        ]
    }

    private static var dedupeBody: [UInt8] {
        var table = DedupeTable(perUIDMax: 8, max: 16)
        table.note(
            DedupeKey(uid: 1000, producer: ID128(high: 1, low: 1)), sequence: 9, received: 5)
        var writer = ByteWriter()
        table.encode(into: &writer)
        return writer.bytes
    }

    private static func storedBatch() throws -> (entry: [UInt8], footer: [UInt8]) {
        let disk = MemoryDisk()
        let writer = try LogWriter(
            state: disk.root, limits: SegmentFuzz.limits, time: StandingTime())
        _ = writer.append([SegmentFuzz.request(1)])
        let batch = SegmentFuzz.read(disk, .beginning, 4096).batches[0]
        var entry = ByteWriter()
        batch.encodeEntry(into: &entry)
        try writer.close()
        let file = disk.content("log/0000000001.segment") ?? []
        return (entry.bytes, Array(file[(80 + batch.envelope.entryBytes)...].dropLast(16)))
    }

    static func run(_ bytes: [UInt8]) {
        var input = FuzzInput(bytes)
        let kind = input.byte()
        let repaired = input.byte() & repairs != 0
        var rest = Array(input.rest)
        switch kind % 8 {
        case 0:
            if repaired { repairFixed(&rest, LogMeta.magic) }
            if let meta = LogMeta.decode(rest) {
                promise(LogMeta.decode(meta.encode()) == meta, "meta: \(meta)")
            }
        case 1:
            if repaired { repairFixed(&rest, LogPosition.magic) }
            if let position = LogPosition.decode(rest) {
                var writer = ByteWriter()
                position.encode(into: &writer)
                promise(LogPosition.decode(writer.bytes) == position, "position: \(position)")
            }
        case 2: checkpoint(rest, repaired)
        case 3: cursor(rest, repaired)
        case 4: entry(rest, repaired)
        case 5: footer(rest)
        case 6: names(rest)
        default: log(rest, repaired)
        }
    }

    // MARK: One decoder each

    private static func repairFixed(_ bytes: inout [UInt8], _ magic: UInt64) {
        guard bytes.count >= 64 else { return }
        bytes.put(magic, at: 0)
        if magic == LogMeta.magic { bytes.put(UInt16(0), at: 8) }
        bytes.put(bytes.checksum(0..<60), at: 60)
    }

    private static func repairCheckpoint(_ bytes: inout [UInt8], _ kind: Checkpoint.Kind) {
        guard bytes.count >= Checkpoint.headerBytes else { return }
        bytes.put(kind.rawValue, at: 0)
        bytes.put(UInt16(0), at: 8)
        bytes.put(UInt32(bytes.count - Checkpoint.headerBytes), at: 12)
        bytes.put(bytes.checksum(Checkpoint.headerBytes..<bytes.count), at: 16)
        bytes.put(SegmentFuzz.logID.high.byteSwapped, at: 24)
        bytes.put(SegmentFuzz.logID.low.byteSwapped, at: 32)
        bytes.put(UInt32(0), at: 20)
        bytes.put(bytes.checksum(0..<Checkpoint.headerBytes), at: 20)
    }

    private static func checkpoint(_ bytes: [UInt8], _ repaired: Bool) {
        var bytes = bytes
        if repaired { repairCheckpoint(&bytes, .dedupe) }
        guard let found = Checkpoint.decode(bytes, .dedupe) else {
            promise(!repaired || bytes.count < 48, "a right checkpoint is refused")
            return
        }
        promise(Checkpoint.decode(found.encode(.dedupe), .dedupe) == found, "checkpoint")
        promise(Checkpoint.decode(bytes, .cursor) == nil, "one kind is taken for another")
        do {
            let count = try merged(found.body)
            promise(count <= 16, "the dedupe table grows to \(count)")
        } catch { fail("a dedupe table ends too early: \(error)") }
    }

    private static func merged(_ body: [UInt8]) throws(ByteError) -> Int {
        var table = DedupeTable(perUIDMax: 8, max: 16)
        var reader = ByteReader(body.span.bytes)
        try table.merge(&reader, count: body.count / DedupeTable.entryBytes)
        return table.entries.count
    }

    private static func cursor(_ bytes: [UInt8], _ repaired: Bool) {
        var bytes = bytes
        if repaired { repairCheckpoint(&bytes, .cursor) }
        let disk = MemoryDisk()
        disk.put("cursors/x.cursor", bytes)
        let log = SegmentFuzz.logID.hex
        do {
            let file = try CursorFile(state: disk.root, exporter: "x")
            guard let saved = try file.load(logID: log, end: nil) else {
                promise(disk.content("cursors/x.cursor") == nil, "a bad cursor stays")
                promise(disk.content("cursors/x.cursor.bad") == bytes, "a bad cursor is lost")
                return
            }
            try file.save(saved, logID: log)
            promise(try file.load(logID: log, end: nil) == saved, "a cursor changes: \(saved)")
        } catch { fail("a cursor's bytes end in \(error)") }
    }

    private static func entry(_ bytes: [UInt8], _ repaired: Bool) {
        var bytes = bytes
        if repaired, bytes.count >= Envelope.encodedBytes {
            bytes.put(Envelope.magic, at: 0)
            bytes.put(UInt16(0), at: 4)
            let size = min(Int(bytes.little(UInt16.self, at: 6) ?? 0) & ~7, bytes.count)
            let right = max(size, Envelope.encodedBytes)
            bytes.put(UInt16(right), at: 6)
            bytes.put(UInt32(bytes.count - right), at: 8)
            bytes.put(bytes.checksum(right..<bytes.count), at: 12)
            bytes.put(bytes.checksum(0..<(right - 4)), at: right - 4)
        }
        guard let stored = StoredBatch(entry: bytes) else { return }
        promise(
            stored.payload.count == stored.envelope.payloadBytes
                && crc32c(stored.payload.span.bytes) == stored.envelope.payloadCRC, "payload")
        // The length that we write is our own; a later version's envelope may be longer.
        if stored.envelope.envelopeBytes == Envelope.encodedBytes {
            var writer = ByteWriter()
            stored.encodeEntry(into: &writer)
            promise(StoredBatch(entry: writer.bytes)?.envelope == stored.envelope, "entry")
        }
    }

    private static func footer(_ bytes: [UInt8]) {
        let position = bytes.little(UInt64.self, at: 24) ?? 0
        let number = SegmentNumber(truncatingIfNeeded: bytes.little(UInt64.self, at: 8) ?? 0)
        guard
            let footer = SegmentFooter.decode(bytes.span.bytes, number: number, position: position)
        else { return }
        promise(footer.summary.number == number, "another segment's footer")
        promise(footer.index.count * 16 <= bytes.count, "more index than bytes")
        _ = footer.filter.mayContain(SegmentFuzz.logID)
        _ = footer.summary.after
    }

    private static func names(_ bytes: [UInt8]) {
        let name = String(decoding: bytes, as: UTF8.self)
        for line in name.split(separator: "\n") {
            if let number = SegmentName.number(String(line)) {
                promise(SegmentName.make(number) == line, "two names of a segment: \(line)")
            }
            if let offset = LogOffset(String(line)) {
                promise(LogOffset(offset.description) == offset, "an offset: \(line)")
            }
            _ = Quarantine.place(String(line))
        }
    }

    // MARK: A log among them

    /// A log with one sealed segment: `meta`, then `dedupe` or names of files in its directories, are hostile.
    private static func log(_ bytes: [UInt8], _ repaired: Bool) {
        var input = FuzzInput(bytes)
        var meta = input.take(Int(input.byte()))
        let hasDedupe = input.byte() & 1 != 0
        let disk = MemoryDisk()
        do {
            disk.put("log/meta", SegmentFuzz.meta)
            let writer = try LogWriter(
                state: disk.root, limits: SegmentFuzz.limits, time: StandingTime())
            guard case .stored(let first) = try writer.append([SegmentFuzz.request(1)])[0].get()
            else { fail("the first batch is a duplicate") }
            try writer.close()
            if repaired {
                repairFixed(&meta, LogMeta.magic)
                meta.put(SegmentFuzz.logID.high.byteSwapped, at: 16)
                meta.put(SegmentFuzz.logID.low.byteSwapped, at: 24)
                if meta.count >= 64 { meta.put(meta.checksum(0..<60), at: 60) }
            }
            if !meta.isEmpty { disk.put("log/meta", meta) }
            if hasDedupe {
                var dedupe = Array(input.rest)
                if repaired { repairCheckpoint(&dedupe, .dedupe) }
                disk.put("log/dedupe", dedupe)
            } else {
                while !input.rest.isEmpty {
                    let name = input.line()
                    let folder = name.hasSuffix(Quarantine.suffix) ? "quarantine/" : "log/"
                    if name.isEmpty || name == "meta" || name.contains("/") { continue }
                    if disk.content(folder + name) == nil { disk.put(folder + name, [1]) }
                }
            }
            try goOn(disk, after: first)
        } catch { fail("a log among hostile files ends in \(error)") }
    }

    /// The log opens, and either takes a batch at an offset above or says why it cannot.
    private static func goOn(_ disk: MemoryDisk, after first: LogOffset) throws {
        let writer = try LogWriter(
            state: disk.root, limits: SegmentFuzz.limits, time: StandingTime())
        switch writer.append([SegmentFuzz.request(.max)])[0] {
        case .success(.stored(let offset)):
            promise(offset > first, "the offset \(offset) is not above \(first)")
            let seen = SegmentFuzz.read(disk, .beginning, 8192)
            promise(seen.batches.last?.offset == offset, "what was stored is not read")
            promise(seen.batches.first?.offset == first, "what was there is not read")
        case .success(.duplicate):
            // The dedupe checkpoint says that this sequence was there.
            break
        case .failure(let error): promise(!error.description.isEmpty, "a refusal without a word")
        }
        _ = writer.statistics
        writer.maintain()
    }
}
