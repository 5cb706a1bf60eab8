import ByteCoding
import Meaning
import Testing

@testable import Inspect

private let plain = Style(isTerminal: false, width: nil) { _ in nil }
private let times = TimeText(zone: .utc, now: fixtureTime)

@Suite struct RecordLineTests {
    @Test func `a record is a line of time, trace, mark and sentence`() throws {
        let line = RecordLine(style: plain, times: times, isCut: false)
        #expect(
            try fixtureRecords().map(line.text) == [
                "14:00:00.000 0e0e4736 ✗ tool shell error (tool_failed) in 1.24 s · session …77778888 · codex-cli",
                "14:00:00.100 0e0e4736 ✓ command make ok in 320 ms · session …77778888 · codex-cli",
                "14:00:00.200 0e0e4736   deploy.finished · session …77778888 · codex-cli",
                "14:00:00.300            codex.tokens = 42 {token} · session …77778888 · codex-cli",
            ])
    }

    @Test func `on a terminal a line ends at its width, in colour`() throws {
        let style = Style(isTerminal: true, width: 80) { _ in nil }
        let line = RecordLine(style: style, times: times, isCut: true)
        let text = line.text(try fixtureRecords()[0])
        #expect(text.contains("\u{1b}[31m✗\u{1b}[0m"))
        let bare = text.replacing(/\u{1b}\[[0-9]*m/, with: "")
        #expect(TerminalText.columns(bare) == 80)
        #expect(bare.hasSuffix("…"))
    }

    @Test(arguments: [
        "\u{1b}]0;owned\u{07}", "a\u{9b}2Jb", "x\ny", "\u{202e}gpj", "\r\u{8}\u{7f}", "\u{2028}",
    ])
    func `no text of a peer controls the terminal`(hostile: String) throws {
        let line = RecordLine(style: plain, times: times, isCut: false)
        var json = RecordJSON()
        let screen = TraceScreen(
            id: fixtureTrace.hex, records: try fixtureRecords(tool: hostile), style: plain,
            times: times)
        var shown = screen.lines().flatMap { $0.split(separator: "\n").map(String.init) }
        for record in try fixtureRecords(tool: hostile) {
            shown.append(line.text(record))
            let escaped = JSONForTerminal.escaped(json.line(record))
            shown.append(String(decoding: escaped.dropLast(), as: UTF8.self))
        }
        for text in shown {
            #expect(!text.unicodeScalars.contains(where: TerminalText.isControl), "\(text)")
        }
    }
}

@Suite struct RecordJSONTests {
    @Test func `a span is one object with every field`() throws {
        var json = RecordJSON()
        let line = String(decoding: json.line(try fixtureRecords()[0]), as: UTF8.self)
        let expected =
            #"{"schema":1,"record":"span","time":"2026-11-21T14:00:00.000000000Z","#
            + #""message":"tool shell error (tool_failed) in 1.24 s · session …77778888 · codex-cli","#
            + #""operation":"codex.tool","status":"error","name":"codex.tool","subject":"shell","#
            + #""error_type":"tool_failed","service":"codex-cli","#
            + #""session_id":"11112222333344445555666677778888","originator":"codex_cli_rs","#
            + #""originator_class":"cli","duration_ms":1240.000,"duration_ns":1240000000,"#
            + #""trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","span_id":"00000000000000aa","#
            + #""kind":"internal","start":"2026-11-21T14:00:00.000000000Z","#
            + #""end":"2026-11-21T14:00:01.240000000Z","span_status":"error","#
            + #""attributes":{"gen_ai.tool.name":"shell","error.type":"tool_failed","n":3,"#
            + #""raw":{"base64":"AP8Q"}},"attributes_repeated":[{"key":"n","value":"again"}],"#
            + #""resource":{"attributes":{"service.name":"codex-cli","#
            + #""session.id":"11112222333344445555666677778888","originator":"codex_cli_rs"}},"#
            + #""log_id":"00000000000000050000000000000006","offset":"3:8256.0","#
            + #""received":"2026-11-21T14:00:00.400000000Z","receiver":"socket","#
            + #""peer":{"uid":1000,"gid":1000,"pid":4711,"start_ticks":99},"#
            + #""producer":"00000000000000010000000000000002","sequence":1}"# + "\n"
        #expect(line == expected)
    }

