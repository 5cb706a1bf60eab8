/// TOML's values of one word.
enum TOMLScalar {
    /// Whether it is a truth value, a number, or a date or time.
    static func isOne(_ text: String) -> Bool {
        let words = /true|false|[+-]?(inf|nan)/
        let decimal =
            /[+-]?(0|[1-9](_?[0-9])*)(\.[0-9](_?[0-9])*)?([eE][+-]?[0-9](_?[0-9])*)?/
        let other =
            /0x[0-9A-Fa-f](_?[0-9A-Fa-f])*|0o[0-7](_?[0-7])*|0b[01](_?[01])*/
        if text.wholeMatch(of: words) != nil { return true }
        if text.wholeMatch(of: decimal) != nil { return true }
        return text.wholeMatch(of: other) != nil || isTime(text)
    }

    private static func isTime(_ text: String) -> Bool {
        let time = /[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?/
        let date = /[0-9]{4}-[0-9]{2}-[0-9]{2}/
        if text.wholeMatch(of: time) != nil { return true }
        guard let day = text.prefixMatch(of: date) else { return false }
        let rest = text[day.range.upperBound...]
        if rest.isEmpty { return true }
        guard let part = rest.first, "Tt ".contains(part),
            let clock = rest.dropFirst().prefixMatch(of: time)
        else { return false }
        let zone = rest[clock.range.upperBound...]
        return zone.isEmpty || zone.wholeMatch(of: /[Zz]|[+-][0-9]{2}:[0-9]{2}/) != nil
    }
}
