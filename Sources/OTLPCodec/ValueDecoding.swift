import ByteCoding
import TelemetryBatch

/// The set field of an `AnyValue`: its tag, 0 if none is set, and where its content begins.
private struct SetField {
    var tag: UInt64 = 0
    var start = 0
}

extension RawSpan {
    @inline(__always)
    fileprivate func byte(_ place: Int) -> UInt8 {
        unsafeLoad(fromByteOffset: place, as: UInt8.self)
    }
}

// Texts, attributes and values.
extension OTLPDecoder {
    /// The reference of a text in the request, repaired if it is not UTF-8.
    mutating func text(_ range: Range<Int>, _ bytes: RawSpan) -> TextRef {
        if range.isEmpty { return TextRef.none }
        let text = bytes.extracting(range)
        var recent = RecentText()
        return builder.ref(checking: text, recent: &recent) ?? repair(text)
    }

    /// The same of a key or value, of which the record of its sort before most often had the same in its place.
    @inline(__always)
    private mutating func text(
        _ range: Range<Int>, _ bytes: RawSpan, recent place: Int
    ) -> TextRef {
        if range.isEmpty { return TextRef.none }
        let text = bytes.extracting(range)
        return builder.ref(checking: text, recent: &recentTexts[place]) ?? repair(text)
    }

    @inline(never)
    private mutating func repair(_ text: RawSpan) -> TextRef {
        result.repairedTexts += 1
        return builder.ref(text.withUnsafeBytes { String(decoding: $0, as: UTF8.self) })
    }

    /// Writes the attributes of a run behind what the builder has. `name`: that of the record, if it has one.
    @inline(__always)
    mutating func writeAttributes(
        _ run: FieldRun, _ tag: UInt64, of name: TextRef = .none, end: Int, _ bytes: RawSpan
    ) throws(ByteError) {
        if run.count == 0 { return }
        let sort = (Int(name.index) &+ run.count) & 15
        if run.count > BatchLimits.attributesMax { return builder.refuse() }
        var left = run.count
        var reader = ByteReader(bytes, in: run.start..<end)
        while left > 0 {
            let found = try reader.readVarint()
            if found != tag {
                try reader.skipField(found)
                continue
            }
            left &-= 1
            let outer = try reader.enterField()
            try writeAttribute(&reader, place: sort &* 16 &+ (left & 15))
            reader.leave(to: outer)
            if left & 31 == 0, builder.isOverfull() { return }
        }
    }

    /// Writes the `KeyValue` that the reader is confined to. `place`: among the recent ones, 0–255.
    @inline(__always)
    private mutating func writeAttribute(
        _ reader: inout ByteReader, place: Int
    ) throws(ByteError) {
        // As nearly all senders write it: a short key, a value with one field, nothing else.
        let bytes = reader.bytes
        let start = reader.position
        let size = reader.remaining
        guard size > 5, bytes.byte(start) == 0x0A else { return try writeAnyAttribute(&reader) }
        let keyBytes = Int(bytes.byte(start &+ 1))
        let valueStart = start &+ 2 &+ keyBytes
        guard keyBytes < 0x80, keyBytes &+ 6 <= size, bytes.byte(valueStart) == 0x12 else {
            return try writeAnyAttribute(&reader)
        }
        reader.position = valueStart &+ 1
        let valueBytes = try reader.readVarint()
        guard valueBytes == UInt64(reader.remaining), valueBytes > 1 else {
            reader.position = start
            return try writeAnyAttribute(&reader)
        }
        let key = (start &+ 2)..<valueStart
        switch bytes.byte(reader.position) {
        case 0x0A:
            reader.position &+= 1
            let text = try reader.readVarint()
            if text == UInt64(reader.remaining) {
                let name = self.text(key, bytes, recent: place &* 2)
                let value = reader.position..<reader.end
                builder.attribute(name, self.text(value, bytes, recent: place &* 2 &+ 1))
                return
            }
        case 0x18:
            reader.position &+= 1
            let value = Int64(bitPattern: try reader.readVarint())
            if reader.isAtEnd {
                builder.attribute(text(key, bytes, recent: place &* 2), value)
                return
            }
        default: break
        }
        reader.position = start
        try writeAnyAttribute(&reader)
    }

