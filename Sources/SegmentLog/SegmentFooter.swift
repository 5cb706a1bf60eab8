import ByteCoding

/// The end of a sealed segment (segment-log.md, Footer).
package struct SegmentFooter: Sendable {
    static let magic: UInt32 = 0x4654_5843  // "CXTF"

    /// Whether bytes begin as a footer does.
    static func begins(_ bytes: RawSpan) -> Bool {
        var reader = ByteReader(bytes)
        do { return try reader.readUInt32() == magic } catch { return false }
    }
    static let endMagic: UInt64 = 0x3044_4E45_4C54_5843  // "CXTLEND0"
    static let version: UInt16 = 0
    static let fixedBytes = 128
    static let trailerBytes = 16

    /// What is in the segment.
    package var summary: SegmentSummary
    /// Places by receipt.
    package var index: [SegmentIndexEntry]
    /// Which traces it may hold.
    package var filter: TraceFilter
    /// The encoded dedupe entries.
    var dedupe: [UInt8]

    /// The footer and its trailer as they stand in the file from `summary.entriesEnd` on.
    static func encode(
        _ summary: SegmentSummary, index: [SegmentIndexEntry], filter: TraceFilter,
        dedupe: DedupeTable, into writer: inout ByteWriter
    ) {
        let start = writer.count
        writer.write(uint32: magic)
        writer.write(uint16: version)
        writer.write(uint16: UInt16(fixedBytes))
        writer.write(uint64: UInt64(summary.number))
        writer.write(uint64: summary.nonce)
        writer.write(uint64: UInt64(summary.entriesEnd))
        writer.write(uint64: summary.batches)
        writer.write(uint64: summary.records)
        writer.write(uint64: summary.receivedFirst)
        writer.write(uint64: summary.receivedLast)
        writer.write(uint64: summary.earliest)
        writer.write(uint64: summary.latest)
        writer.write(uint32: UInt32(index.count))
        writer.write(uint32: UInt32(dedupe.entries.count))
        writer.write(uint32: UInt32(filter.words.count))
        writer.write(uint32: UInt32(filter.words.isEmpty ? 0 : filter.hashes))
        writer.write(uint64: summary.spans)
        writer.write(uint64: summary.logs)
        writer.write(uint64: summary.before.batches)
        writer.write(uint64: summary.before.records)
        for entry in index {
            writer.write(uint32: entry.position)
            writer.write(uint32: 0)
            writer.write(uint64: entry.received)
        }
        dedupe.encode(into: &writer)
        for word in filter.words { writer.write(uint64: word) }
        let count = writer.count - start
        let crc = crc32c(writer.span.extracting(start..<writer.count))
        writer.write(uint32: UInt32(count))
        writer.write(uint32: crc)
        writer.write(uint64: endMagic)
    }

    /// The footer's length and checksum by the trailer's bytes; nil if it is none.
    static func decodeTrailer(_ bytes: RawSpan) -> (count: Int, crc: UInt32)? {
        var reader = ByteReader(bytes)
        do {
            let count = Int(try reader.readUInt32())
            let crc = try reader.readUInt32()
            guard try reader.readUInt64() == endMagic, count >= fixedBytes,
                count <= LogLimits.footerBytesMax
            else { return nil }
            return (count, crc)
        } catch {
            return nil
        }
    }

    /// Reads a footer (without trailer) whose checksum was found right; nil if it is not one of this segment
    /// at this place.
    static func decode(_ bytes: RawSpan, number: SegmentNumber, position: UInt64) -> SegmentFooter?
    {
        var reader = ByteReader(bytes)
        do {
            guard try reader.readUInt32() == magic, try reader.readUInt16() == version else {
                return nil
            }
            let fixed = Int(try reader.readUInt16())
            guard fixed >= fixedBytes, try reader.readUInt64() == UInt64(number) else { return nil }
            let nonce = try reader.readUInt64()
            guard try reader.readUInt64() == position, position <= UInt64(UInt32.max) else {
                return nil
            }
            var summary = SegmentSummary(
                number: number, nonce: nonce, entriesEnd: UInt32(position), before: LogOrdinal())
            summary.batches = try reader.readUInt64()
            summary.records = try reader.readUInt64()
            summary.receivedFirst = try reader.readUInt64()
            summary.receivedLast = try reader.readUInt64()
            summary.earliest = try reader.readUInt64()
            summary.latest = try reader.readUInt64()
            let indexCount = Int(try reader.readUInt32())
            let dedupeCount = Int(try reader.readUInt32())
            let wordCount = Int(try reader.readUInt32())
            let hashes = Int(try reader.readUInt32())
            summary.spans = try reader.readUInt64()
            summary.logs = try reader.readUInt64()
            summary.before.batches = try reader.readUInt64()
            summary.before.records = try reader.readUInt64()
            try reader.skip(fixed - fixedBytes)
            guard wordCount & (wordCount - 1) == 0, hashes <= 16,
                reader.remaining
                    >= indexCount * 16 + dedupeCount * DedupeTable.entryBytes + wordCount * 8
            else { return nil }
            let index = try readIndex(&reader, count: indexCount)
            let dedupe = try reader.readSpan(dedupeCount * DedupeTable.entryBytes)
                .withUnsafeBytes { [UInt8]($0) }
            var words: [UInt64] = []
            words.reserveCapacity(wordCount)
            for _ in 0..<wordCount { words.append(try reader.readUInt64()) }
            return SegmentFooter(
                summary: summary, index: index,
                filter: TraceFilter(words: hashes == 0 ? [] : words, hashes: hashes),
                dedupe: dedupe)
        } catch {
            return nil
        }
    }

    private static func readIndex(_ reader: inout ByteReader, count: Int) throws(ByteError)
        -> [SegmentIndexEntry]
    {
        var index: [SegmentIndexEntry] = []
        index.reserveCapacity(count)
        for _ in 0..<count {
            let position = try reader.readUInt32()
            try reader.skip(4)
            index.append(SegmentIndexEntry(position: position, received: try reader.readUInt64()))
        }
        return index
    }
}
