/// Why a time or a duration was not understood.
package struct TimeExpressionError: Error, Sendable, Equatable, CustomStringConvertible {
    /// What was given.
    package let text: String
    /// What would be understood.
    package let expected: String

    /// A sentence for people.
    package var description: String {
        "'\(TerminalText.safe(text))' is not understood: give \(expected)"
    }
}

/// A moment as people and scripts give it to `--since` and `--until`.
package enum TimeExpression {
    /// The moment that `text` names, in nanoseconds since 1970.
    ///
    /// - `24h`, `90 minutes`, `1h30m`, `"1 hour ago"`: that long before `now`
    /// - `now`, `today`, `yesterday`: the last two are the midnight that began them, in `zone`
    /// - `14:30`, `14:30:05`: today, in `zone`
    /// - `2026-11-21`, `2026-11-21 14:30`: in `zone`
    /// - RFC 3339, with its own offset
    /// - `@1795269600`: seconds since 1970
    package static func parse(
        _ text: String, now: UInt64, zone: TimeZoneRule
    ) throws(TimeExpressionError) -> UInt64 {
        let trimmed = text.lowercased().split(separator: " ", omittingEmptySubsequences: true)
            .joined(separator: " ")
        if let moment = parseNamed(trimmed, now: now, zone: zone)
            ?? parseSeconds(trimmed) ?? parseCalendar(trimmed, now: now, zone: zone)
            ?? parseAgo(trimmed, now: now)
        {
            return moment
        }
        throw TimeExpressionError(
            text: text,
            expected: "24h, \"1 hour ago\", today, yesterday, 14:30, 2026-11-21 or RFC 3339")
    }

    private static func parseNamed(
        _ text: String, now: UInt64, zone: TimeZoneRule
    ) -> UInt64? {
        let daysBack: Int64
        switch text {
        case "now": return now
        case "today": daysBack = 0
        case "yesterday": daysBack = 1
        default: return nil
        }
        let today = CivilTime(nanoseconds: now, zone: zone)
        guard let start = CivilTime(year: today.year, month: today.month, day: today.day) else {
            return nil
        }
        return nanoseconds(
            zone.moment(ofLocalSeconds: start.localSeconds - daysBack * 86_400), 0)
    }

    private static func parseSeconds(_ text: String) -> UInt64? {
        guard text.hasPrefix("@"), let seconds = Double(text.dropFirst()), seconds >= 0,
            seconds < 18_000_000_000
        else { return nil }
        return UInt64(seconds * 1e9)
    }

    private static func parseAgo(_ text: String, now: UInt64) -> UInt64? {
        var words = Substring(text)
        if words.hasSuffix(" ago") { words = words.dropLast(4) }
        guard let length = DurationExpression.nanoseconds(String(words)) else { return nil }
        return now > length ? now - length : 0
    }

    private static func parseCalendar(
        _ text: String, now: UInt64, zone: TimeZoneRule
    ) -> UInt64? {
        var scanner = FieldScanner(text)
        var date = CivilTime(nanoseconds: now, zone: zone)
        var hasDate = false
        if text.utf8.count >= 10, text.utf8[text.utf8.index(text.startIndex, offsetBy: 4)] == 0x2d {
            guard let year = scanner.digits(4), scanner.take("-"), let month = scanner.digits(2),
                scanner.take("-"), let day = scanner.digits(2),
                let given = CivilTime(year: Int64(year), month: month, day: day)
            else { return nil }
            date = given
            hasDate = true
            if scanner.isAtEnd {
                return nanoseconds(zone.moment(ofLocalSeconds: date.localSeconds), 0)
            }
            guard scanner.take("t") || scanner.take(" ") else { return nil }
        }
        guard let hour = scanner.digits(2), scanner.take(":"), let minute = scanner.digits(2) else {
            return nil
        }
        var second = 0
        var fraction = 0
        if scanner.take(":") {
            guard let given = scanner.digits(2) else { return nil }
            second = given
            if scanner.take(".") {
                guard let given = scanner.fraction() else { return nil }
                fraction = given
            }
        }
        guard
            let time = CivilTime(
                year: date.year, month: date.month, day: date.day, hour: hour, minute: minute,
                second: second)
        else { return nil }
        if scanner.isAtEnd {
            return nanoseconds(zone.moment(ofLocalSeconds: time.localSeconds), fraction)
        }
        guard hasDate, let offset = scanner.offset(), scanner.isAtEnd else { return nil }
        return nanoseconds(time.localSeconds - Int64(offset), fraction)
    }

    private static func nanoseconds(_ seconds: Int64, _ fraction: Int) -> UInt64? {
        guard seconds >= 0, seconds < 18_000_000_000 else { return nil }
        return UInt64(seconds) * 1_000_000_000 + UInt64(fraction)
    }
}

