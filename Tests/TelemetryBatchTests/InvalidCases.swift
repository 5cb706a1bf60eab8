import ByteCoding
import TelemetryBatch

/// A batch that every reader must refuse with one error.
struct InvalidCase {
    var name: String
    var note: String
    var error: WireError
    /// The bytes, or how they are made where they are too many for a file.
    var parts: [Part]

    struct Part {
        var bytes: [UInt8]
        var times = 1
    }

    var bytes: [UInt8] {
        parts.flatMap { part in (0..<part.times).flatMap { _ in part.bytes } }
    }

    var isFile: Bool { parts.allSatisfy { $0.times == 1 } }

    init(_ name: String, _ error: WireError, _ note: String, _ bytes: [UInt8]) {
        self.name = name
        self.note = note
        self.error = error
        parts = [Part(bytes: bytes)]
    }

    init(_ name: String, _ error: WireError, _ note: String, _ batch: RawBatch) {
        self.init(name, error, note, batch.bytes)
    }

    init(_ name: String, _ error: WireError, _ note: String, parts: [Part]) {
        self.name = name
        self.note = note
        self.error = error
        self.parts = parts
    }
}

private func changed(_ change: (inout RawBatch) -> Void) -> RawBatch {
    var batch = RawBatch(1, strings("a"), section(7, record(1, spanStart(1))))
    change(&batch)
    return batch
}

let invalidHeaderCases: [InvalidCase] = [
    InvalidCase("nothing", .truncated, "no byte", []),
    InvalidCase("one-byte", .truncated, "half a version", [0]),
    InvalidCase("version-1", .unsupportedVersion, "and nothing else right", [1, 0]),
    InvalidCase("version-only", .truncated, "no header length", [0, 0, 64]),
    InvalidCase(
        "header-short", .badValue, "header length 63", changed { $0.headerBytes = 63 }),
    InvalidCase(
        "header-beyond", .truncated, "header length past the end",
        changed { $0.headerBytes = 60_000 }),
    InvalidCase(
        "header-cut", .truncated, "63 bytes that say 64", Array(RawBatch().bytes.prefix(63))),
    InvalidCase(
        "record-count-limit", .limitExceeded, "65,536 records",
        changed { $0.recordCount = 65_536 }),
    InvalidCase(
        "producer-zero", .badValue, "no producer id",
        changed { $0.producer = [UInt8](repeating: 0, count: 16) }),
    InvalidCase("sequence-zero", .badValue, "sequence 0", changed { $0.sequence = 0 }),
    InvalidCase(
        "threshold-57-bits", .badValue, "threshold 2^56", changed { $0.threshold = 1 << 56 }),
    InvalidCase("flags-set", .badValue, "a reserved flag", changed { $0.flags = 1 << 31 }),
    InvalidCase(
        "count-too-small", .countMismatch, "1 record, 0 said", changed { $0.recordCount = 0 }),
    InvalidCase(
        "count-too-large", .countMismatch, "1 record, 2 said", changed { $0.recordCount = 2 }),
    InvalidCase("count-without-section", .countMismatch, "no records section", RawBatch(1)),
    InvalidCase(
        "order-version-first", .unsupportedVersion, "version before sequence",
        changed {
            $0.version = 2
            $0.sequence = 0
        }),
    InvalidCase(
        "order-limit-before-value", .limitExceeded, "record count before producer id",
        changed {
            $0.recordCount = .max
            $0.producer = [UInt8](repeating: 0, count: 16)
        }),
    InvalidCase(
        "order-header-before-sections", .badValue, "sequence before a broken section",
        changed {
            $0.sequence = 0
            $0.sections = [[1, 0x80]]
        }),
    InvalidCase(
        "order-sections-before-count", .badText, "text before the record count",
        changed {
            $0.recordCount = 9
            $0.sections = [section(1, [1, 2, 0xFF])]
        }),
    InvalidCase(
        "batch-bytes-limit", .limitExceeded, "4,194,305 bytes, in a section that would be skipped",
        parts: [
            .init(bytes: RawBatch().bytes + [9] + varint(4_194_305 - 64 - 5)),
            .init(bytes: [0], times: 4_194_305 - 64 - 5),
        ]),
]

