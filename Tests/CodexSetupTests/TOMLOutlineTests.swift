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

    @Test func `bytes that are no text are refused`() {
        #expect(throws: TOMLOutline.Problem.self) { try TOMLOutline([0x61, 0xFF]) }
    }
}
