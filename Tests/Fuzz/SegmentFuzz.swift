import ByteCoding
import SystemIO

@testable import SegmentLog

/// A log's directory with up to three files of hostile bytes: read as it is, or recovered, written to and
/// read again.
///
/// Input: flags; what the position file says; two lengths; then the files' bytes, one after another.
/// With the flags checksums, places and lengths are made right, so that what hides behind them is reached.
enum SegmentFuzz {
    private enum Flag {
        static let header: UInt8 = 1
        static let envelopes: UInt8 = 2
        static let payloads: UInt8 = 4
        static let footer: UInt8 = 8
        static let position: UInt8 = 16
        static let inner: UInt8 = 32
        static let meta: UInt8 = 64
        /// Nothing is recovered: an input that does one thing is cheaper.
        static let onlyRead: UInt8 = 128
    }

    static let logID = ID128(high: 1, low: 2)
    private static let first: SegmentNumber = 3

    static func seeds(_ folder: SeedFolder) throws -> [(name: String, bytes: [UInt8])] {
        var seeds: [(name: String, bytes: [UInt8])] = [("empty", [0, 0, 0, 0, 0, 0])]
        for (name, isClosed) in [("sealed", true), ("open", false)] {
            let disk = MemoryDisk()
            disk.put("log/meta", meta)
            let writer = try LogWriter(
                state: disk.root, limits: limits, time: StandingTime())
            for sequence in 1...4 {
                _ = writer.append([request(UInt64(sequence))])
                if sequence == 2 { writer.rotate() }
            }
            if isClosed { try writer.close() }
            let files = disk.names("log").compactMap { name in
                SegmentName.number(name) == nil ? nil : disk.content("log/" + name)
            }.map { Array($0.prefix(4096)) }
            guard files.count == 2 else { fail("the seed has \(files.count) segments") }
            for flags: UInt8 in [0, 0x6F, 0x7F, 0xEF, 0xFF] {
                var bytes: [UInt8] = [flags, 200]
                bytes += [UInt8(files[0].count & 255), UInt8(files[0].count >> 8)]
                bytes += [UInt8(files[1].count & 255), UInt8(files[1].count >> 8)]
                seeds.append(("\(name)-\(flags)", bytes + files[0] + files[1]))
            }
        }
        return seeds
    }

    static var limits: LogLimits {
        var limits = LogLimits(
            capBytes: 64 << 20, space: StorageSpace(total: 1 << 30, available: 1 << 29))
        limits.segmentBytes = 16 << 10
        limits.allocationBytes = 1 << 10
        // An entry may claim any receipt: nothing here may be too old.
        limits.age = .seconds(18_446_744_073)
        return limits
    }

    static let meta = LogMeta(
        logID: logID, nextSegment: UInt64(first), clean: false, before: LogOrdinal()
    ).encode()

    static func run(_ bytes: [UInt8]) {
        var input = FuzzInput(bytes)
        let flags = input.byte()
        let committed = input.byte()
        let lengths = [Int(input.word()), Int(input.word()), Int.max]
        let disk = MemoryDisk()
        if flags & Flag.meta != 0 { disk.put("log/meta", meta) }
        var last = LogOffset(segment: first, position: 0)
        var total = 0
        for (index, length) in lengths.enumerated() where !input.rest.isEmpty {
            let number = first + SegmentNumber(index)
            var file = input.take(length)
            repair(&file, number, flags)
            total += file.count
            last = LogOffset(segment: number, position: UInt32(file.count * Int(committed) / 200))
            disk.put("log/" + SegmentName.make(number), file)
        }
        if flags & Flag.position != 0 {
            var writer = ByteWriter()
            LogPosition(committed: last, synced: last, heartbeat: 1).encode(into: &writer)
            disk.put("log/position", writer.bytes)
        }
        if flags & Flag.onlyRead == 0 {
            recover(disk, total, trusted: flags & (Flag.footer | Flag.position) == 0)
            return
        }
        let start: ReadStart =
            flags & Flag.inner == 0
            ? .beginning
            : .offset(
                LogOffset(segment: first, position: UInt32(committed) * 8),
                ordinal: LogOrdinal(batches: 1, records: 1))
        _ = read(disk, start, total)
        do {
            let reader = try LogReader(state: disk.root, at: start)
            _ = try reader.segments()
            try reader.moveBack(records: 3)
        } catch { fail("looking around among hostile bytes ends in \(error)") }
    }

    // MARK: Reading

    struct Seen {
        var batches: [StoredBatch] = []
        var damagedBytes: UInt64 = 0
    }

