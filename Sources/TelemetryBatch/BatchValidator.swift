import ByteCoding

/// Decides whether a peer's bytes are a batch (contrib/protocol/batch.md).
package enum BatchValidator {
    /// Checks a complete payload in one pass and says what is in it.
    ///
    /// Takes hostile bytes: checks every limit before anything is allocated for it, and allocates
    /// per table, never per record. Throws the first error in the order of wire.md, "Codes".
    package static func validate(_ bytes: RawSpan) throws(BatchError) -> BatchSummary {
        var layout = BatchLayout()
        return try validate(bytes, layout: &layout)
    }

    static func validate(
        _ bytes: RawSpan, layout: inout BatchLayout
    ) throws(BatchError) -> BatchSummary {
        var reader = ByteReader(bytes)
        let header = try readHeader(&reader)
        var checker = BatchChecker(reader, header)
        try checker.checkSections()
        layout = checker.layout
        return checker.summary
    }

    /// Finds the tables of a payload that was validated before, and counts its records. Looks at no text and into
    /// no record; the summary has no times.
    static func survey(
        _ bytes: RawSpan, layout: inout BatchLayout
    ) throws(BatchError) -> BatchSummary {
        var reader = ByteReader(bytes)
        var survey = BatchSurvey(header: try readHeader(&reader))
        try survey.visitSections(&reader)
        layout = survey.layout
        return survey.summary
    }

    /// Reads the header, leaves the reader behind it. Version first, then length, limits, values.
    private static func readHeader(_ reader: inout ByteReader) throws(BatchError) -> BatchHeader {
        let size = reader.remaining
        if try reader.uint16("batch version") != BatchHeader.version {
            throw BatchError(.unsupportedVersion, at: 0, "batch version")
        }
        let headerBytes = Int(try reader.uint16("header bytes"))
        if headerBytes < BatchHeader.byteCount {
            throw BatchError(.badValue, at: 2, "header bytes")
        }
        if headerBytes > size { throw BatchError(.truncated, at: 2, "header bytes") }
        if size > BatchLimits.batchBytesMax {
            throw BatchError(.limitExceeded, at: 0, "batch bytes")
        }
        let recordCount = try reader.uint32("record count")
        if recordCount > BatchLimits.recordsMax {
            throw BatchError(.limitExceeded, at: 4, "record count")
        }
        var header = BatchHeader(
            recordCount: recordCount, producer: try reader.id128("producer id"),
            sequence: try reader.uint64("sequence"))
        if header.producer.isZero { throw BatchError(.badValue, at: 8, "producer id") }
        if header.sequence == 0 { throw BatchError(.badValue, at: 24, "sequence") }
        header.baseTime = try reader.uint64("base time")
        header.samplingThreshold = try reader.uint64("sampling threshold")
        if header.samplingThreshold > BatchLimits.samplingThresholdMax {
            throw BatchError(.badValue, at: 40, "sampling threshold")
        }
        header.dropped.spans = try reader.uint32("dropped spans")
        header.dropped.logs = try reader.uint32("dropped logs")
        header.dropped.points = try reader.uint32("dropped points")
        if try reader.uint32("batch flags") != 0 {
            throw BatchError(.badValue, at: 60, "batch flags")
        }
        try reader.pass(headerBytes - BatchHeader.byteCount, "header bytes")
        return header
    }
}
