import ByteCoding

/// Why JSON could not be taken for a message.
enum TranscodingError: Error {
    /// It is not JSON: nothing of the request can be trusted.
    case notJSON(JSONError)
    /// It is of another type than the field at this place: the record, if it is within one, is left out.
    case wrongType(at: Int)
}

/// Writes OTLP's JSON as protobuf, value by value as it is read, by the tables of `Schema`.
///
/// So there is one decoder of records, and members may come in any order. Nothing is built; a record that
/// has a value of the wrong type is taken back and counted.
struct JSONTranscoder: ~Copyable, Sendable {
    var output = ByteWriter(capacity: 4_096)
    var rejections = Rejections()
    var unknownFields = UnknownFields()
    var repairedTexts: UInt64 = 0
    /// The records seen so far.
    private var records: UInt64 = 0
    /// Escaped keys without their escapes.
    private var scratch = ByteWriter()

    /// Writes a whole text as a message, in place of what `output` held.
    mutating func transcode(_ bytes: RawSpan, as message: Message) throws(TranscodingError) {
        output.removeAll()
        rejections = Rejections()
        unknownFields = UnknownFields()
        repairedTexts = 0
        records = 0
        var reader = JSONReader(bytes, depthMax: OTLP.jsonDepthMax)
        guard try reader.kind() == .object else { throw .wrongType(at: reader.position) }
        try write(message, &reader)
        do throws(JSONError) { try reader.end() } catch { throw .notJSON(error) }
    }

    /// Gives away what is written.
    mutating func takeOutput() -> ByteWriter {
        var taken = ByteWriter(capacity: 16)
        swap(&taken, &output)
        return taken
    }

    /// Writes the members of the object that follows.
    private mutating func write(
        _ message: Message, _ reader: inout JSONReader
    ) throws(TranscodingError) {
        let fields = Schema.fields[Int(message.rawValue)]
        var seen: UInt64 = 0
        // Members mostly come in the order of their numbers.
        var hint = 0
        try reader.enter(.object)
        while let key = try reader.member() {
            guard let index = find(key, fields, hint, reader.bytes) else {
                if try reader.pass() { noteUnknown(message, key, reader) }
                continue
            }
            hint = index + 1
            if seen >> UInt64(index) & 1 != 0 { noteUnknown(message, key, reader) }
            seen |= 1 << UInt64(index)
            if try reader.kind() == .null {
                try reader.pass()
            } else {
                try write(fields[index], &reader)
            }
        }
    }

    private mutating func noteUnknown(
        _ message: Message, _ key: JSONText, _ reader: borrowing JSONReader
    ) {
        let name = reader.bytes.extracting(key.range)
        name.withUnsafeBytes { unknownFields.note(message, name: $0) }
    }

    /// The index of the field that a key names, in lowerCamelCase or as in the `.proto` file.
    private mutating func find(
        _ key: JSONText, _ fields: [FieldSchema], _ hint: Int, _ bytes: RawSpan
    ) -> Int? {
        let name = bytes.extracting(key.range)
        for index in hint..<max(fields.count, hint) where fields[index].isNamed(name) {
            return index
        }
        for index in 0..<min(hint, fields.count) where fields[index].isNamed(name) { return index }
        guard key.hasEscapes, name.byteCount < 512 else { return nil }
        scratch.removeAll()
        _ = JSONReader(bytes, depthMax: 0).unescape(key, into: &scratch)
        return fields.firstIndex { $0.isNamed(scratch.span) }
    }

    // MARK: Fields

    private mutating func write(
        _ field: FieldSchema, _ reader: inout JSONReader
    ) throws(TranscodingError) {
        guard field.isRepeated else { return try writeOne(field, &reader) }
        guard try reader.kind() == .array else { throw .wrongType(at: reader.position) }
        try reader.enter(.array)
        if case .message(let message) = field.kind {
            while try reader.hasElement() { try writeElement(field, message, &reader) }
        } else {
            let place = output.open(field.tag(WireType.bytes))
            while try reader.hasElement() { try writeScalar(field.kind, &reader) }
            output.close(place)
        }
    }

    private mutating func writeElement(
        _ field: FieldSchema, _ message: Message, _ reader: inout JSONReader
    ) throws(TranscodingError) {
        guard message.isRecord else { return try writeMessage(field, message, &reader) }
        let start = output.count
        let before = reader
        defer { records += 1 }
        do throws(TranscodingError) {
            try writeMessage(field, message, &reader)
        } catch {
            guard case .wrongType = error else { throw error }
            output.truncate(to: start)
            reader = before
            try reader.pass()
            rejections.note(.type, record: records)
        }
    }

    private mutating func writeMessage(
        _ field: FieldSchema, _ message: Message, _ reader: inout JSONReader
    ) throws(TranscodingError) {
        let room = message.expectedRoom
        let place = output.open(field.tag(WireType.bytes), room: room)
        switch try reader.kind() {
        case .object: try write(message, &reader)
        case .null where message == .anyValue:
            // An element of an array that is nothing.
            try reader.pass()
        default: throw .wrongType(at: reader.position)
        }
        output.close(place, room: room)
    }

