import ByteCoding

// Messages in protobuf, as our encoder writes them, to OTLP's JSON by the tables of `Schema`.
extension JSONWriter {
    /// Writes a message as an object. The fields of one number stand together; fields that are not in the
    /// tables are left out.
    mutating func message(_ message: Message, _ reader: inout ByteReader) throws(ByteError) {
        let fields = Schema.fields[Int(message.rawValue)]
        beginObject()
        var hint = 0
        // The number of the list that is open, 0 for none.
        var open: UInt64 = 0
        while !reader.isAtEnd {
            let tag = try reader.readVarint()
            let number = tag >> 3
            while hint < fields.count, fields[hint].number < number { hint += 1 }
            if open != 0, open != number {
                endArray()
                open = 0
            }
            guard hint < fields.count, fields[hint].number == number else {
                try reader.skipField(tag)
                hint = 0
                continue
            }
            let field = fields[hint]
            if open == 0 { key(literal: field.name) }
            if field.isRepeated, open == 0 {
                beginArray()
                open = number
            }
            try value(field, tag, &reader)
        }
        if open != 0 { endArray() }
        endObject()
    }

    private mutating func value(
        _ field: FieldSchema, _ tag: UInt64, _ reader: inout ByteReader
    ) throws(ByteError) {
        switch field.kind {
        case .message(let message):
            let outer = try reader.enterField()
            try self.message(message, &reader)
            reader.leave(to: outer)
        case .string: string(utf8: reader.bytes.extracting(try reader.readRange()))
        case .bytes: base64(reader.bytes.extracting(try reader.readRange()))
        case .identifier: hexadecimal(reader.bytes.extracting(try reader.readRange()))
        default:
            guard field.isRepeated, tag & 7 == WireType.bytes else {
                return try scalar(field.kind, &reader)
            }
            let outer = try reader.enterField()
            while !reader.isAtEnd { try scalar(field.kind, &reader) }
            reader.leave(to: outer)
        }
    }

    private mutating func scalar(
        _ kind: FieldKind, _ reader: inout ByteReader
    ) throws(ByteError) {
        switch kind {
        case .bool: bool(try reader.readVarint() != 0)
        case .int32, .enumeration: integer(Int32(truncatingIfNeeded: try reader.readVarint()))
        case .uint32: integer(try reader.readWord())
        case .sint32: integer(try reader.readZigzag())
        case .fixed32: integer(try reader.readUInt32())
        case .int64: quoted(Int64(bitPattern: try reader.readVarint()))
        case .uint64: quoted(try reader.readVarint())
        case .fixed64: quoted(try reader.readUInt64())
        case .sfixed64: quoted(Int64(bitPattern: try reader.readUInt64()))
        case .double: double(try reader.readDouble())
        case .string, .bytes, .identifier, .message: break
        }
    }
}

extension ByteWriter {
    /// Writes what is written, a message of our own, in JSON.
    func writeJSON(as message: Message, to writer: inout JSONWriter) {
        var reader = ByteReader(span)
        do throws(ByteError) {
            try writer.message(message, &reader)
        } catch {
            preconditionFailure("our own protobuf cannot be read")
        }
    }
}
