import CodexSetup
import Testing

private func keys(_ text: String) throws -> [[String]] {
    try TOMLOutline(Array(text.utf8)).statements.map(\.key)
}

@Suite struct TOMLOutlineTests {
    @Test func `tables and keys are found whatever their values hold`() throws {
        let text = #"""
            # [not.a.table]
            model = "a # b \" [c]" # comment
            path = 'C:\[x]'
            when = 1979-05-27 07:32:00
            long = """
            [no]
            x = "y" \
              \"""
            """""
            raw = '''
            [no]
            '''
            list = [ # ]
              "]", { a = [1] },
            ]
            [a."b.c".d] # [e]
            x.'y z' = {k = "}", l = {}}
            [[rows]]
              n=1
            """#
        #expect(
            try keys(text) == [
                ["model"], ["path"], ["when"], ["long"], ["raw"], ["list"], ["a", "b.c", "d"],
                ["x", "y z"], ["rows"], ["n"],
            ])
    }

    @Test func `a statement knows its lines and its value`() throws {
        let bytes = Array("a = [\n1,\n] # c\n[t]\r\nb = 2\r\n".utf8)
        let outline = try TOMLOutline(bytes)
        #expect(outline.statements.map(\.lines) == [0..<3, 3..<4, 4..<5])
        guard case .pair(let value) = outline.statements[0].kind else {
            Issue.record("no pair")
            return
        }
        #expect(String(decoding: bytes[value], as: UTF8.self) == "[\n1,\n]")
    }

    @Test(arguments: [
        ("a", 1), ("a =", 1), ("a = \n", 1), ("\na = \"x\n", 2), ("a = [1\n", 2), ("a = [}", 1),
        ("[a", 1), ("[a] b", 1), ("a = \"\"\"x", 1), ("a = \"x\" y", 1), ("= 1", 1),
        ("\"a\\u0041\" = 1", 1), ("a..b = 1", 1), ("{", 1),
    ])
    func `what is not understood is told with its line`(text: String, line: Int) {
        let problem = #expect(throws: TOMLOutline.Problem.self) {
            try TOMLOutline(Array(text.utf8))
        }
        #expect(problem?.line == line)
    }

    @Test(arguments: [
        ("a = yes", 1), ("a = 01", 1), ("a = 1.", 1), ("a = 1 b = 2", 1), ("a = 2024-1-01", 1),
        ("a = [1 2]", 1), ("a = [\n1\n2]", 3), ("a = [,]", 1), ("a = {b = 1 c = 2}", 1),
        ("a = {b}", 1), ("a = {b = 1, b = 2}", 1), (#"a = "C:\q""#, 1), (#"a = "\ud800""#, 1),
        ("a = \"\u{1}\"", 1), ("a = 1\na = 2", 2), ("a = 1\n[a]", 2), ("a = 1\n[a.b]", 2),
        ("[a]\n[b]\n[a]", 3), ("[a]\n[[a]]", 2), ("[[a]]\n[a]", 2), ("[a.b]\n[a]\nb = 1", 3),
        ("a.b = 1\na.b.c = 2", 2), ("a.b = 1\n[a]", 2), ("[a]\nb.c = 1\nb.c = 2", 3),
        ("a = " + String(repeating: "[", count: 100_000), 1),
    ])
    func `what is no TOML is told with its line`(text: String, line: Int) {
        let problem = #expect(throws: TOMLOutline.Problem.self) {
            try TOMLOutline(Array(text.utf8))
        }
        #expect(problem?.line == line, "\(problem?.what ?? "")")
    }

    @Test(arguments: [
        "a = [true, false, +1, -0, 1_000, 0xdead_BEEF, 0o7, 0b1, 1e5, -3.14e-2, +inf, nan]",
        "a = [1979-05-27T07:32:00.5Z, 1979-05-27 07:32:00-07:00, 1979-05-27, 07:32:00,]",
        "a = { b = { }, c.d = [], c.e = [{}, # x\n {f = 1}] }", #"a = "\t\u00E9\U0001F600\\""#,
        "a = \"\"\"x\\  \n  y\"\"\"", "a = 'C:\\q'", "[a.b]\nc = 1\n[a]\nd = 1",
        "[[a]]\nb = 1\n[a.c]\nb = 1\n[[a]]\nb = 1\n[a.c]\n[[a.d]]\n[[a.d]]",
        "[a]\nb.c = 1\nb.d = 2\n[a.b.e]", "\r\na = 1\r\n[b] # c\r\na = [\r\n1\r\n]",
    ])
    func `what is TOML is understood`(text: String) throws {
        #expect(try !keys(text).isEmpty)
    }

    @Test func `bytes that are no text are refused`() {
        #expect(throws: TOMLOutline.Problem.self) { try TOMLOutline([0x61, 0xFF]) }
    }
}
