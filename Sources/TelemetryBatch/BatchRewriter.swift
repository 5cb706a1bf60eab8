import ByteCoding

// Batches with other attributes. What is not changed is copied as it is, records keep their places.
extension Batch {
    /// With other attributes of the resource; itself if nothing changes.
    package func editingResource(_ edits: [AttributeEdit]) -> Batch {
        let resolved = ResolvedEdits(edits, in: self)
        var reader = TrustedReader(bytes, at: layout.resource.start)
        var content = ByteWriter()
        var count = 0
        if layout.resource.count > 0 {
            _ = (reader.word(), reader.word())
            content.copy(self, layout.resource.start..<reader.position)
            count = reader.int()
        } else {
            content.write(uint16: 0)
        }
        guard resolved.carryOut(&reader, count: count) else { return self }
        resolved.write(to: &content)
        if layout.resource.count > 0 {
            content.copy(self, reader.position..<layout.resource.end)
        }
        return rewritten(adding: resolved.added, resource: content.bytes)
    }

    /// With other attributes of some records; itself if nothing changes.
    ///
    /// It may pass the limits that a reader of foreign bytes has: it is for views and not for the wire.
    package func editingRecords(
        _ edits: [AttributeEdit], where isMeant: (RecordPlace) -> Bool
    ) -> Batch {
        let resolved = ResolvedEdits(edits, in: self)
        var content = ByteWriter(capacity: layout.records.end - layout.records.start + 1024)
        var body = ByteWriter(capacity: 1024)
        var copied = layout.records.start
        for place in places where isMeant(place) {
            guard let slot = AttributeSlot(place, self) else { continue }
            var reader = TrustedReader(bytes, at: slot.list.lowerBound)
            let count = slot.list.isEmpty ? 0 : reader.int()
            guard resolved.carryOut(&reader, count: count) else { continue }
            content.copy(self, copied..<slot.recordStart)
            copied = slot.bodyEnd
            body.removeAll()
            let bits = resolved.count > 0 ? slot.bits | slot.bit : slot.bits & ~slot.bit
            body.write(varint: bits)
            body.copy(self, slot.flagsEnd..<slot.list.lowerBound)
            if resolved.count > 0 { resolved.write(to: &body) }
            body.copy(self, slot.list.upperBound..<slot.bodyEnd)
            content.write(uint8: place.type)
            content.write(varint: UInt64(body.count))
            content.write(bytes: body.span)
        }
        if copied == layout.records.start { return self }
        content.copy(self, copied..<layout.records.end)
        return rewritten(adding: resolved.added, records: content.bytes)
    }

    /// With sections in place of its own.
    private func rewritten(
        adding texts: [String], resource: [UInt8]? = nil, records: [UInt8]? = nil
    ) -> Batch {
        var output = ByteWriter(capacity: bytes.count + 1024)
        var found = BatchLayout()
        var reader = TrustedReader(bytes, at: 2)
        let headerBytes = Int(reader.uint8()) | Int(reader.uint8()) << 8
        output.copy(self, 0..<headerBytes)
        reader.position = headerBytes
        var strings = texts.isEmpty ? nil : StringSection(self, adding: texts)
        var resource = resource
        func writeMissing(before kind: UInt8) {
            if kind > SectionKind.strings, let section = strings {
                found.strings = section.write(to: &output)
                strings = nil
            }
            if kind > SectionKind.resource, let content = resource {
                found.resource = output.section(SectionKind.resource, content, count: 1)
                resource = nil
            }
        }
        while reader.position < bytes.count {
            let kind = reader.uint8()
            let length = reader.int()
            let content = reader.position..<reader.position + length
            reader.position = content.upperBound
            writeMissing(before: kind)
            switch kind {
            case SectionKind.strings where strings != nil:
                writeMissing(before: kind + 1)
            case SectionKind.resource where resource != nil:
                writeMissing(before: kind + 1)
            case SectionKind.records where records != nil:
                found.records = output.section(kind, records ?? [], count: 0)
            default:
                output.write(uint8: kind)
                output.write(varint: UInt64(length))
                let moved = output.count - content.lowerBound
                output.copy(self, content)
                found.set(kind, from: layout, moved: moved)
            }
        }
        writeMissing(before: .max)
        return Batch(trusted: output.bytes, summary, found)
    }
}

