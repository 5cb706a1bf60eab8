/// Base64 text of bytes (RFC 4648, 4).
package enum Base64 {
    private static let letters = Array(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    /// Appends the text of `value` as ASCII, with or without the `=` that fill it up to four letters.
    package static func append(_ value: RawSpan, to text: inout [UInt8], padded: Bool) {
        var place = 0
        while place < value.byteCount {
            let count = min(3, value.byteCount - place)
            var bits: UInt32 = 0
            for index in 0..<count {
                let byte = value.unsafeLoad(fromByteOffset: place + index, as: UInt8.self)
                bits |= UInt32(byte) << UInt32(16 - 8 * index)
            }
            for index in 0...count {
                text.append(letters[Int(bits >> UInt32(18 - 6 * index)) & 63])
            }
            if padded { for _ in count..<3 { text.append(UInt8(ascii: "=")) } }
            place += 3
        }
    }

    /// The text of `bytes`, unpadded.
    package static func text(_ bytes: [UInt8]) -> String {
        var text: [UInt8] = []
        append(bytes.span.bytes, to: &text, padded: false)
        return String(decoding: text, as: UTF8.self)
    }
}