/// A length of time as people give it: `250ms`, `1.5s`, `1h30m`, `2 days`.
package enum DurationExpression {
    /// The length in nanoseconds.
    package static func parse(_ text: String) throws(TimeExpressionError) -> UInt64 {
        guard let length = nanoseconds(text.lowercased()) else {
            throw TimeExpressionError(text: text, expected: "250ms, 1.5s, 10m or 1h30m")
        }
        return length
    }

    static func nanoseconds(_ text: String) -> UInt64? {
        var rest = Substring(text)
        var total = 0.0
        var parts = 0
        while !rest.isEmpty {
            let number = rest.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
            rest = rest.dropFirst(number.count).drop { $0 == " " }
            let unit = rest.prefix { $0.isLetter }
            rest = rest.dropFirst(unit.count).drop { $0 == " " }
            let amount = number.isEmpty && (unit == "an" || unit == "a") ? 1 : Double(number)
            guard let amount, parts < 8 else { return nil }
            var name = unit
            if number.isEmpty {
                name = rest.prefix { $0.isLetter }
                rest = rest.dropFirst(name.count).drop { $0 == " " }
            }
            guard let factor = factor(name) else { return nil }
            total += amount * factor
            parts += 1
        }
        guard parts > 0, total < 1.8e19 else { return nil }
        return UInt64(total)
    }

    private static func factor(_ unit: Substring) -> Double? {
        switch unit {
        case "ns", "nanosecond", "nanoseconds": 1
        case "us", "µs", "μs", "microsecond", "microseconds": 1e3
        case "ms", "millisecond", "milliseconds": 1e6
        case "s", "sec", "secs", "second", "seconds": 1e9
        case "m", "min", "mins", "minute", "minutes": 60e9
        case "h", "hr", "hrs", "hour", "hours": 3_600e9
        case "d", "day", "days": 86_400e9
        case "w", "week", "weeks": 604_800e9
        default: nil
        }
    }
}

/// Reads fixed-width fields from the front of a text.
private struct FieldScanner {
    private var rest: Substring.UTF8View

    init(_ text: String) { rest = Substring(text).utf8 }

    var isAtEnd: Bool { rest.isEmpty }

    mutating func take(_ character: Character) -> Bool {
        guard let first = rest.first, first == character.asciiValue else { return false }
        rest = rest.dropFirst()
        return true
    }

    mutating func digits(_ count: Int) -> Int? {
        var value = 0
        guard rest.count >= count else { return nil }
        for byte in rest.prefix(count) {
            guard byte >= 0x30, byte <= 0x39 else { return nil }
            value = value * 10 + Int(byte - 0x30)
        }
        rest = rest.dropFirst(count)
        return value
    }

    /// Nanoseconds of a decimal fraction; digits past the ninth are dropped.
    mutating func fraction() -> Int? {
        var value = 0
        var scale = 100_000_000
        var count = 0
        while let byte = rest.first, byte >= 0x30, byte <= 0x39 {
            value += Int(byte - 0x30) * scale
            scale /= 10
            count += 1
            rest = rest.dropFirst()
        }
        return count == 0 ? nil : value
    }

    /// Seconds east of UTC: `z`, `+02:00`.
    mutating func offset() -> Int? {
        if take("z") { return 0 }
        let sign = take("+") ? 1 : take("-") ? -1 : 0
        guard sign != 0, let hours = digits(2), hours < 24 else { return nil }
        _ = take(":")
        guard let minutes = digits(2), minutes < 60 else { return nil }
        return sign * (hours * 3_600 + minutes * 60)
    }
}