/// The table of strings with some at its end.
private struct StringSection {
    let batch: Batch
    let texts: [String]

    init(_ batch: Batch, adding texts: [String]) {
        self.batch = batch
        self.texts = texts
    }

    func write(to output: inout ByteWriter) -> BatchLayout.Section {
        let count = batch.stringCount + texts.count
        var content = ByteWriter(capacity: 1024)
        content.write(varint: UInt64(count))
        // Where a table ends whose section has bytes behind it, which nobody knows, its last entry says.
        let start = batch.layout.strings.start
        content.copy(batch, start..<max(batch.stringsEnd, start))
        for text in texts {
            content.write(varint: UInt64(text.utf8.count) << 1)
            content.write(utf8: text)
        }
        var section = output.section(SectionKind.strings, content.bytes, count: count)
        section.start += ByteWriter.size(varint: UInt64(count))
        return section
    }
}

extension BatchLayout {
    /// Takes a section over that stands elsewhere now.
    fileprivate mutating func set(_ kind: UInt8, from old: BatchLayout, moved: Int) {
        func moving(_ section: Section) -> Section {
            Section(start: section.start + moved, end: section.end + moved, count: section.count)
        }
        switch kind {
        case SectionKind.strings: strings = moving(old.strings)
        case SectionKind.traces: traces = moving(old.traces)
        case SectionKind.resource: resource = moving(old.resource)
        case SectionKind.scopes: scopes = moving(old.scopes)
        case SectionKind.metrics: metrics = moving(old.metrics)
        case SectionKind.bounds: bounds = moving(old.bounds)
        case SectionKind.records: records = moving(old.records)
        default: break
        }
    }
}

extension ByteWriter {
    /// Writes what stands at a place of a batch.
    mutating func copy(_ batch: Batch, _ range: Range<Int>) {
        let bytes = batch.bytes
        write(bytes: bytes.span.bytes.extracting(range))
    }

    /// Writes a section; where its content is.
    fileprivate mutating func section(
        _ kind: UInt8, _ content: [UInt8], count: Int
    ) -> BatchLayout.Section {
        write(uint8: kind)
        write(varint: UInt64(content.count))
        let start = self.count
        write(bytes: content)
        return BatchLayout.Section(start: start, end: self.count, count: count)
    }
}

/// Where a record's attributes are, or would be.
private struct AttributeSlot {
    /// Where the record begins, its type and length included.
    let recordStart: Int
    let bits: UInt64
    /// The flag that says that there are attributes.
    let bit: UInt64
    let flagsEnd: Int
    /// The list with its count; empty if there is none.
    let list: Range<Int>
    let bodyEnd: Int

    /// Nil if the record is of a type that this version does not know.
    init?(_ place: RecordPlace, _ batch: Batch) {
        var reader = TrustedReader(batch.bytes, at: place.start)
        recordStart = place.recordStart
        bodyEnd = place.end
        bits = reader.varint()
        flagsEnd = reader.position
        if place.isSpan {
            bit = SpanBit.attributes
            _ = reader.varint()
            reader.position += 8
            _ = (reader.varint(), reader.varint(), reader.varint())
            if bits & SpanBit.parent != 0 { reader.position += 8 }
        } else if place.isLog {
            bit = LogBit.attributes
            if bits & LogBit.time != 0 { _ = reader.varint() }
            if bits & LogBit.trace != 0 { _ = reader.varint() }
            if bits & LogBit.span != 0 { reader.position += 8 }
            if bits & LogBit.severity != 0 { _ = reader.varint() }
            if bits & LogBit.eventName != 0 { _ = reader.varint() }
            if bits & LogBit.body != 0 { reader.skipValue() }
        } else if place.isPoint {
            bit = PointBit.attributes
            PointView.skipToOptional(&reader, place.type)
            if bits & PointBit.startTime != 0 { _ = reader.varint() }
        } else {
            return nil
        }
        let start = reader.position
        if bits & bit != 0 { reader.skipAttributes() }
        list = start..<reader.position
    }
}
