import ByteCoding
import TelemetryBatch

private func raw(_ name: String, _ note: String, _ batch: RawBatch) -> ValidCase {
    ValidCase(name: name, note: note, bytes: batch.bytes)
}

/// Valid batches that no reference encoder writes.
let rawCases: [ValidCase] = [
    raw(
        "unknown-header-bytes", "a longer header: the rest is skipped",
        {
            var batch = RawBatch(1, strings("a"), section(7, record(1, spanStart(1))))
            batch.headerBytes = 71
            batch.moreHeader = [1, 2, 3, 4, 5, 6, 7]
            return batch
        }()),
    raw(
        "unknown-sections", "kinds 8 and 255 are skipped by length",
        RawBatch(
            1, strings("a"), section(7, record(1, spanStart(1))), section(8, [1, 2, 3]),
            section(255))),
    raw(
        "unknown-records", "types 0, 7 and 200 are skipped, counted and keep their place",
        RawBatch(
            4,
            section(
                7, record(200, [9, 9, 9]), record(1, spanStart(1)), record(7), record(0, [0x80])))),
    raw(
        "trailing-bytes", "behind the known content of sections, entries and bodies",
        RawBatch(
            3, section(1, varint(1), text("a"), [0xFF, 0xFF]),
            section(2, varint(1), [UInt8](repeating: 7, count: 16), [0xEE]),
            section(3, varint(1), varint(0), varint(0), [0xDD, 0x80]),
            section(4, varint(1), varint(8), [1, 1, 0, 0, 0], [0xCC, 0x80, 0x80], [0xBB]),
            section(5, varint(1), varint(7), [1, 1, 0, 0, 0], [0xAA, 0xAA], [0x99]),
            section(6, varint(1), varint(1), double(2.5), [0x88]),
            section(
                7, record(1, spanStart(1), [0x80]), record(2, varint(0), [0x80, 0x80]),
                record(3, varint(0), varint(1), zigzag(0), [0x80])))),
    raw(
        "unknown-body-bits", "bits of a body that are not known: their fields come last",
        RawBatch(
            3, strings("m"), oneMetric(2),
            section(
                7, record(1, spanStart(1 << 14 | 1), [1, 2, 3]), record(2, varint(1 << 12), [4]),
                record(3, varint(1 << 6 | 1 << 4), varint(1), zigzag(0), zigzag(5), [6])))),
    raw(
        "padded-varints", "longer forms than needed, up to ten bytes",
        RawBatch(
            1,
            [1] + padded(6, 2) + padded(1, 3) + padded(2, 2) + Array("a".utf8),
            [7] + padded(33, 3)
                + ([1] + padded(30, 2) + padded(1, 4) + padded(0, 2) + someSpanID + padded(1, 2)
                    + padded(3, 10) + padded(5, 4)))),
    raw(
        "varint-largest", "ten bytes, the tenth 01",
        RawBatch(
            1, section(7, record(1, varint(1), [0], someSpanID, [0], zigzag(0), varint(.max))))),
    raw(
        "duplicate-strings", "entries need not be distinct nor in order, nor used",
        RawBatch(
            1, strings("unused", "a", "a", ""),
            section(
                7,
                record(
                    1, varint(1 << 6), [0], someSpanID, [3], zigzag(0), [1], varint(2),
                    [2, 1, 3], [4, 1, 4])))),
    raw(
        "explicit-defaults", "presence bits of fields that are their defaults",
        RawBatch(
            3, strings("m"), oneMetric(1),
            section(
                7,
                record(
                    1, spanStart(0x3FE1), [UInt8](repeating: 0, count: 8), [0], [0], [0], [0], [0],
                    [0], [0], [0, 0, 0]),
                record(
                    2, varint(0xFFF), zigzag(0), [0], [UInt8](repeating: 0, count: 8), [0], [0],
                    [0], [0], [0], zigzag(0), [0], [0], [0]),
                record(3, varint(0x0F), [1], zigzag(0), zigzag(0), [0], [0], [0])))),
    raw(
        "empty-tables", "sections whose count is 0",
        RawBatch(
            0, section(1, [0]), section(2, [0]), section(3, [0, 0, 0]), section(4, [0]),
            section(5, [0]), section(6, [0]), section(7))),
    raw(
        "empty-bounds-entry", "an entry of the bounds table without bounds",
        RawBatch(
            1, strings("m"), oneMetric(3), section(6, [1, 0]),
            section(7, record(4, varint(0), [1], zigzag(0), varint(2), [1], [1, 2])))),
    raw(
        "section-order-gaps", "sections may be missing",
        RawBatch(0, section(2, [1], [UInt8](repeating: 3, count: 16)), section(6, [0]))),
]

let validCases = spanCases + logCases + pointCases + rawCases
