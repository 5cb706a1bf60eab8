import ByteCoding

/// A validated batch, read in place.
///
/// Holds the payload and the positions of its tables' entries; records are decoded as they are
/// visited. Nothing is copied until a caller asks for text.
@usableFromInline
package final class Batch: Sendable {
    /// The payload.
    package let bytes: [UInt8]
    /// What the validator found.
    package let summary: BatchSummary
    let layout: BatchLayout
    @usableFromInline let strings: [Range<UInt32>]
    private let scopeStarts: [Int]
    private let metricStarts: [Int]
    private let boundsPlaces: [ListPlace]

    /// Validates a complete payload and finds its tables.
    package convenience init(_ bytes: [UInt8]) throws(BatchError) {
        var layout = BatchLayout()
        let summary = try BatchValidator.validate(bytes.span.bytes, layout: &layout)
        self.init(trusted: bytes, summary, layout)
    }

    /// A payload that was validated before, as it was: finds its tables, and looks at no text and into no record.
    /// Its summary has no times. Of other bytes it throws or, later, stops the program.
    package convenience init(validatedBefore bytes: [UInt8]) throws(BatchError) {
        var layout = BatchLayout()
        let summary = try BatchValidator.survey(bytes.span.bytes, layout: &layout)
        self.init(trusted: bytes, summary, layout)
    }

    /// A payload that was validated, or made of one that was.
    init(trusted bytes: [UInt8], _ summary: BatchSummary, _ layout: BatchLayout) {
        self.bytes = bytes
        self.summary = summary
        self.layout = layout
        strings = Batch.stringRanges(bytes, layout.strings)
        scopeStarts = Batch.entryStarts(bytes, layout.scopes)
        metricStarts = Batch.entryStarts(bytes, layout.metrics)
        boundsPlaces = Batch.boundsEntries(bytes, layout.bounds)
    }

    /// The fixed header.
    package var header: BatchHeader { summary.header }

    /// The number of texts and byte strings in the table.
    package var stringCount: Int { strings.count }

    /// Where the table's last string ends.
    var stringsEnd: Int { strings.last.map { Int($0.upperBound) } ?? layout.strings.start }

    /// The number of trace ids in the table.
    package var traceCount: Int { layout.traces.count }

    /// The number of scopes in the table.
    package var scopeCount: Int { scopeStarts.count }

    /// The number of metric descriptors in the table.
    package var metricCount: Int { metricStarts.count }

    /// The trace id with an index from 1; 0 gives the zero id. Traps above the table.
    package func traceID(_ index: Int) -> TraceID {
        precondition(index >= 0 && index <= layout.traces.count)
        if index == 0 { return .zero }
        var reader = TrustedReader(bytes, at: layout.traces.start + (index - 1) * 16)
        return ID128(high: reader.uint64().byteSwapped, low: reader.uint64().byteSwapped)
    }

    /// A text, copied.
    package func text(_ ref: TextRef) -> String {
        String(decoding: utf8(ref), as: UTF8.self)
    }

    /// A text's UTF-8 in place.
    package func utf8(_ ref: TextRef) -> ArraySlice<UInt8> { entry(ref.index) }

    /// A byte string in place.
    package func data(_ ref: BytesRef) -> ArraySlice<UInt8> { entry(ref.index) }

    /// Where a text's UTF-8 stands in `bytes`.
    @inlinable @inline(__always)
    package func range(_ ref: TextRef) -> Range<Int> { range(ref.index) }

    /// Where a byte string stands in `bytes`.
    @inlinable @inline(__always)
    package func range(_ ref: BytesRef) -> Range<Int> { range(ref.index) }

    @inlinable @inline(__always)
    func range(_ index: UInt32) -> Range<Int> {
        if index == 0 { return 0..<0 }
        let range = strings[Int(index) - 1]
        return Int(range.lowerBound)..<Int(range.upperBound)
    }

    /// Whether a text's UTF-8 is that of `text`. Copies nothing.
    package func matches(_ ref: TextRef, _ text: String) -> Bool {
        let found = entry(ref.index)
        return found.count == text.utf8.count && found.elementsEqual(text.utf8)
    }

    /// The reference of a text if the table has it: look up once, compare indices afterwards.
    package func ref(of text: String) -> TextRef? {
        let length = text.utf8.count
        // Lengths first: few texts have the one that is looked for.
        let found = strings.indices.first { index in
            strings[index].count == length && matches(TextRef(index: UInt32(index) + 1), text)
        }
        if let found { return TextRef(index: UInt32(found) + 1) }
        return text.isEmpty ? TextRef.none : nil
    }

    /// The value of the first attribute with a key, or nil.
    package func attribute(_ key: String, in list: AttributeList) -> Value? {
        for (name, value) in list where matches(name, key) { return value }
        return nil
    }

    /// The text of the first attribute with a key, if it is a string.
    package func string(_ key: String, in list: AttributeList) -> String? {
        guard case .string(let ref) = attribute(key, in: list) else { return nil }
        return text(ref)
    }

    /// The records in their order.
    package var records: RecordSequence { RecordSequence(batch: self) }

    /// The bounds with an index from 1; 0 gives none. Traps above the table.
    package func bounds(_ index: Int) -> DoubleList {
        precondition(index >= 0 && index <= boundsPlaces.count)
        return DoubleList(batch: self, place: index == 0 ? ListPlace() : boundsPlaces[index - 1])
    }

    func scopeStart(_ index: Int) -> Int { scopeStarts[index - 1] }

    func metricStart(_ index: Int) -> Int { metricStarts[index - 1] }

    private func entry(_ index: UInt32) -> ArraySlice<UInt8> {
        if index == 0 { return [] }
        let range = strings[Int(index) - 1]
        return bytes[Int(range.lowerBound)..<Int(range.upperBound)]
    }

    private static func stringRanges(
        _ bytes: [UInt8], _ section: BatchLayout.Section
    ) -> [Range<UInt32>] {
        var reader = TrustedReader(bytes, at: section.start)
        var ranges: [Range<UInt32>] = []
        ranges.reserveCapacity(section.count)
        for _ in 0..<section.count {
            let length = reader.int() >> 1
            ranges.append(UInt32(reader.position)..<UInt32(reader.position + length))
            reader.position += length
        }
        return ranges
    }

    private static func entryStarts(_ bytes: [UInt8], _ section: BatchLayout.Section) -> [Int] {
        var reader = TrustedReader(bytes, at: section.start)
        var starts: [Int] = []
        starts.reserveCapacity(section.count)
        for _ in 0..<section.count {
            let length = reader.int()
            starts.append(reader.position)
            reader.position += length
        }
        return starts
    }

    private static func boundsEntries(
        _ bytes: [UInt8], _ section: BatchLayout.Section
    ) -> [ListPlace] {
        var reader = TrustedReader(bytes, at: section.start)
        var places: [ListPlace] = []
        places.reserveCapacity(section.count)
        for _ in 0..<section.count {
            let place = ListPlace(count: reader.int(), start: reader.position)
            places.append(place)
            reader.position += place.count * 8
        }
        return places
    }
}