    @Test func `an event has its body, a point its value`() throws {
        var json = RecordJSON()
        let lines = try fixtureRecords().map { String(decoding: json.line($0), as: UTF8.self) }
        #expect(
            lines[2].contains(#""severity":9,"event_name":"deploy.finished","body":"all is well""#))
        #expect(lines[3].contains(#""metric_kind":"sum","unit":"{token}","temporality":"delta""#))
        #expect(lines[3].contains(#""monotonic":true,"value":42"#))
    }

    @Test(
        arguments: [
            ([], ""), ([0], "AA=="), ([0, 255], "AP8="), ([0, 255, 16], "AP8Q"),
        ] as [([UInt8], String)])
    func `bytes are base64`(bytes: [UInt8], text: String) {
        #expect(Base64.text(bytes[...]) == text)
    }
}

@Suite struct RecordFilterTests {
    private static let all = [
        "codex.tool", "codex.command", "deploy.finished", "codex.tokens",
    ]

    private func names(_ set: (inout RecordFilter) -> Void) throws -> [String] {
        var filter = RecordFilter()
        set(&filter)
        return try fixtureRecords(filter).map { $0.batch.string($0.meaning.name) ?? "" }
    }

    @Test func `without restrictions everything is wanted`() throws {
        #expect(try names { _ in } == Self.all)
        #expect(RecordFilter().isUnrestricted)
    }

    @Test func `each restriction leaves what it says`() throws {
        #expect(
            try names { $0.names = ["codex.*"] } == ["codex.tool", "codex.command", "codex.tokens"])
        #expect(try names { $0.names = ["deploy.finished"] } == ["deploy.finished"])
        #expect(try names { $0.operations = [.command] } == ["codex.command"])
        #expect(try names { $0.services = ["codex-cli"] } == Self.all)
        #expect(try names { $0.services = ["codex"] } == [])
        #expect(try names { $0.sessions = ["…77778888"] } == Self.all)
        #expect(try names { $0.sessions = ["1111"] } == Self.all)
        #expect(try names { $0.sessions = ["3333"] } == [])
        #expect(try names { $0.originators = ["codex_cli_rs"] } == Self.all)
        #expect(try names { $0.onlyErrors = true } == ["codex.tool"])
        #expect(try names { $0.durationMin = 320_000_000 } == ["codex.tool", "codex.command"])
        #expect(try names { $0.durationMin = 320_000_001 } == ["codex.tool"])
        #expect(try names { $0.trace = IDQuery("4736") } == Array(Self.all.prefix(3)))
        #expect(try names { $0.since = fixtureTime + 200_000_000 } == Array(Self.all.suffix(2)))
        #expect(try names { $0.until = fixtureTime + 200_000_000 } == Array(Self.all.prefix(2)))
    }

    @Test func `an envelope is enough to pass over what is too old or too new`() throws {
        let envelope = try fixtureEntry(fixtureBatch()).envelope
        var filter = RecordFilter()
        filter.since = fixtureTime + 400_000_000
        #expect(filter.mayWant(envelope))
        filter.since = fixtureTime + 400_000_001
        #expect(!filter.mayWant(envelope))
        filter.since = nil
        filter.until = fixtureTime
        #expect(!filter.mayWant(envelope))
    }

    @Test(arguments: [
        ("a*c", "abc", true), ("a*c", "ac", true), ("a*c", "acb", false), ("*", "", true),
        ("*a*a*", "aa", true), ("*a*a*", "a", false), ("ab*ba", "aba", false), ("", "", true),
        ("a", "A", false), ("**", "x", true),
    ])
    func `a star stands for anything`(pattern: String, text: String, isMatch: Bool) {
        #expect(RecordFilter.glob(pattern, text) == isMatch)
    }
}
