/// Peers' text made fit for a terminal.
package enum PrintableText {
    /// The most bytes that a name or a body gets in a sentence.
    package static let bytesMax = 200

    /// Appends text with everything that could steer a terminal replaced: C0 and C1 control
    /// characters, DEL, and Unicode's bidirectional overrides become `\u{FFFD}`, a run of white
    /// space one space. What is cut at `limit` bytes ends in `…`.
    package static func append(
        _ untrusted: some Collection<UInt8>, limit: Int = bytesMax, into bytes: inout [UInt8]
    ) {
        let done: Void? = untrusted.withContiguousStorageIfAvailable { text in
            if text.count <= limit, text.allSatisfy({ $0 >= 0x20 && $0 < 0x7F }) {
                bytes.append(contentsOf: text)
            } else {
                appendScalars(text, limit: limit, into: &bytes)
            }
        }
        if done == nil { append([UInt8](untrusted), limit: limit, into: &bytes) }
    }

    /// A string with control characters replaced.
    package static func text(_ untrusted: String, limit: Int = Int.max) -> String {
        var bytes: [UInt8] = []
        append(untrusted.utf8, limit: limit, into: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }

    private static func appendScalars(
        _ text: UnsafeBufferPointer<UInt8>, limit: Int, into bytes: inout [UInt8]
    ) {
        let start = bytes.count
        // The last end of a character after which the ellipsis, three bytes, still fits.
        var cut = start
        var lastWasSpace = false
        for scalar in String(decoding: text, as: UTF8.self).unicodeScalars {
            let isSpace = scalar == " " || scalar == "\n" || scalar == "\t" || scalar == "\r"
            if isSpace, lastWasSpace { continue }
            lastWasSpace = isSpace
            let shown: Unicode.Scalar = isSpace ? " " : isSafe(scalar) ? scalar : "\u{FFFD}"
            bytes.append(contentsOf: UTF8.encode(shown) ?? UTF8.encodedReplacementCharacter)
            if bytes.count - start > limit {
                bytes.removeSubrange(cut...)
                bytes.append(contentsOf: "…".utf8)
                return
            }
            if limit == Int.max || bytes.count - start <= limit - 3 { cut = bytes.count }
        }
    }

    private static func isSafe(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case ..<0x20, 0x7F...0x9F: false
        // Line and paragraph separators; bidirectional embeddings, overrides and isolates.
        case 0x2028, 0x2029, 0x200E, 0x200F, 0x202A...0x202E, 0x2066...0x2069: false
        default: true
        }
    }
}
