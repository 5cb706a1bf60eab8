import Testing

@testable import Meaning

@Suite struct TextFormatTests {
    @Test(arguments: [
        (0, "0 s"), (7, "7 ns"), (999, "999 ns"), (1000, "1.00 µs"), (9994, "9.99 µs"),
        (9995, "10.0 µs"), (99_949, "99.9 µs"), (99_950, "100 µs"), (999_499, "999 µs"),
        (999_500, "1.00 ms"), (12_345_678, "12.3 ms"), (350_000_000, "350 ms"),
        (999_500_000, "1.00 s"), (1_240_312_000, "1.24 s"), (59_900_000_000, "59.9 s"),
        (59_950_000_000, "1 min"), (125_000_000_000, "2 min 5 s"),
        (3_720_000_000_000, "1 h 2 min"), (273_600_000_000_000, "3 d 4 h"),
        (UInt64.max, "213503 d 23 h"),
    ])
    func `a duration has three digits and the unit that fits`(nanoseconds: UInt64, text: String) {
        #expect(TextFormat.duration(nanoseconds: nanoseconds) == text)
    }

    @Test(arguments: [
        (0, "0.000"), (1_240_312_000, "1240.312"), (999_999, "0.999"), (1_000_000, "1.000"),
    ])
    func `milliseconds are decimal with three places`(nanoseconds: UInt64, text: String) {
        let shown = TextFormat.text {
            TextFormat.milliseconds(nanoseconds: nanoseconds, into: &$0)
        }
        #expect(shown == text)
    }

    @Test(arguments: [
        (0, "1970-01-01T00:00:00.000000000Z"),
        (951_782_400_000_000_001, "2000-02-29T00:00:00.000000001Z"),
        (1_763_724_554_123_456_789, "2025-11-21T11:29:14.123456789Z"),
        (UInt64.max, "2554-07-21T23:34:33.709551615Z"),
    ])
    func `a time is RFC 3339 in UTC with nanoseconds`(nanoseconds: UInt64, text: String) {
        #expect(TextFormat.timestamp(nanoseconds: nanoseconds) == text)
    }

    @Test(arguments: [
        ("plain", "plain"), ("a\u{1B}[31mred", "a\u{FFFD}[31mred"), ("two\nlines\t", "two lines "),
        ("\u{9B}c1", "\u{FFFD}c1"), ("del\u{7F}", "del\u{FFFD}"),
        ("\u{202E}gpj.exe", "\u{FFFD}gpj.exe"), ("grüße", "grüße"),
    ])
    func `nothing that steers a terminal is printed`(text: String, shown: String) {
        #expect(PrintableText.text(text) == shown)
    }

    @Test func `long text is cut between characters and says so`() {
        #expect(PrintableText.text("üüüüüüüü", limit: 10) == "üüü…")
        #expect(PrintableText.text("0123456789", limit: 10) == "0123456789")
        #expect(PrintableText.text("0123456789a", limit: 10) == "0123456…")
    }
}
