package import ByteCoding

/// The first bytes of a segment (segment-log.md, Segment).
package struct SegmentHeader: Sendable, Equatable {
    static let encodedBytes = 80
    static let magic: UInt64 = 0x3047_4553_4C54_5843  // "CXTLSEG0"
    static let version: UInt16 = 0

    /// Whose segment it is.
    package var logID: ID128
    /// Its number.
    package var number: SegmentNumber
    /// Random, unknown to every peer.
    package var nonce: UInt64
    /// When it was made, nanoseconds since 1970.
    package var created: UInt64
    /// What was stored before it, ever.
    package var before: LogOrdinal
    /// Where its first entry stands.
    package var bytes = SegmentHeader.encodedBytes

    func encode(into writer: inout ByteWriter) {
        let start = writer.count
        writer.write(uint64: SegmentHeader.magic)
        writer.write(uint16: SegmentHeader.version)
        writer.write(uint16: UInt16(SegmentHeader.encodedBytes))
        writer.write(uint32: 0)
        writer.write(id: logID)
        writer.write(uint64: UInt64(number))
        writer.write(uint64: nonce)
        writer.write(uint64: created)
        writer.write(uint64: before.batches)
        writer.write(uint64: before.records)
        writer.write(uint32: 0)
        let crc = crc32c(writer.span.extracting(start..<writer.count))
        writer.write(uint32: crc)
    }

    static func decode(_ bytes: RawSpan, number: SegmentNumber) -> SegmentHeader? {
        var reader = ByteReader(bytes)
        do {
            guard try reader.readUInt64() == magic, try reader.readUInt16() == version else {
                return nil
            }
            let size = Int(try reader.readUInt16())
            guard size >= encodedBytes, size % 8 == 0, size <= bytes.byteCount else { return nil }
            var check = ByteReader(bytes, in: (size - 4)..<size)
            guard crc32c(bytes.extracting(0..<(size - 4))) == (try check.readUInt32()) else {
                return nil
            }
            try reader.skip(4)
            let logID = try reader.readID128()
            guard try reader.readUInt64() == UInt64(number) else { return nil }
            let nonce = try reader.readUInt64()
            let created = try reader.readUInt64()
            let before = LogOrdinal(
                batches: try reader.readUInt64(), records: try reader.readUInt64())
            return SegmentHeader(
                logID: logID, number: number, nonce: nonce, created: created, before: before,
                bytes: size)
        } catch {
            return nil
        }
    }
}