    private mutating func writeOne(
        _ field: FieldSchema, _ reader: inout JSONReader
    ) throws(TranscodingError) {
        switch field.kind {
        case .message(let message): try writeMessage(field, message, &reader)
        case .string: try writeText(field, &reader)
        case .bytes: try writeBase64(field, &reader)
        case .identifier: try writeIdentifier(field, &reader)
        default:
            // `flags` of a span is the one field whose tag has two bytes.
            if field.number > 15 {
                output.write(varint: UInt64(field.number) << 3 | field.kind.wireType)
            } else {
                output.write(uint8: field.tag(field.kind.wireType))
            }
            try writeScalar(field.kind, &reader)
        }
    }

    private mutating func writeText(
        _ field: FieldSchema, _ reader: inout JSONReader
    ) throws(TranscodingError) {
        let text = try reader.text()
        let tag = field.tag(WireType.bytes)
        if !text.hasEscapes {
            return output.explicitField(tag, bytes: reader.bytes.extracting(text.range))
        }
        let room = ByteWriter.size(varint: UInt64(text.range.count))
        let place = output.open(tag, room: room)
        if reader.unescape(text, into: &output) { repairedTexts += 1 }
        output.close(place, room: room)
    }

    private mutating func writeIdentifier(
        _ field: FieldSchema, _ reader: inout JSONReader
    ) throws(TranscodingError) {
        let text = try reader.text()
        let place = output.open(field.tag(WireType.bytes), room: 1)
        if !output.appendHexadecimal(reader.bytes.extracting(text.range)) {
            // One byte is no identifier: the record will be rejected for it.
            output.truncate(to: place + 1)
            output.write(uint8: 0)
        }
        output.close(place)
    }

    private mutating func writeBase64(
        _ field: FieldSchema, _ reader: inout JSONReader
    ) throws(TranscodingError) {
        let start = reader.position
        let text = try reader.text()
        let room = ByteWriter.size(varint: UInt64(text.range.count) * 3 / 4)
        let place = output.open(field.tag(WireType.bytes), room: room)
        let isBase64: Bool
        if text.hasEscapes {
            // `\/` is the one escape that belongs here.
            var plain = ByteWriter()
            reader.unescape(text, into: &plain)
            isBase64 = output.appendBase64(plain.span)
        } else {
            isBase64 = output.appendBase64(reader.bytes.extracting(text.range))
        }
        if !isBase64 { throw .wrongType(at: start) }
        output.close(place, room: room)
    }
}

extension FieldSchema {
    /// The tag of a field whose number is below 16.
    func tag(_ wireType: UInt64) -> UInt8 { number << 3 | UInt8(wireType) }

    /// Whether a JSON key names the field.
    func isNamed(_ key: RawSpan) -> Bool {
        let count = name.utf8CodeUnitCount
        var place = 0
        var index = 0
        while index < key.byteCount {
            guard place < count else { return false }
            var byte = key.unsafeLoad(fromByteOffset: index, as: UInt8.self)
            index += 1
            if byte == UInt8(ascii: "_"), index < key.byteCount {
                byte = key.unsafeLoad(fromByteOffset: index, as: UInt8.self) & ~0x20
                index += 1
            }
            if byte != name.utf8Start[place] { return false }
            place += 1
        }
        return place == count
    }
}

extension Message {
    /// Whether it is one record, which is taken or left out by itself.
    var isRecord: Bool {
        switch self {
        case .span, .logRecord, .numberPoint, .histogramPoint, .exponentialPoint, .summaryPoint:
            true
        default: false
        }
    }

    /// How many bytes its length is expected to take.
    var expectedRoom: Int {
        switch self {
        case .resourceSpans, .resourceLogs, .resourceMetrics, .scopeSpans, .scopeLogs,
            .scopeMetrics:
            3
        case .span, .logRecord, .resource, .metric, .gauge, .sum, .histogram: 2
        default: 1
        }
    }
}

extension JSONReader {
    /// What the next value is.
    mutating func kind() throws(TranscodingError) -> JSONKind {
        do { return try peek() } catch { throw .notJSON(error) }
    }

    /// Enters an object or array.
    mutating func enter(_ kind: JSONKind) throws(TranscodingError) {
        do throws(JSONError) {
            if kind == .object { try enterObject() } else { try enterArray() }
        } catch {
            throw .notJSON(error)
        }
    }

    /// The key of the object's next member.
    mutating func member() throws(TranscodingError) -> JSONText? {
        do { return try nextKey() } catch { throw .notJSON(error) }
    }

    /// Passes over a value; returns whether it held anything.
    @discardableResult
    mutating func pass() throws(TranscodingError) -> Bool {
        do { return try skipValue() } catch { throw .notJSON(error) }
    }

    /// Whether the array has another value.
    mutating func hasElement() throws(TranscodingError) -> Bool {
        do { return try nextElement() } catch { throw .notJSON(error) }
    }

    /// Reads a string.
    mutating func text() throws(TranscodingError) -> JSONText {
        guard try kind() == .string else { throw .wrongType(at: position) }
        do { return try string() } catch { throw .notJSON(error) }
    }
}