let invalidSectionCases: [InvalidCase] = [
    InvalidCase("section-kind-zero", .badSection, "kinds count from 1", RawBatch(0, section(0))),
    InvalidCase(
        "section-twice", .badSection, "strings twice", RawBatch(0, strings("a"), strings("b"))),
    InvalidCase(
        "section-falls", .badSection, "traces before strings", RawBatch(0, traces(1), strings("a"))),
    InvalidCase("section-no-length", .truncated, "a kind and the end", RawBatch(0, [1])),
    InvalidCase("section-beyond", .truncated, "longer than the batch", RawBatch(0, [1, 2, 0])),
    InvalidCase(
        "section-length-huge", .truncated, "a length of 2^64 − 1", RawBatch(0, [1] + varint(.max))),
    InvalidCase("section-empty-strings", .truncated, "no count", RawBatch(0, section(1))),
    InvalidCase(
        "varint-eleven-bytes", .badVarint, "padded too far",
        RawBatch(0, section(1, padded(0, 11)))),
    InvalidCase(
        "varint-65-bits", .badVarint, "tenth byte 02",
        RawBatch(0, section(1, [UInt8](repeating: 0xFF, count: 9) + [0x02]))),
    InvalidCase(
        "varint-cut", .truncated, "a varint that the section's end cuts",
        RawBatch(0, section(1, [0x80]))),
    InvalidCase(
        "strings-count-limit", .limitExceeded, "262,145 entries",
        RawBatch(0, section(1, varint(262_145)))),
    InvalidCase(
        "strings-fewer", .truncated, "2 entries said, 1 there",
        RawBatch(0, section(1, [2], text("a")))),
    InvalidCase(
        "string-limit", .limitExceeded, "a text of 1,048,577 bytes",
        RawBatch(0, section(1, [1], varint(1_048_577 << 1)))),
    InvalidCase(
        "string-beyond", .truncated, "a text past the section's end",
        RawBatch(0, section(1, [1, 6, 0x61, 0x62]), section(8, [0x63]))),
    InvalidCase(
        "text-lone-continuation", .badText, "80", RawBatch(0, section(1, [1, 2, 0x80]))),
    InvalidCase(
        "text-overlong", .badText, "C0 80", RawBatch(0, section(1, [1, 4, 0xC0, 0x80]))),
    InvalidCase(
        "text-surrogate", .badText, "ED A0 80",
        RawBatch(0, section(1, [1, 6, 0xED, 0xA0, 0x80]))),
    InvalidCase(
        "text-above-unicode", .badText, "F4 90 80 80",
        RawBatch(0, section(1, [1, 8, 0xF4, 0x90, 0x80, 0x80]))),
    InvalidCase(
        "text-cut-character", .badText, "E2 82 behind eight ASCII bytes",
        RawBatch(0, section(1, [1, 20], Array("12345678".utf8), [0xE2, 0x82]))),
    InvalidCase(
        "traces-limit", .limitExceeded, "65,536 ids", RawBatch(0, section(2, varint(65_536)))),
    InvalidCase(
        "traces-fewer", .truncated, "2 ids said, 1 there",
        RawBatch(0, section(2, [2], [UInt8](repeating: 1, count: 16)))),
    InvalidCase("resource-empty", .truncated, "no field", RawBatch(0, section(3))),
    InvalidCase(
        "resource-reference", .badReference, "schema URL 1 of 0",
        RawBatch(0, section(3, [1, 0, 0]))),
    InvalidCase(
        "resource-dropped-33-bits", .badValue, "dropped attributes 2^32",
        RawBatch(0, section(3, [0], varint(1 << 32), [0]))),
    InvalidCase(
        "scopes-limit", .limitExceeded, "1,025 scopes", RawBatch(0, section(4, varint(1_025)))),
    InvalidCase(
        "scope-beyond", .truncated, "a scope past its section",
        RawBatch(0, section(4, [1, 9, 0, 0, 0, 0, 0]))),
    InvalidCase(
        "scope-field-beyond-scope", .truncated, "fields past the scope's own length",
        RawBatch(0, section(4, [1, 4, 0, 0, 0, 0, 0]))),
    InvalidCase(
        "scope-reference", .badReference, "version 2 of 1",
        RawBatch(0, strings("a"), section(4, [1, 5, 1, 2, 0, 0, 0]))),
    InvalidCase(
        "metrics-limit", .limitExceeded, "16,385 metrics",
        RawBatch(0, section(5, varint(16_385)))),
    InvalidCase(
        "metric-kind-0", .badValue, "no kind", RawBatch(0, strings("m"), oneMetric(0))),
    InvalidCase(
        "metric-kind-6", .badValue, "an unknown kind", RawBatch(0, strings("m"), oneMetric(6))),
    InvalidCase(
        "metric-temporality-3", .badValue, "an unknown temporality",
        RawBatch(0, strings("m"), oneMetric(2 | 3 << 3))),
    InvalidCase(
        "metric-scope", .badReference, "scope 1 of 0",
        RawBatch(0, section(5, [1, 5, 1, 0, 0, 0, 1]))),
    InvalidCase(
        "metric-metadata-cut", .truncated, "metadata said, none there",
        RawBatch(0, strings("m"), oneMetric(1 | 1 << 6))),
    InvalidCase(
        "bounds-limit", .limitExceeded, "4,097 entries", RawBatch(0, section(6, varint(4_097)))),
    InvalidCase(
        "bounds-in-one-limit", .limitExceeded, "4,097 bounds",
        RawBatch(0, section(6, [1], varint(4_097)))),
    InvalidCase(
        "bounds-cut", .truncated, "one and a half bounds",
        RawBatch(0, section(6, [1, 2], [UInt8](repeating: 0, count: 12)))),
]

let invalidCases =
    invalidHeaderCases + invalidSectionCases + invalidRecordCases + invalidPointCases
