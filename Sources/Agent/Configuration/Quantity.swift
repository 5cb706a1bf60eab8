/// Durations and sizes as configuration writes them.
package enum Quantity {
    /// `250ms`, `10s`, `1m30s`, `1.5h`, `7d`, and `0`, as Go writes durations, and days; nil for anything else or
    /// a negative value. Nanoseconds that are not whole microseconds are cut off.
    package static func duration(parsing text: String) -> Duration? {
        if text == "0" { return .zero }
        let microseconds: [String: Double] = [
            "ns": 0.001, "us": 1, "µs": 1, "μs": 1, "ms": 1000, "s": 1e6, "m": 6e7, "h": 3.6e9,
            "d": 8.64e10,
        ]
        var rest = text[...]
        var sum = 0.0
        repeat {
            let digits = rest.prefix { $0.isASCII && $0.isNumber || $0 == "." }
            let unit = rest.dropFirst(digits.count).prefix { $0.isLetter }
            guard let number = Double(digits), let scale = microseconds[String(unit)] else {
                return nil
            }
            sum += number * scale
            rest = rest[unit.endIndex...]
        } while !rest.isEmpty
        return sum < 1e17 ? .microseconds(Int64(sum)) : nil
    }

    /// `512`, `16MiB`, `1GiB`, `100MB`; nil for anything else or a negative value.
    package static func bytes(parsing text: String) -> UInt64? {
        let units: [(String, Int64)] = [
            ("", 1), ("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30),
            ("TiB", 1 << 40), ("kB", 1000), ("KB", 1000), ("MB", 1_000_000), ("GB", 1_000_000_000),
        ]
        guard let (number, unit) = split(text),
            let scale = units.first(where: { $0.0 == unit })?.1
        else { return nil }
        let (bytes, overflow) = number.multipliedReportingOverflow(by: scale)
        return overflow ? nil : UInt64(bytes)
    }

    /// The shortest exact form.
    package static func duration(_ value: Duration) -> String {
        let parts = value.components
        let milliseconds = parts.seconds * 1000 + parts.attoseconds / 1_000_000_000_000_000
        for (unit, scale) in [
            ("d", Int64(86_400_000)), ("h", 3_600_000), ("m", 60_000), ("s", 1000),
        ]
        where milliseconds != 0 && milliseconds % scale == 0 {
            return "\(milliseconds / scale)\(unit)"
        }
        return "\(milliseconds)ms"
    }

    /// The shortest exact form.
    package static func bytes(_ value: UInt64) -> String {
        for (unit, shift) in [("GiB", UInt64(30)), ("MiB", 20), ("KiB", 10)]
        where value != 0 && value % (1 << shift) == 0 {
            return "\(value >> shift)\(unit)"
        }
        return "\(value)"
    }

    private static func split(_ text: String) -> (Int64, String)? {
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        guard let number = Int64(digits) else { return nil }
        let unit = text.dropFirst(digits.count).drop { $0 == " " }
        return (number, String(unit))
    }
}
