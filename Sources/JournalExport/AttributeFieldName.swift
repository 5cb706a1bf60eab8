import ByteCoding

/// Names of attributes as names of journal fields (DESIGN.md, "Journald"): `CODEX_ATTR_` and the key in
/// upper case, every character but A–Z and 0–9 replaced by `_`.
///
/// A field name has at most 64 characters (journald refuses longer ones). A longer one is cut to 55
/// and ends in `_` and eight digits, the CRC32C of the key in upper-case hexadecimal; so does the name of
/// a key that would get the name of another key of the same record that stands before it.
package enum AttributeFieldName {
    /// The most characters of a field name.
    package static let charactersMax = 64
    private static let prefix: StaticString = "CODEX_ATTR_"

    /// The name of a key, without regard to other keys.
    package static func plain(_ key: ArraySlice<UInt8>) -> [UInt8] {
        var name = mapped(key)
        if name.count > charactersMax { finish(&name, key) }
        return name
    }

    /// The name of a key whose plain name another key has.
    package static func distinct(_ key: ArraySlice<UInt8>) -> [UInt8] {
        var name = mapped(key)
        finish(&name, key)
        return name
    }

    private static func mapped(_ key: ArraySlice<UInt8>) -> [UInt8] {
        var name: [UInt8] = []
        name.reserveCapacity(11 + key.count)
        prefix.withUTF8Buffer { name.append(contentsOf: $0) }
        for byte in key {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"): name.append(byte - 0x20)
            case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"):
                name.append(byte)
            // One character, one underscore: only the first byte of a UTF-8 sequence counts.
            case 0x80...0xBF: continue
            default: name.append(UInt8(ascii: "_"))
            }
        }
        return name
    }

    private static func finish(_ name: inout [UInt8], _ key: ArraySlice<UInt8>) {
        let kept = min(name.count, charactersMax - 9)
        name.removeSubrange(kept...)
        name.append(UInt8(ascii: "_"))
        var hash = key.withUnsafeBytes { crc32c(RawSpan(_unsafeBytes: $0)) }
        for _ in 0..<8 {
            hash = hash << 4 | hash >> 28
            let digit = UInt8(truncatingIfNeeded: hash & 0xF)
            name.append(digit < 10 ? 0x30 + digit : 0x37 + digit)
        }
    }
}