    /// Reads all there is. It ends, its places rise, its batches are right.
    static func read(_ disk: MemoryDisk, _ start: ReadStart, _ total: Int) -> Seen {
        var seen = Seen()
        do {
            let reader = try LogReader(state: disk.root, at: start)
            var before = reader.cursor
            var steps = 0
            while let item = try reader.next() {
                steps += 1
                promise(steps <= total / 8 + 64, "the reader does not end")
                switch item {
                case .batch(let batch):
                    promise(batch.offset >= before, "the reader goes back to \(batch.offset)")
                    promise(reader.cursor > batch.offset, "the cursor stands still")
                    promise(
                        crc32c(batch.payload.span.bytes) == batch.envelope.payloadCRC,
                        "a batch with another checksum at \(batch.offset)")
                    seen.batches.append(batch)
                case .damaged(let range):
                    promise(range.from >= before && range.count > 0, "damage at \(range)")
                    let end = UInt64(range.from.position) + range.count
                    promise(
                        end <= reach(disk, range.from.segment), "damage behind the end: \(range)")
                    seen.damagedBytes += range.count
                case .missed(let missed): promise(missed.to >= before, "missed up to \(missed.to)")
                }
                promise(reader.cursor >= before, "the cursor goes back to \(reader.cursor)")
                before = reader.cursor
            }
        } catch { fail("reading hostile bytes ends in \(error)") }
        return seen
    }

    /// How far damage can go in a segment: its file, or what the position file promises of it; with an
    /// entry's padding.
    private static func reach(_ disk: MemoryDisk, _ number: SegmentNumber) -> UInt64 {
        var end = UInt64(disk.content("log/" + SegmentName.make(number))?.count ?? 0)
        if let bytes = disk.content("log/position"), let left = LogPosition.decode(bytes),
            left.committed.segment == number
        {
            end = max(end, UInt64(left.committed.position))
        }
        return (end + 7) & ~7
    }

    // MARK: Recovery

    private static func recover(_ disk: MemoryDisk, _ total: Int, trusted: Bool) {
        let before = files(disk)
        do {
            let writer = try LogWriter(state: disk.root, limits: limits, time: StandingTime())
            let report = writer.recovery
            let statistics = writer.statistics
            if trusted { balance(before, disk, report, statistics) }
            let end = writer.committed
            let outcome = try writer.append([request(1_000_000)])[0].get()
            guard case .stored(let offset) = outcome else { fail("a new batch is \(outcome)") }
            promise(offset >= end, "an offset below the recovered end: \(offset) < \(end)")
            for name in before.keys {
                if let number = SegmentName.number(name) {
                    promise(offset.segment > number, "a segment number is used again")
                }
            }
            try writer.sync()
            let seen = read(disk, .beginning, total + 4096)
            promise(seen.batches.last?.offset == offset, "the new batch is not the last")
            // A sealed segment's counts are its footer's: damage in it shows only when it is read.
            let kept = writer.statistics.kept.batches
            if trusted, report.problems.isEmpty {
                let isRight =
                    seen.damagedBytes == 0
                    ? UInt64(seen.batches.count) == kept : UInt64(seen.batches.count) <= kept
                promise(isRight, "kept \(kept), read \(seen.batches.count)")
            }
            try writer.close()
            let again = try LogWriter(state: disk.root, limits: limits, time: StandingTime())
            promise(again.recovery.clean, "not clean after an orderly end")
            promise(
                again.recovery.damaged.isEmpty && again.recovery.tornTails.isEmpty,
                "damage is found twice: \(again.recovery)")
            let second = read(disk, .beginning, total + 4096)
            promise(
                second.batches.map(\.offset) == seen.batches.map(\.offset),
                "what was read is gone after a restart")
        } catch { fail("recovery of hostile bytes ends in \(error)") }
    }

    private static func files(_ disk: MemoryDisk) -> [String: [UInt8]] {
        var files: [String: [UInt8]] = [:]
        for name in disk.names("log") where SegmentName.number(name) != nil {
            files[name] = disk.content("log/" + name)
        }
        return files
    }

