import ByteCoding
import TelemetryBatch

/// Arbitrary bytes as text (RFC 4648 §4), as OTLP's JSON has them.
enum Base64 {
    static func append(_ data: ArraySlice<UInt8>, into bytes: inout [UInt8]) {
        let alphabet: StaticString =
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
        alphabet.withUTF8Buffer { alphabet in
            var index = data.startIndex
            while index < data.endIndex {
                let count = min(3, data.endIndex - index)
                var word = UInt32(data[index]) << 16
                if count > 1 { word |= UInt32(data[index + 1]) << 8 }
                if count > 2 { word |= UInt32(data[index + 2]) }
                for position in 0..<4 {
                    if position > count {
                        bytes.append(UInt8(ascii: "="))
                    } else {
                        bytes.append(alphabet[Int(word >> (18 - 6 * UInt32(position)) & 63)])
                    }
                }
                index += count
            }
        }
    }
}

/// Arrays and maps as JSON.
enum ValueJSON {
    /// Appends a value. Past `bytesMax` further members are left out: what is written stays JSON.
    static func append(_ value: Value, _ batch: Batch, bytesMax: Int, into json: inout JSONWriter) {
        switch value {
        case .none: json.null()
        case .string(let ref):
            batch.utf8(ref).withUnsafeBytes { json.string(utf8: RawSpan(_unsafeBytes: $0)) }
        case .bool(let flag): json.bool(flag)
        case .int(let number): json.integer(number)
        case .double(let number): json.double(number)
        case .bytes(let ref):
            var text: [UInt8] = []
            Base64.append(batch.data(ref), into: &text)
            json.string(utf8: text.span.bytes)
        case .array(let values):
            json.beginArray()
            for value in values where json.bytes.count < bytesMax {
                append(value, batch, bytesMax: bytesMax, into: &json)
            }
            json.endArray()
        case .map(let members):
            json.beginObject()
            for (key, value) in members where json.bytes.count < bytesMax {
                json.key(batch.text(key))
                append(value, batch, bytesMax: bytesMax, into: &json)
            }
            json.endObject()
        }
    }
}
