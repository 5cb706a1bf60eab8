import ByteCoding
import TelemetryBatch

/// A span's body whose attributes are these bytes.
private func attributes(_ bytes: [UInt8]...) -> RawBatch {
    oneRecord(1, spanStart(1 << 6), bytes.flatMap { $0 })
}

private func deep(_ depth: Int) -> [UInt8] {
    [1, 1] + (0..<depth).flatMap { _ in [7, 1] as [UInt8] } + [0]
}

/// A log event whose body is an array of so many nones.
func arrayBody(_ count: Int) -> [UInt8] {
    record(2, [0x20, 7], varint(UInt64(count)), [UInt8](repeating: 0, count: count))
}

let invalidRecordCases: [InvalidCase] = [
    InvalidCase("record-no-length", .truncated, "a type and the end", RawBatch(1, section(7, [1]))),
    InvalidCase(
        "record-beyond", .truncated, "longer than the section",
        RawBatch(1, section(7, [200, 2, 0]))),
    InvalidCase("record-empty-span", .truncated, "no flags", RawBatch(1, section(7, record(1)))),
    InvalidCase(
        "record-field-beyond-body", .truncated, "fields run into the next record",
        RawBatch(2, section(7, [1, 5] + spanStart(1), record(2, [0])))),
    InvalidCase(
        "records-limit", .limitExceeded, "65,536 unknown records, 65,535 said",
        parts: [
            .init(bytes: RawBatch(65_535).bytes + [7] + varint(2 * 65_536)),
            .init(bytes: [200, 0], times: 65_536),
        ]),
    InvalidCase("span-kind-6", .badValue, "kind 6", oneRecord(1, spanStart(6))),
    InvalidCase("span-kind-7", .badValue, "kind 7", oneRecord(1, spanStart(7))),
    InvalidCase("span-status-3", .badValue, "status 3", oneRecord(1, spanStart(3 << 3))),
    InvalidCase(
        "span-trace", .badReference, "trace 1 of 0",
        oneRecord(1, [1, 1], someSpanID, [0, 0, 0])),
    InvalidCase(
        "span-name", .badReference, "name 2 of 1", oneRecord(1, [1, 0], someSpanID, [2, 0, 0])),
    InvalidCase(
        "span-name-binary", .badReference, "a name that is bytes",
        RawBatch(
            1, section(1, [1, 3, 0x61]), section(7, record(1, [1, 0], someSpanID, [1, 0, 0])))),
    InvalidCase(
        "span-parent-cut", .truncated, "parent said, none there", oneRecord(1, spanStart(32))),
    InvalidCase("span-scope", .badReference, "scope 1 of 0", oneRecord(1, spanStart(1 << 7), [1])),
    InvalidCase(
        "span-status-message", .badReference, "text 2 of 1", oneRecord(1, spanStart(1 << 8), [2])),
    InvalidCase(
        "span-flags-33-bits", .badValue, "W3C flags 2^32",
        oneRecord(1, spanStart(1 << 10), varint(1 << 32))),
    InvalidCase(
        "events-limit", .limitExceeded, "4,097 events",
        oneRecord(1, spanStart(1 << 11), varint(4_097))),
    InvalidCase(
        "event-flags", .badValue, "an unknown bit",
        oneRecord(1, spanStart(1 << 11), [1, 4, 0, 0, 0])),
    InvalidCase(
        "links-limit", .limitExceeded, "4,097 links",
        oneRecord(1, spanStart(1 << 12), varint(4_097))),
    InvalidCase(
        "link-flags", .badValue, "an unknown bit",
        oneRecord(1, spanStart(1 << 12), [1, 16, 0], someSpanID)),
    InvalidCase(
        "link-trace", .badReference, "trace 1 of 0",
        oneRecord(1, spanStart(1 << 12), [1, 0, 1], someSpanID)),
    InvalidCase(
        "span-dropped-33-bits", .badValue, "dropped links 2^32",
        oneRecord(1, spanStart(1 << 13), [0, 0], varint(1 << 32))),
    InvalidCase(
        "attributes-limit", .limitExceeded, "4,097 attributes", attributes(varint(4_097))),
    InvalidCase("attribute-key", .badReference, "key 2 of 1", attributes([1, 2, 0])),
    InvalidCase("attribute-cut", .truncated, "a key without a value", attributes([1, 1])),
    InvalidCase("value-tag-9", .badValue, "an unknown tag", attributes([1, 1, 9])),
    InvalidCase("value-text", .badReference, "text 2 of 1", attributes([1, 1, 1, 2])),
    InvalidCase(
        "value-bytes-text", .badReference, "bytes that are text", attributes([1, 1, 6, 1])),
    InvalidCase("value-bytes", .badReference, "bytes 2 of 1", attributes([1, 1, 6, 2])),
    InvalidCase(
        "value-double-cut", .truncated, "seven bytes of a double",
        attributes([1, 1, 5], [UInt8](repeating: 0, count: 7))),
    InvalidCase(
        "array-limit", .limitExceeded, "4,097 values", attributes([1, 1, 7], varint(4_097))),
    InvalidCase(
        "map-limit", .limitExceeded, "4,097 entries", attributes([1, 1, 8], varint(4_097))),
    InvalidCase("map-key", .badReference, "key 2 of 1", attributes([1, 1, 8, 1, 2, 0])),
    InvalidCase("nesting-limit", .limitExceeded, "33 arrays", attributes(deep(33))),
    InvalidCase(
        "values-limit", .limitExceeded, "2,097,153 values in 512 log bodies",
        parts: [
            .init(bytes: RawBatch(512).bytes + [7] + varint(511 * 4_103 + 3_592)),
            .init(bytes: arrayBody(4_096), times: 511), .init(bytes: arrayBody(3_585)),
        ]),
    InvalidCase(
        "log-severity-25", .badValue, "severity 25", oneRecord(2, varint(1 << 3), [25])),
    InvalidCase("log-time-cut", .truncated, "time said, none there", oneRecord(2, varint(1))),
    InvalidCase("log-trace", .badReference, "trace 1 of 0", oneRecord(2, varint(2), [1])),
    InvalidCase("log-body-tag", .badValue, "tag 10", oneRecord(2, varint(1 << 5), [10])),
    InvalidCase("log-scope", .badReference, "scope 1 of 0", oneRecord(2, varint(1 << 7), [1])),
    InvalidCase(
        "log-dropped-33-bits", .badValue, "dropped 2^32",
        oneRecord(2, varint(1 << 11), varint(1 << 32))),
    InvalidCase(
        "log-severity-text", .badReference, "text 2 of 1", oneRecord(2, varint(1 << 9), [2])),
]

