/// Whether bytes are well-formed UTF-8 (Unicode 15, table 3-7: no overlong forms, no surrogates,
/// nothing above U+10FFFF).
@inlinable
package func isUTF8(_ bytes: RawSpan) -> Bool {
    let count = bytes.byteCount
    var index = 0
    // Nearly all telemetry is ASCII: eight bytes a step.
    while index &+ 8 <= count {
        let word = bytes.unsafeLoadUnaligned(fromByteOffset: index, as: UInt64.self)
        if word & 0x8080_8080_8080_8080 != 0 { return isUTF8(bytes, from: index) }
        index &+= 8
    }
    while index < count {
        if bytes.unsafeLoad(fromByteOffset: index, as: UInt8.self) >= 0x80 {
            return isUTF8(bytes, from: index)
        }
        index &+= 1
    }
    return true
}

@usableFromInline
func isUTF8(_ bytes: RawSpan, from start: Int) -> Bool {
    let count = bytes.byteCount
    var index = start
    while index < count {
        let lead = bytes.unsafeLoad(fromByteOffset: index, as: UInt8.self)
        if lead < 0x80 {
            index += 1
            continue
        }
        // The second byte's range excludes overlong forms, surrogates and what is too large.
        let length: Int
        let second: ClosedRange<UInt8>
        switch lead {
        case 0xC2...0xDF: (length, second) = (2, 0x80...0xBF)
        case 0xE0: (length, second) = (3, 0xA0...0xBF)
        case 0xED: (length, second) = (3, 0x80...0x9F)
        case 0xE1...0xEF: (length, second) = (3, 0x80...0xBF)
        case 0xF0: (length, second) = (4, 0x90...0xBF)
        case 0xF1...0xF3: (length, second) = (4, 0x80...0xBF)
        case 0xF4: (length, second) = (4, 0x80...0x8F)
        default: return false
        }
        guard length <= count - index,
            second.contains(bytes.unsafeLoad(fromByteOffset: index + 1, as: UInt8.self))
        else { return false }
        for next in (index + 2)..<max(index + length, index + 2) {
            let byte = bytes.unsafeLoad(fromByteOffset: next, as: UInt8.self)
            if byte & 0xC0 != 0x80 { return false }
        }
        index += length
    }
    return true
}