    /// Every byte of a segment that had no footer is header, entry, reported damage, or zeros at its end.
    private static func balance(
        _ before: [String: [UInt8]], _ disk: MemoryDisk, _ report: RecoveryReport,
        _ statistics: LogStatistics
    ) {
        guard report.problems.isEmpty else { return }
        var content = 0
        for bytes in before.values {
            content += (bytes.lastIndex { $0 != 0 } ?? -1) + 1
        }
        var left = 0
        for name in files(disk).keys where before[name] != nil {
            // A header that is damaged is damage too, and stays.
            left += Int(disk.content("log/" + name)?.count ?? 0)
        }
        let cut = report.tornTails.reduce(0) { $0 + Int($1.count) }
        let aside = report.damaged.filter {
            disk.content("log/" + SegmentName.make($0.from.segment)) == nil
        }.reduce(0) { $0 + Int($1.count) }
        // Recovery has written footers; their bytes are no content of before.
        let footers = report.sealedSegments.reduce(0) { sum, number in
            sum + footerBytes(disk, number)
        }
        promise(
            left - footers + cut + aside >= content,
            "\(content) bytes: \(left) − \(footers) are left, \(cut) cut off, \(aside) set aside")
        var copies = 0
        for range in report.tornTails + report.damaged {
            let name = "quarantine/\(range.from.segment)-\(range.from.position).bytes"
            let file = before[SegmentName.make(range.from.segment)] ?? []
            let from = Int(range.from.position)
            // What the file did not hold any more cannot be copied.
            if from >= file.count { continue }
            guard let copy = disk.content(name) else { fail("no copy of \(range)") }
            promise(
                copy == Array(file[from..<min(file.count, from + Int(range.count))]),
                "another copy of \(range)")
            copies += 1
        }
        promise(disk.names("quarantine").count == copies, "copies that nobody reports")
        promise(
            statistics.damagedBytes == report.damaged.reduce(0) { $0 + $1.count },
            "damage is counted otherwise")
    }

    private static func footerBytes(_ disk: MemoryDisk, _ number: SegmentNumber) -> Int {
        guard let file = disk.content("log/" + SegmentName.make(number)),
            let count = file.little(UInt32.self, at: file.count - 16)
        else { return 0 }
        return Int(count) + SegmentFooter.trailerBytes
    }

    static func request(_ sequence: UInt64) -> AppendRequest {
        let payload = Array("a batch with the sequence \(sequence)".utf8)
        return AppendRequest(
            payload: payload, payloadCRC: crc32c(payload.span.bytes),
            peer: PeerIdentity(uid: 1000, gid: 100, pid: 77, startTicks: 5), receiver: .socket,
            producer: ID128(high: .max, low: sequence), sequence: sequence, records: 2, spans: 1,
            logs: 1, earliest: 5, latest: 9, traceIDs: [ID128(high: 3, low: sequence)])
    }

    // MARK: Repair

    /// Makes checksums, places and lengths right, as far as the flags say.
    private static func repair(_ file: inout [UInt8], _ number: SegmentNumber, _ flags: UInt8) {
        if flags & Flag.header != 0, file.count >= SegmentHeader.encodedBytes {
            file.put(SegmentHeader.magic, at: 0)
            file.put(UInt16(0), at: 8)
            file.put(UInt64(number), at: 32)
            let size = Int(file.little(UInt16.self, at: 10) ?? 0)
            if size % 8 != 0 || size < SegmentHeader.encodedBytes || size > file.count {
                file.put(UInt16(SegmentHeader.encodedBytes), at: 10)
            }
            let end = Int(file.little(UInt16.self, at: 10) ?? 0)
            file.put(logID.high.byteSwapped, at: 16)
            file.put(logID.low.byteSwapped, at: 24)
            file.put(file.checksum(0..<(end - 4)), at: end - 4)
        }
        if flags & Flag.envelopes != 0 { repairEnvelopes(&file, number, flags) }
        if flags & Flag.footer != 0 { repairFooter(&file, number) }
    }

    private static func repairEnvelopes(
        _ file: inout [UInt8], _ number: SegmentNumber, _ flags: UInt8
    ) {
        for at in stride(from: 0, to: file.count - Envelope.encodedBytes, by: 8)
        where file.little(UInt32.self, at: at) == Envelope.magic {
            let size = Int(file.little(UInt16.self, at: at + 6) ?? 0)
            guard size >= Envelope.encodedBytes, at + size <= file.count else { continue }
            file.put(LogOffset(segment: number, position: UInt32(at)).rawValue, at: at + 24)
            if let nonce = file.little(UInt64.self, at: 40) { file.put(nonce, at: at + 16) }
            let payload = Int(file.little(UInt32.self, at: at + 8) ?? 0)
            let end = at + size + payload
            if flags & Flag.payloads != 0, end <= file.count {
                file.put(file.checksum((at + size)..<end), at: at + 12)
            }
            file.put(file.checksum(at..<(at + size - 4)), at: at + size - 4)
        }
    }

    private static func repairFooter(_ file: inout [UInt8], _ number: SegmentNumber) {
        let trailer = file.count - SegmentFooter.trailerBytes
        guard trailer > SegmentHeader.encodedBytes + SegmentFooter.fixedBytes,
            let count = file.little(UInt32.self, at: trailer).map(Int.init),
            count >= SegmentFooter.fixedBytes, count <= trailer - SegmentHeader.encodedBytes
        else { return }
        let start = trailer - count
        file.put(SegmentFooter.magic, at: start)
        file.put(UInt64(number), at: start + 8)
        file.put(UInt64(start), at: start + 24)
        file.put(file.checksum(start..<trailer), at: trailer + 4)
        file.put(SegmentFooter.endMagic, at: trailer + 8)
    }
}