    /// Writes the `KeyValue` that the reader is confined to, whatever it looks like.
    @inline(never)
    private mutating func writeAnyAttribute(_ reader: inout ByteReader) throws(ByteError) {
        let (key, value) = try findKeyAndValue(&reader)
        let bytes = reader.bytes
        let name = text(key, bytes)
        let field = try findField(value, bytes)
        var content = ByteReader(bytes, in: field.start..<value.upperBound)
        switch field.tag {
        case 0x10: builder.attribute(name, try content.readVarint() != 0)
        case 0x18: builder.attribute(name, Int64(bitPattern: try content.readVarint()))
        case 0x21: builder.attribute(name, try content.readDouble())
        default:
            builder.beginAttribute(name)
            try write(field, &content, depth: 0)
        }
    }

    private mutating func findKeyAndValue(
        _ reader: inout ByteReader
    ) throws(ByteError) -> (Range<Int>, Range<Int>) {
        var key = 0..<0
        var value = 0..<0
        while !reader.isAtEnd {
            let tag = try reader.readVarint()
            switch tag {
            case 0x0A: key = try reader.readRange()
            case 0x12: try replace(&value, tag, .keyValue, &reader)
            default: try skipUnknown(tag, .keyValue, &reader)
            }
        }
        return (key, value)
    }

    /// Finds the field of an `AnyValue` that counts, which is the last.
    @inline(__always)
    private mutating func findField(
        _ value: Range<Int>, _ bytes: RawSpan
    ) throws(ByteError) -> SetField {
        var field = SetField(tag: 0, start: value.upperBound)
        var reader = ByteReader(bytes, in: value)
        while !reader.isAtEnd {
            let tag = try reader.readVarint()
            switch tag {
            case 0x0A, 0x2A, 0x32, 0x3A:
                if field.tag != 0 { result.unknownFields.note(.anyValue, number: field.tag >> 3) }
                field = SetField(tag: tag, start: reader.position)
                try reader.skip(try reader.readLength())
            case 0x10, 0x18, 0x21:
                if field.tag != 0 { result.unknownFields.note(.anyValue, number: field.tag >> 3) }
                field = SetField(tag: tag, start: reader.position)
                try reader.skipField(tag)
            default: try skipUnknown(tag, .anyValue, &reader)
            }
        }
        return field
    }

    /// Writes the `AnyValue` at a place.
    mutating func writeValue(
        _ value: Range<Int>, _ bytes: RawSpan, depth: Int
    ) throws(ByteError) {
        let field = try findField(value, bytes)
        var content = ByteReader(bytes, in: field.start..<value.upperBound)
        try write(field, &content, depth: depth)
    }

    private mutating func write(
        _ field: SetField, _ content: inout ByteReader, depth: Int
    ) throws(ByteError) {
        switch field.tag {
        case 0x0A:
            let place = try content.readRange()
            builder.value(text(place, content.bytes))
        case 0x10: builder.value(try content.readVarint() != 0)
        case 0x18: builder.value(Int64(bitPattern: try content.readVarint()))
        case 0x21: builder.value(try content.readDouble())
        case 0x2A, 0x32: try writeValues(isMap: field.tag == 0x32, &content, depth: depth)
        case 0x3A:
            let place = try content.readRange()
            builder.value(builder.ref(bytes: content.bytes.extracting(place)))
        default: builder.noValue()
        }
    }

    /// Writes an `ArrayValue` or a `KeyValueList`.
    private mutating func writeValues(
        isMap: Bool, _ reader: inout ByteReader, depth: Int
    ) throws(ByteError) {
        if depth == BatchLimits.nestingMax {
            work.reason = .nesting
            builder.refuse()
            return builder.noValue()
        }
        let outer = try reader.enterField()
        let place = builder.beginValues(isMap: isMap)
        var count = 0
        while !reader.isAtEnd {
            let tag = try reader.readVarint()
            if tag != 0x0A {
                try skipUnknown(tag, isMap ? .keyValueList : .arrayValue, &reader)
                continue
            }
            count += 1
            // Passing a limit is seen at the end; till then nothing may be kept for it.
            if count > BatchLimits.attributesMax || count & 31 == 0 && builder.isOverfull() {
                break
            }
            if isMap {
                let inner = try reader.enterField()
                let (key, value) = try findKeyAndValue(&reader)
                reader.leave(to: inner)
                let name = text(key, reader.bytes)
                builder.key(name)
                try writeValue(value, reader.bytes, depth: depth + 1)
            } else {
                try writeValue(try reader.readRange(), reader.bytes, depth: depth + 1)
            }
        }
        builder.endValues(place, count: count)
        reader.leave(to: outer)
    }
}
