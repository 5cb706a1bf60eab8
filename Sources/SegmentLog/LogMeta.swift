package import ByteCoding
package import SystemIO

/// The log's name and its next segment number (segment-log.md, meta).
package struct LogMeta: Sendable, Equatable {
    static let name = "meta"
    static let encodedBytes = 64
    static let magic: UInt64 = 0x3054_454D_4C54_5843  // "CXTLMET0"
    static let version: UInt16 = 0

    /// 128 random bits made with the log.
    package var logID: ID128
    /// No segment at or above this number was ever made.
    package var nextSegment: UInt64
    /// The agent ended in order.
    package var clean: Bool
    /// What was stored before the newest segment.
    package var before: LogOrdinal

    func encode() -> [UInt8] {
        var writer = ByteWriter(capacity: LogMeta.encodedBytes)
        writer.write(uint64: LogMeta.magic)
        writer.write(uint16: LogMeta.version)
        writer.write(uint16: UInt16(LogMeta.encodedBytes))
        writer.write(uint32: 0)
        writer.write(id: logID)
        writer.write(uint64: nextSegment)
        writer.write(uint8: clean ? 1 : 0)
        writer.write(zeros: 3)
        writer.write(uint64: before.batches)
        writer.write(uint64: before.records)
        let crc = crc32c(writer.span)
        writer.write(uint32: crc)
        return writer.bytes
    }

    static func decode(_ bytes: [UInt8]) -> LogMeta? {
        guard bytes.count >= encodedBytes,
            fixedChecksumIsRight(bytes.span.bytes, bytes: encodedBytes)
        else { return nil }
        var reader = ByteReader(bytes.span.bytes)
        do {
            guard try reader.readUInt64() == magic, try reader.readUInt16() == version else {
                return nil
            }
            try reader.skip(6)
            let logID = try reader.readID128()
            let next = try reader.readUInt64()
            guard next <= UInt64(SegmentName.numberMax) + 1 else { return nil }
            let clean = try reader.readUInt8() == 1
            try reader.skip(3)
            let before = LogOrdinal(
                batches: try reader.readUInt64(), records: try reader.readUInt64())
            return LogMeta(logID: logID, nextSegment: next, clean: clean, before: before)
        } catch {
            return nil
        }
    }
}

/// Whether the last four of `bytes` bytes are the checksum of those before.
func fixedChecksumIsRight(_ span: RawSpan, bytes: Int) -> Bool {
    do {
        var check = ByteReader(span, in: (bytes - 4)..<bytes)
        return try check.readUInt32() == crc32c(span.extracting(0..<(bytes - 4)))
    } catch {
        return false
    }
}

/// How far the log is written (segment-log.md, position).
package struct LogPosition: Sendable, Equatable {
    static let name = "position"
    static let encodedBytes = 64
    static let magic: UInt64 = 0x3053_4F50_4C54_5843  // "CXTLPOS0"

    /// Entries below are complete in their file.
    package var committed: LogOffset
    /// Entries below survive loss of power.
    package var synced: LogOffset
    /// When the writer last wrote this, in nanoseconds since boot.
    package var heartbeat: UInt64
    /// What was ever stored below `committed`: what damage takes from the log's end is counted by it.
    package var stored = LogOrdinal()
    /// What retention deleted; nil if the file does not say.
    package var retention: Retention?

    /// What the log deleted itself. What else is gone was taken by somebody else, or by damage.
    package struct Retention: Sendable, Equatable {
        static let encodedBytes = 32

        /// No segment below this number was left.
        package var first: SegmentNumber
        /// What the deleted ones held, ever.
        package var expired: LogOrdinal

        /// Both given.
        package init(first: SegmentNumber, expired: LogOrdinal) {
            self.first = first
            self.expired = expired
        }
    }

    func encode(into writer: inout ByteWriter) {
        let start = writer.count
        writer.write(uint64: LogPosition.magic)
        writer.write(uint64: committed.rawValue)
        writer.write(uint64: synced.rawValue)
        writer.write(uint64: heartbeat)
        writer.write(uint64: stored.batches)
        writer.write(uint64: stored.records)
        writer.write(zeros: 12)
        writer.write(uint32: crc32c(writer.span.extracting(start..<writer.count)))
        guard let retention else { return }
        let second = writer.count
        writer.write(uint32: retention.first)
        writer.write(uint32: 0)
        writer.write(uint64: retention.expired.batches)
        writer.write(uint64: retention.expired.records)
        writer.write(uint32: 0)
        writer.write(uint32: crc32c(writer.span.extracting(second..<writer.count)))
    }

    private static func decodeRetention(_ bytes: [UInt8]) -> Retention? {
        let end = encodedBytes + Retention.encodedBytes
        guard bytes.count >= end,
            fixedChecksumIsRight(
                bytes.span.bytes.extracting(encodedBytes..<end), bytes: Retention.encodedBytes)
        else { return nil }
        var reader = ByteReader(bytes.span.bytes, in: encodedBytes..<end)
        do {
            let first = try reader.readUInt32()
            guard first <= SegmentName.numberMax + 1 else { return nil }
            try reader.skip(4)
            return Retention(
                first: first,
                expired: LogOrdinal(
                    batches: try reader.readUInt64(), records: try reader.readUInt64()))
        } catch {
            return nil
        }
    }

    static func decode(_ bytes: [UInt8]) -> LogPosition? {
        guard bytes.count >= encodedBytes,
            fixedChecksumIsRight(bytes.span.bytes, bytes: encodedBytes)
        else { return nil }
        var reader = ByteReader(bytes.span.bytes)
        do {
            guard try reader.readUInt64() == magic else { return nil }
            let committed = LogOffset(rawValue: try reader.readUInt64())
            guard committed.segment <= SegmentName.numberMax else { return nil }
            return LogPosition(
                committed: committed, synced: LogOffset(rawValue: try reader.readUInt64()),
                heartbeat: try reader.readUInt64(),
                stored: LogOrdinal(
                    batches: try reader.readUInt64(), records: try reader.readUInt64()),
                retention: decodeRetention(bytes))
        } catch {
            return nil
        }
    }

    /// The position that the running agent (or the last) left, nil if there is none. `storage` is the
    /// log's directory.
    package static func read(_ storage: any Storage) throws(SystemError) -> LogPosition? {
        var found: LogPosition?
        for _ in 0..<3 {
            // A wrong checksum may be a write that we overtook: read again.
            guard let bytes = try readWhole(storage, name, limit: 4096) else { return nil }
            found = decode(bytes) ?? found
            if found?.retention != nil || found != nil && bytes.count <= encodedBytes { break }
        }
        return found
    }
}

/// A small file's content, nil if there is none.
func readWhole(_ storage: any Storage, _ name: String, limit: Int) throws(SystemError) -> [UInt8]? {
    let file: any StorageFile
    do {
        file = try storage.open(name, .read)
    } catch {
        if error.isNotFound { return nil }
        throw error
    }
    let count = Int(min(UInt64(limit), try file.size()))
    var bytes = [UInt8](repeating: 0, count: count)
    let got = try file.read(into: &bytes, range: 0..<count, at: 0)
    return Array(bytes.prefix(got))
}

/// Replaces a small file as a whole: there is the old content or the new, never a mixture, and the new
/// survives loss of power on return.
func replaceWhole(_ storage: any Storage, _ name: String, _ bytes: [UInt8]) throws(SystemError) {
    let temporary = name + ".tmp"
    let file = try storage.open(temporary, .replace)
    try file.write(bytes.span.bytes, at: 0)
    try file.sync()
    try storage.rename(temporary, to: name)
    try storage.syncNames()
}
