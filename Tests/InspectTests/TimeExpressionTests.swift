import Testing

@testable import Inspect

/// 2026-11-21T14:30:15.25Z, a Saturday.
private let now: UInt64 = 1_795_271_415_250_000_000
private let hour: UInt64 = 3_600_000_000_000
private let twoOClock: UInt64 = 1_795_269_600_000_000_000

/// Central European time of 2026: summer time from 29 March to 25 October, changing at 01:00 UTC.
private let berlin = TimeZoneRule { moment in
    (1_774_746_000..<1_792_890_000).contains(moment) ? 7_200 : 3_600
}

@Suite struct TimeExpressionTests {
    private static let moments: [(String, UInt64)] = [
        ("now", now),
        ("24h", now - 24 * hour),
        ("1 hour ago", now - hour),
        ("an hour ago", now - hour),
        ("90 minutes ago", now - hour / 2 * 3),
        ("1h30m", now - hour / 2 * 3),
        ("1h 30m ago", now - hour / 2 * 3),
        ("2 Days Ago", now - 48 * hour),
        ("0s", now),
        ("@1795269600", twoOClock),
        ("2026-11-21T14:00:00Z", twoOClock),
        ("2026-11-21t14:00:00.5z", twoOClock + 500_000_000),
        ("2026-11-21T16:00:00+02:00", twoOClock),
        ("2026-11-21 12:30:00.000000001-01:30", twoOClock + 1),
    ]

    @Test(arguments: moments)
    func `a moment is understood in any zone`(text: String, moment: UInt64) throws {
        #expect(try TimeExpression.parse(text, now: now, zone: .utc) == moment)
        #expect(try TimeExpression.parse(text, now: now, zone: berlin) == moment)
    }

    @Test(arguments: [
        ("today", "2026-11-20T23:00:00Z"),
        ("yesterday", "2026-11-19T23:00:00Z"),
        ("08:05", "2026-11-21T07:05:00Z"),
        ("08:05:09", "2026-11-21T07:05:09Z"),
        ("2026-07-01", "2026-06-30T22:00:00Z"),
        ("2026-07-01 12:00", "2026-07-01T10:00:00Z"),
        ("2026-01-01T12:00:00", "2026-01-01T11:00:00Z"),
    ])
    func `a time without a zone is local`(text: String, utc: String) throws {
        let moment = try TimeExpression.parse(text, now: now, zone: berlin)
        #expect(moment == (try TimeExpression.parse(utc, now: now, zone: .utc)))
    }

    @Test func `an hour that the clock skips or repeats is one moment`() throws {
        // 29 March 02:30 does not exist: 01:30 UTC is 03:30 local. 25 October 02:30 exists twice.
        let skipped = try TimeExpression.parse("2026-03-29 02:30", now: now, zone: berlin)
        #expect(TimeText.rfc3339(skipped) == "2026-03-29T01:30:00.000000000Z")
        let repeated = try TimeExpression.parse("2026-10-25 02:30", now: now, zone: berlin)
        #expect(TimeText.rfc3339(repeated) == "2026-10-25T00:30:00.000000000Z")
    }

    @Test(arguments: [
        "", "soon", "1", "h", "1 fortnight ago", "2026-13-01", "2026-02-29", "25:00", "12:60",
        "2026-11-21T14:00:00Zx", "2026-11-21T14:00:00+25:00", "@-5", "@1e99", "1.2.3h",
        "5h ago ago",
        "99999999999999d",
    ])
    func `what is no time is an error that says what would be`(text: String) {
        let error = #expect(throws: TimeExpressionError.self) {
            try TimeExpression.parse(text, now: now, zone: .utc)
        }
        #expect(error?.description.contains("1 hour ago") == true)
    }

    @Test func `longer ago than 1970 is 1970`() throws {
        #expect(try TimeExpression.parse("30000d", now: now, zone: .utc) == 0)
    }

    @Test(
        arguments: [
            ("250ms", 250_000_000), ("1.5s", 1_500_000_000), ("10m", 600_000_000_000),
            ("3 µs", 3_000), ("1m30s", 90_000_000_000),
        ] as [(String, UInt64)])
    func `a length of time is understood`(text: String, length: UInt64) throws {
        #expect(try DurationExpression.parse(text) == length)
    }

    @Test func `every day from 1970 to 2400 survives the calendar`() {
        for day in stride(from: Int64(0), to: 157_000, by: 1) {
            let time = CivilTime(localSeconds: day * 86_400 + 3_723)
            #expect(time.localSeconds == day * 86_400 + 3_723)
        }
        let leap = CivilTime(localSeconds: 951_782_400)
        #expect((leap.year, leap.month, leap.day) == (2000, 2, 29))
    }

    @Test func `people see the time of day, and the date when it is another day`() {
        let text = TimeText(zone: berlin, now: now)
        #expect(text.short(now) == "15:30:15.250")
        #expect(text.short(now - 24 * hour) == "2026-11-20 15:30:15.250")
    }
}
