/// JSON allows some characters bare that a terminal acts on.
package enum JSONForTerminal {
    /// The same JSON with DEL, C1 controls and bidirectional overrides as escapes. They can stand in strings only,
    /// so that every byte may be looked at without parsing.
    package static func escaped(_ json: [UInt8]) -> [UInt8] {
        guard json.contains(where: { $0 >= 0x7F }) else { return json }
        var escaped: [UInt8] = []
        escaped.reserveCapacity(json.count)
        for scalar in String(decoding: json, as: UTF8.self).unicodeScalars {
            if scalar.value >= 0x7F, TerminalText.isControl(scalar) {
                for unit in String(scalar).utf16 {
                    let digits = String(unit, radix: 16)
                    let zeros = String(repeating: "0", count: 4 - digits.count)
                    escaped.append(contentsOf: ("\\u" + zeros + digits).utf8)
                }
            } else {
                escaped.append(contentsOf: String(scalar).utf8)
            }
        }
        return escaped
    }
}
