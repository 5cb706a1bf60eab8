/// Text of durations, times and names, appended to bytes: no `String` is made on the way.
package enum TextFormat {
    /// Appends a duration for people, three digits of it: `1.24 s`, `350 ms`, `12.3 µs`, `95 ns`,
    /// from one minute on `2 min 5 s`, `1 h 2 min`, `3 d 4 h`.
    package static func duration(nanoseconds: UInt64, into bytes: inout [UInt8]) {
        switch nanoseconds {
        case 0: bytes.append(contentsOf: "0 s".utf8)
        case ..<1000:
            decimal(nanoseconds, into: &bytes)
            bytes.append(contentsOf: " ns".utf8)
        case ..<999_500: threeDigits(nanoseconds, unit: 1000, " µs", into: &bytes)
        case ..<999_500_000: threeDigits(nanoseconds, unit: 1_000_000, " ms", into: &bytes)
        case ..<59_950_000_000: threeDigits(nanoseconds, unit: 1_000_000_000, " s", into: &bytes)
        default:
            let seconds =
                nanoseconds / 1_000_000_000 + nanoseconds % 1_000_000_000 / 500_000_000
            if seconds < 3600 {
                twoParts(seconds / 60, " min", seconds % 60, " s", into: &bytes)
            } else if seconds < 86_400 {
                twoParts(seconds / 3600, " h", seconds % 3600 / 60, " min", into: &bytes)
            } else {
                twoParts(seconds / 86_400, " d", seconds % 86_400 / 3600, " h", into: &bytes)
            }
        }
    }

    /// A duration for people as a string.
    package static func duration(nanoseconds: UInt64) -> String {
        text { duration(nanoseconds: nanoseconds, into: &$0) }
    }

    /// Appends milliseconds with three decimals, cut and not rounded: `1240.312`.
    package static func milliseconds(nanoseconds: UInt64, into bytes: inout [UInt8]) {
        decimal(nanoseconds / 1_000_000, into: &bytes)
        bytes.append(UInt8(ascii: "."))
        digits(nanoseconds % 1_000_000 / 1000, count: 3, into: &bytes)
    }

    /// Appends a time as RFC 3339 in UTC with nanoseconds: `2026-11-21T11:29:14.123456789Z`.
    package static func timestamp(nanoseconds: UInt64, into bytes: inout [UInt8]) {
        let seconds = nanoseconds / 1_000_000_000
        let day = civil(daysSince1970: seconds / 86_400)
        let second = seconds % 86_400
        digits(UInt64(day.year), count: 4, into: &bytes)
        bytes.append(UInt8(ascii: "-"))
        digits(UInt64(day.month), count: 2, into: &bytes)
        bytes.append(UInt8(ascii: "-"))
        digits(UInt64(day.day), count: 2, into: &bytes)
        bytes.append(UInt8(ascii: "T"))
        digits(second / 3600, count: 2, into: &bytes)
        bytes.append(UInt8(ascii: ":"))
        digits(second / 60 % 60, count: 2, into: &bytes)
        bytes.append(UInt8(ascii: ":"))
        digits(second % 60, count: 2, into: &bytes)
        bytes.append(UInt8(ascii: "."))
        digits(nanoseconds % 1_000_000_000, count: 9, into: &bytes)
        bytes.append(UInt8(ascii: "Z"))
    }

    /// A time as RFC 3339 in UTC with nanoseconds.
    package static func timestamp(nanoseconds: UInt64) -> String {
        text { timestamp(nanoseconds: nanoseconds, into: &$0) }
    }

    /// Appends a word's sixteen hexadecimal digits, most significant first.
    package static func hexadecimal(_ word: UInt64, into bytes: inout [UInt8]) {
        bytes.reserveCapacity(bytes.count + 16)
        var rest = word
        for _ in 0..<16 {
            rest = rest << 4 | rest >> 60
            let digit = UInt8(truncatingIfNeeded: rest & 0xF)
            bytes.append(digit < 10 ? 0x30 + digit : 0x57 + digit)
        }
    }

    /// Appends an unsigned integer in decimal.
    package static func decimal(_ value: UInt64, into bytes: inout [UInt8]) {
        if value < 10 {
            bytes.append(0x30 + UInt8(truncatingIfNeeded: value))
            return
        }
        let start = bytes.count
        var rest = value
        while rest > 0 {
            bytes.append(0x30 + UInt8(truncatingIfNeeded: rest % 10))
            rest /= 10
        }
        bytes[start...].reverse()
    }

    /// Appends a signed integer in decimal.
    package static func decimal(_ value: Int64, into bytes: inout [UInt8]) {
        if value < 0 { bytes.append(UInt8(ascii: "-")) }
        decimal(value.magnitude, into: &bytes)
    }

    /// Appends fixed text.
    package static func fixed(_ text: StaticString, into bytes: inout [UInt8]) {
        text.withUTF8Buffer { bytes.append(contentsOf: $0) }
    }

    /// The string that `body` appends.
    package static func text(_ body: (inout [UInt8]) -> Void) -> String {
        var bytes: [UInt8] = []
        body(&bytes)
        return String(decoding: bytes, as: UTF8.self)
    }

    private static func digits(_ value: UInt64, count: Int, into bytes: inout [UInt8]) {
        var divisor: UInt64 = 1
        for _ in 1..<count { divisor *= 10 }
        while divisor > 0 {
            bytes.append(0x30 + UInt8(truncatingIfNeeded: value / divisor % 10))
            divisor /= 10
        }
    }

    /// 999 500 of the smaller unit and more have become 1.00 of the next before they come here.
    private static func threeDigits(
        _ value: UInt64, unit: UInt64, _ name: StaticString, into bytes: inout [UInt8]
    ) {
        let whole = value / unit
        // Half of the last digit shown is added, so that the cut below rounds.
        if whole < 10, value + unit / 200 < 10 * unit {
            let hundredths = (value + unit / 200) / (unit / 100)
            decimal(hundredths / 100, into: &bytes)
            bytes.append(UInt8(ascii: "."))
            digits(hundredths % 100, count: 2, into: &bytes)
        } else if value + unit / 20 < 100 * unit {
            let tenths = (value + unit / 20) / (unit / 10)
            decimal(tenths / 10, into: &bytes)
            bytes.append(UInt8(ascii: "."))
            digits(tenths % 10, count: 1, into: &bytes)
        } else {
            decimal((value + unit / 2) / unit, into: &bytes)
        }
        fixed(name, into: &bytes)
    }

    private static func twoParts(
        _ large: UInt64, _ largeName: StaticString, _ small: UInt64, _ smallName: StaticString,
        into bytes: inout [UInt8]
    ) {
        decimal(large, into: &bytes)
        fixed(largeName, into: &bytes)
        guard small > 0 else { return }
        bytes.append(UInt8(ascii: " "))
        decimal(small, into: &bytes)
        fixed(smallName, into: &bytes)
    }

    /// The Gregorian date of a day, by eras of 400 years that begin on the first of March.
    private static func civil(daysSince1970 days: UInt64) -> (year: Int, month: Int, day: Int) {
        let shifted = Int(days) + 719_468
        let era = shifted / 146_097
        let dayOfEra = shifted % 146_097
        let yearOfEra =
            (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
        let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day)
    }
}
