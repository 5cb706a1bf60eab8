/// Text from records, made safe for a terminal and measured in its columns.
///
/// Every record's text is its producer's: an escape sequence in it could repaint the screen, set the
/// window's title or type into the shell. So what controls a terminal is written out, never sent.
package enum TerminalText {
    /// `text` with every control character written as an escape: `\n`, `\x1B`, `\u{202E}`.
    package static func safe(_ text: String) -> String {
        guard text.unicodeScalars.contains(where: isControl) else { return text }
        var safe = ""
        for scalar in text.unicodeScalars {
            guard isControl(scalar) else {
                safe.unicodeScalars.append(scalar)
                continue
            }
            switch scalar {
            case "\n": safe += "\\n"
            case "\r": safe += "\\r"
            case "\t": safe += "\\t"
            default:
                let hex = String(scalar.value, radix: 16, uppercase: true)
                safe +=
                    scalar.value < 0x100 ? "\\x" + (hex.count < 2 ? "0" : "") + hex : "\\u{\(hex)}"
            }
        }
        return safe
    }

    /// What a terminal may act on, or that makes text read as what it is not: C0 and C1 controls,
    /// DEL, line separators, bidirectional overrides, invisible format characters.
    static func isControl(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0..<0x20, 0x7f..<0xa0: true
        case 0xad, 0x61c, 0x180e: true
        case 0x200b, 0x200e...0x200f, 0x2028...0x202e, 0x2060...0x206f: true
        case 0xfeff, 0xfff9...0xfffb: true
        case 0xe0000...0xe007f: true
        default: false
        }
    }

    /// Columns that `text`, made safe before, takes.
    package static func columns(_ text: String) -> Int {
        var columns = 0
        for scalar in text.unicodeScalars { columns += width(scalar) }
        return columns
    }

    /// `text` cut to at most `columns`, with `…` at the end if anything was cut.
    package static func cut(_ text: String, to columns: Int) -> String {
        guard columns > 0 else { return "" }
        guard self.columns(text) > columns else { return text }
        var cut = ""
        var used = 0
        for character in text {
            let width = self.columns(String(character))
            guard used + width <= columns - 1 else { break }
            cut.append(character)
            used += width
        }
        return cut + "…"
    }

    /// `text` cut or filled with spaces to exactly `columns`.
    package static func fitted(_ text: String, to columns: Int, rightAligned: Bool = false)
        -> String
    {
        let cut = cut(text, to: columns)
        let fill = String(repeating: " ", count: max(0, columns - self.columns(cut)))
        return rightAligned ? fill + cut : cut + fill
    }

    /// Columns of one scalar: 0 for marks that sit on the one before, 2 for wide East Asian ones and
    /// pictures (Unicode Standard Annex 11), 1 for the rest.
    private static func width(_ scalar: Unicode.Scalar) -> Int {
        let value = scalar.value
        if value < 0x300 { return 1 }
        switch value {
        case 0x200d, 0xfe00...0xfe0f: return 0
        case 0x1100...0x115f, 0x2e80...0x303e, 0x3041...0x33ff, 0x3400...0x4dbf, 0x4e00...0x9fff,
            0xa000...0xa4cf, 0xac00...0xd7a3, 0xf900...0xfaff, 0xfe30...0xfe6f, 0xff00...0xff60,
            0xffe0...0xffe6, 0x1f300...0x1f64f, 0x1f680...0x1f6ff, 0x1f900...0x1f9ff,
            0x20000...0x3fffd:
            return 2
        default: break
        }
        switch scalar.properties.generalCategory {
        case .nonspacingMark, .enclosingMark: return 0
        default: return 1
        }
    }
}

/// How output may look: decided once, from the terminal and the environment.
package struct Style: Sendable {
    /// Whether escape sequences for colour may be sent.
    package let hasColour: Bool
    /// Columns of a line.
    package let width: Int

    /// - Parameters:
    ///   - isTerminal: whether output goes to a terminal.
    ///   - width: the terminal's columns, if known.
    ///   - environment: `NO_COLOR` (set and not empty) and `TERM=dumb` switch colour off.
    package init(isTerminal: Bool, width: Int?, environment: (String) -> String?) {
        let isForbidden = !(environment("NO_COLOR") ?? "").isEmpty || environment("TERM") == "dumb"
        hasColour = isTerminal && !isForbidden
        self.width = isTerminal ? min(max(width ?? 80, 40), 400) : 80
    }

    /// What a piece of text means.
    package enum Role: Sendable {
        /// In good order.
        case good
        /// Failed.
        case bad
        /// Denied, retried, degraded.
        case warning
        /// Less important than what stands around it.
        case faint
        /// What the line is about.
        case strong
    }

    /// `text` in the colour of `role`, or as it is.
    package func paint(_ text: String, _ role: Role) -> String {
        guard hasColour, !text.isEmpty else { return text }
        let code =
            switch role {
            case .good: "32"
            case .bad: "31"
            case .warning: "33"
            case .faint: "2"
            case .strong: "1"
            }
        return "\u{1b}[\(code)m\(text)\u{1b}[0m"
    }
}