let invalidPointCases: [InvalidCase] = [
    InvalidCase(
        "point-metric-0", .badReference, "metric 0", onePoint(3, kind: 1, [0, 0, 0])),
    InvalidCase(
        "point-metric-2", .badReference, "metric 2 of 1", onePoint(3, kind: 1, [0, 2, 0])),
    InvalidCase(
        "number-of-histogram", .badValue, "a number of a histogram",
        onePoint(3, kind: 3, [0, 1, 0])),
    InvalidCase(
        "histogram-of-sum", .badValue, "a histogram of a sum",
        onePoint(4, kind: 2, [0, 1, 0, 0, 0, 0])),
    InvalidCase(
        "exponential-of-summary", .badValue, "an exponential histogram of a summary",
        onePoint(5, kind: 5, [0, 1, 0, 0, 0, 0])),
    InvalidCase(
        "summary-of-gauge", .badValue, "a summary of a gauge",
        onePoint(6, kind: 1, [0, 1, 0, 0], double(0), [0])),
    InvalidCase(
        "number-two-values", .badValue, "an integer and a double",
        onePoint(3, kind: 1, [0x30, 1, 0, 2], double(1))),
    InvalidCase(
        "number-cut", .truncated, "a double said, none there", onePoint(3, kind: 1, [0x20, 1, 0])),
    InvalidCase(
        "point-flags-33-bits", .badValue, "flags 2^32",
        onePoint(3, kind: 1, [0x08, 1, 0], varint(1 << 32))),
    InvalidCase(
        "histogram-bounds", .badReference, "bounds 1 of 0",
        onePoint(4, kind: 3, [0, 1, 0, 0, 1, 0])),
    InvalidCase(
        "buckets-limit", .limitExceeded, "16,385 buckets",
        onePoint(4, kind: 3, [0, 1, 0, 0, 0], varint(16_385))),
    InvalidCase(
        "buckets-run", .badValue, "a run of 3 in 2 buckets",
        onePoint(4, kind: 3, [0, 1, 0, 0, 0, 2, 0, 2])),
    InvalidCase(
        "buckets-run-huge", .badValue, "a run of 2^64",
        onePoint(4, kind: 3, [0, 1, 0, 0, 0, 2, 0], varint(.max))),
    InvalidCase(
        "buckets-cut", .truncated, "2 buckets said, 1 there",
        onePoint(4, kind: 3, [0, 1, 0, 0, 0, 2, 5])),
    InvalidCase(
        "exponential-scale-33-bits", .badValue, "scale 2^31",
        onePoint(5, kind: 4, [0, 1, 0, 0], zigzag(1 << 31), [0])),
    InvalidCase(
        "exponential-offset-33-bits", .badValue, "offset −2^31 − 1",
        onePoint(5, kind: 4, varint(1 << 8), [1, 0, 0, 0, 0], zigzag(-(1 << 31) - 1), [0])),
    InvalidCase(
        "exponential-side-limit", .limitExceeded, "16,385 buckets of one side",
        onePoint(5, kind: 4, varint(1 << 9), [1, 0, 0, 0, 0, 0], varint(16_385))),
    InvalidCase(
        "quantiles-limit", .limitExceeded, "4,097 quantiles",
        onePoint(6, kind: 5, [0, 1, 0, 0], double(0), varint(4_097))),
    InvalidCase(
        "quantiles-cut", .truncated, "half a quantile",
        onePoint(6, kind: 5, [0, 1, 0, 0], double(0), [1], double(0.5))),
    InvalidCase(
        "exemplars-limit", .limitExceeded, "4,097 exemplars",
        onePoint(3, kind: 1, [0x04, 1, 0], varint(4_097))),
    InvalidCase(
        "exemplar-flags", .badValue, "an unknown bit",
        onePoint(3, kind: 1, [0x04, 1, 0, 1, 0x20, 0])),
    InvalidCase(
        "exemplar-two-values", .badValue, "an integer and a double",
        onePoint(3, kind: 1, [0x04, 1, 0, 1, 0x18, 0, 2], double(1))),
    InvalidCase(
        "exemplar-trace", .badReference, "trace 1 of 0",
        onePoint(3, kind: 1, [0x04, 1, 0, 1, 0x02, 0, 1])),
]
