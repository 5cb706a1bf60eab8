import Testing

@testable import Inspect

@Suite struct TerminalTextTests {
    @Test(arguments: [
        ("plain · text ✓", "plain · text ✓"),
        ("\u{1b}]0;owned\u{07}", "\\x1B]0;owned\\x07"),
        ("a\u{9b}2Jb", "a\\x9B2Jb"),
        ("one\ntwo\r\tx\u{7f}", "one\\ntwo\\r\\tx\\x7F"),
        ("\u{202e}gpj.exe", "\\u{202E}gpj.exe"),
        ("zero\u{200b}width\u{feff}", "zero\\u{200B}width\\u{FEFF}"),
        ("line\u{2028}sep", "line\\u{2028}sep"),
    ])
    func `what controls a terminal is written out`(text: String, safe: String) {
        #expect(TerminalText.safe(text) == safe)
    }

    @Test func `no scalar of the first 3,000 gets through as a control`() {
        for value in UInt32(0)..<3_000 {
            guard let scalar = Unicode.Scalar(value) else { continue }
            let safe = TerminalText.safe(String(scalar))
            #expect(
                !safe.unicodeScalars.contains { $0.properties.generalCategory == .control },
                "U+\(String(value, radix: 16))")
        }
    }

    @Test(arguments: [("abc", 3), ("é", 1), ("e\u{301}", 1), ("日本", 4), ("👍", 2), ("✓", 1)])
    func `columns are a terminal's`(text: String, columns: Int) {
        #expect(TerminalText.columns(text) == columns)
    }

    @Test func `what does not fit is cut, never in the middle of a character`() {
        #expect(TerminalText.cut("abcdef", to: 4) == "abc…")
        #expect(TerminalText.cut("日本語", to: 4) == "日…")
        #expect(TerminalText.cut("abc", to: 3) == "abc")
        #expect(TerminalText.cut("abc", to: 0) == "")
        #expect(TerminalText.fitted("ab", to: 4) == "ab  ")
        #expect(TerminalText.fitted("ab", to: 4, rightAligned: true) == "  ab")
    }

    @Test func `colour is for terminals that want it`() {
        func style(_ isTerminal: Bool, _ variables: [String: String]) -> Style {
            Style(isTerminal: isTerminal, width: 100) { variables[$0] }
        }
        #expect(style(true, [:]).hasColour)
        #expect(!style(false, [:]).hasColour)
        #expect(!style(true, ["NO_COLOR": "1"]).hasColour)
        #expect(style(true, ["NO_COLOR": ""]).hasColour)
        #expect(!style(true, ["TERM": "dumb"]).hasColour)
        #expect(style(true, [:]).paint("x", .bad) == "\u{1b}[31mx\u{1b}[0m")
        #expect(style(false, [:]).paint("x", .bad) == "x")
        #expect(style(true, [:]).width == 100)
        #expect(style(false, [:]).width == 80)
    }
}

@Suite struct IDQueryTests {
    private let ids = [
        "4bf92f3577b34da6a3ce929d0e0e4736", "4bf92f3577b34da6a3ce929d0e0e9999",
        "00000000000000000000000000000001",
    ]

    @Test func `an unambiguous prefix or suffix names an id`() {
        #expect(IDQuery("0000")?.resolve(ids) == .one(ids[2]))
        #expect(IDQuery("4736")?.resolve(ids) == .one(ids[0]))
        #expect(IDQuery("…4736")?.resolve(ids) == .one(ids[0]))
        #expect(IDQuery("4BF92F35-77B34da6a3ce929d0e0e4736")?.resolve(ids) == .one(ids[0]))
        #expect(IDQuery("ffff")?.resolve(ids) == IDQuery.Resolution.none)
    }

    @Test func `an ambiguous one is answered with what it could mean`() {
        #expect(IDQuery("4bf9")?.resolve(ids) == .several([ids[0], ids[1]], count: 2))
    }

    @Test(arguments: ["", "xyz", "…", "123456789012345678901234567890123"])
    func `what is no part of an id is refused`(text: String) {
        #expect(IDQuery(text) == nil)
    }
}
