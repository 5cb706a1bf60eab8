import ByteCoding
import TelemetryBatch

// Bytes put together by hand, for what the builder would never write.

func varint(_ value: UInt64) -> [UInt8] {
    var writer = ByteWriter()
    writer.write(varint: value)
    return writer.bytes
}

/// A varint in a padded form of `size` bytes.
func padded(_ value: UInt64, _ size: Int) -> [UInt8] {
    (0..<size).map { index in
        UInt8(truncatingIfNeeded: value >> UInt64(7 * index)) & 0x7F
            | (index == size - 1 ? 0 : 0x80)
    }
}

func zigzag(_ value: Int64) -> [UInt8] {
    var writer = ByteWriter()
    writer.write(zigzag: value)
    return writer.bytes
}

func little(_ value: some FixedWidthInteger) -> [UInt8] {
    withUnsafeBytes(of: value.littleEndian) { Array($0) }
}

func double(_ value: Double) -> [UInt8] { little(value.bitPattern) }

/// A batch of hand-made sections.
struct RawBatch {
    var version: UInt16 = 0
    var headerBytes: UInt16 = 64
    var recordCount: UInt32 = 0
    var producer: [UInt8] = Array(0x10...0x1F)
    var sequence: UInt64 = 1
    var baseTime: UInt64 = 1_760_000_000_000_000_000
    var threshold: UInt64 = 0
    var flags: UInt32 = 0
    var moreHeader: [UInt8] = []
    var sections: [[UInt8]] = []

    init(_ recordCount: UInt32 = 0, _ sections: [UInt8]...) {
        self.recordCount = recordCount
        self.sections = sections
    }

    var bytes: [UInt8] {
        little(version) + little(headerBytes) + little(recordCount) + producer + little(sequence)
            + little(baseTime) + little(threshold) + [UInt8](repeating: 0, count: 12)
            + little(flags) + moreHeader + sections.flatMap { $0 }
    }
}

func section(_ kind: UInt8, _ content: [UInt8]...) -> [UInt8] {
    let content = content.flatMap { $0 }
    return [kind] + varint(UInt64(content.count)) + content
}

func strings(_ texts: String...) -> [UInt8] {
    section(1, varint(UInt64(texts.count)), texts.flatMap { text($0) })
}

func text(_ text: String) -> [UInt8] { varint(UInt64(text.utf8.count) << 1) + Array(text.utf8) }

func traces(_ number: UInt8) -> [UInt8] {
    section(
        2, varint(UInt64(number)),
        (0..<number).flatMap { [UInt8](repeating: $0 + 1, count: 16) })
}

func record(_ type: UInt8, _ body: [UInt8]...) -> [UInt8] {
    let body = body.flatMap { $0 }
    return [type] + varint(UInt64(body.count)) + body
}

let someSpanID: [UInt8] = [1, 2, 3, 4, 5, 6, 7, 8]

/// A span's body up to its duration: no trace, no name, at the base time.
func spanStart(_ bits: UInt64) -> [UInt8] {
    varint(bits) + varint(0) + someSpanID + varint(0) + zigzag(0) + varint(1)
}

/// A batch of one hand-made record behind a table of one text.
func oneRecord(_ type: UInt8, _ body: [UInt8]...) -> RawBatch {
    RawBatch(1, strings("a"), section(7, record(type, body.flatMap { $0 })))
}

/// A metrics section of one descriptor of a kind.
func oneMetric(_ kind: UInt64) -> [UInt8] {
    let descriptor = varint(kind) + varint(1) + varint(0) + varint(0) + varint(0)
    return section(5, varint(1), varint(UInt64(descriptor.count)), descriptor)
}

/// A batch of one hand-made point of a metric of a kind.
func onePoint(_ type: UInt8, kind: UInt64, _ body: [UInt8]...) -> RawBatch {
    RawBatch(
        1, strings("m"), oneMetric(kind), section(7, record(type, body.flatMap { $0 })))
}
