/// How far local time is ahead of UTC, in seconds, at a moment in seconds since 1970.
///
/// Handed in, so that no rule about time reads the process's own zone.
package struct TimeZoneRule: Sendable {
    /// Seconds east of UTC at a moment.
    package let secondsEast: @Sendable (Int64) -> Int64

    /// A zone given by its rule.
    package init(_ secondsEast: @escaping @Sendable (Int64) -> Int64) {
        self.secondsEast = secondsEast
    }

    /// Universal time.
    package static let utc = TimeZoneRule { _ in 0 }

    /// The moment that a local time names. Where the clock was put forward and the time does not
    /// exist, the moment that far after the gap; where it exists twice, the earlier.
    func moment(ofLocalSeconds local: Int64) -> Int64 {
        let first = local - secondsEast(local)
        let second = local - secondsEast(first)
        let before = local - secondsEast(min(first, second) - 86_400)
        if before + secondsEast(before) == local { return before }
        return second
    }
}

/// A moment as calendar fields (proleptic Gregorian), in some zone.
package struct CivilTime: Sendable, Equatable {
    /// Year, negative before year 0.
    package var year: Int64
    /// 1–12.
    package var month: Int
    /// 1–31.
    package var day: Int
    /// 0–23.
    package var hour: Int
    /// 0–59.
    package var minute: Int
    /// 0–59.
    package var second: Int
    /// 0–999,999,999.
    package var nanosecond: Int

    /// The fields of seconds since 1970 that already count local time.
    package init(localSeconds: Int64, nanosecond: Int = 0) {
        let days = floorDivide(localSeconds, 86_400)
        let rest = Int(localSeconds - days * 86_400)
        // Howard Hinnant, "chrono-compatible low-level date algorithms", civil_from_days.
        let shifted = days + 719_468
        let era = floorDivide(shifted, 146_097)
        let dayOfEra = shifted - era * 146_097
        let yearOfEra =
            (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        day = Int(dayOfYear - (153 * monthFromMarch + 2) / 5 + 1)
        month = Int(monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9)
        year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        hour = rest / 3_600
        minute = rest / 60 % 60
        second = rest % 60
        self.nanosecond = nanosecond
    }

    /// The fields in `zone` of nanoseconds since 1970.
    package init(nanoseconds: UInt64, zone: TimeZoneRule) {
        let seconds = Int64(nanoseconds / 1_000_000_000)
        self.init(
            localSeconds: seconds + zone.secondsEast(seconds),
            nanosecond: Int(nanoseconds % 1_000_000_000))
    }

    /// Fields as given; nil if they are no day of the calendar or no time of a day.
    package init?(
        year: Int64, month: Int, day: Int, hour: Int = 0, minute: Int = 0, second: Int = 0,
        nanosecond: Int = 0
    ) {
        let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
        let days = [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
        guard (1...12).contains(month), day >= 1, day <= days[month - 1], (0...23).contains(hour),
            // RFC 3339 allows the leap second's 60.
            (0...59).contains(minute), (0...60).contains(second)
        else { return nil }
        self.year = year
        self.month = month
        self.day = day
        self.hour = hour
        self.minute = minute
        self.second = second
        self.nanosecond = nanosecond
    }

    /// Seconds since 1970 that count local time.
    package var localSeconds: Int64 {
        let shiftedYear = month <= 2 ? year - 1 : year
        let era = floorDivide(shiftedYear, 400)
        let yearOfEra = shiftedYear - era * 400
        let monthFromMarch = Int64((month + 9) % 12)
        let dayOfYear = (153 * monthFromMarch + 2) / 5 + Int64(day) - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        let days = era * 146_097 + dayOfEra - 719_468
        return days * 86_400 + Int64(hour * 3_600 + minute * 60 + second)
    }
}

private func floorDivide(_ value: Int64, _ divisor: Int64) -> Int64 {
    let (quotient, remainder) = value.quotientAndRemainder(dividingBy: divisor)
    return remainder < 0 ? quotient - 1 : quotient
}

/// How moments are written: for people in their zone, for scripts as RFC 3339.
package struct TimeText: Sendable {
    private let zone: TimeZoneRule
    private let today: CivilTime

    /// - Parameters:
    ///   - now: nanoseconds since 1970: moments of the same day are shown without a date.
    package init(zone: TimeZoneRule, now: UInt64) {
        self.zone = zone
        today = CivilTime(nanoseconds: now, zone: zone)
    }

    /// `14:03:22.120`, with the date in front on another day.
    package func short(_ nanoseconds: UInt64) -> String {
        let time = CivilTime(nanoseconds: nanoseconds, zone: zone)
        let clock =
            "\(padded(time.hour, 2)):\(padded(time.minute, 2)):\(padded(time.second, 2))"
            + ".\(padded(time.nanosecond / 1_000_000, 3))"
        let isToday = (time.year, time.month, time.day) == (today.year, today.month, today.day)
        return isToday ? clock : date(time) + " " + clock
    }

    /// RFC 3339 in UTC with nanoseconds: `2026-11-21T14:03:22.120000000Z`.
    package static func rfc3339(_ nanoseconds: UInt64) -> String {
        let time = CivilTime(nanoseconds: nanoseconds, zone: .utc)
        return
            "\(padded(Int(time.year), 4))-\(padded(time.month, 2))-\(padded(time.day, 2))"
            + "T\(padded(time.hour, 2)):\(padded(time.minute, 2)):\(padded(time.second, 2))"
            + ".\(padded(time.nanosecond, 9))Z"
    }

    private func date(_ time: CivilTime) -> String {
        "\(padded(Int(time.year), 4))-\(padded(time.month, 2))-\(padded(time.day, 2))"
    }
}

/// A number in decimal with leading zeros.
func padded(_ number: Int, _ width: Int) -> String {
    let digits = String(number)
    return String(repeating: "0", count: max(0, width - digits.count)) + digits
}
