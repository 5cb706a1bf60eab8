import CodexSetup
import Testing

private let base = "http://127.0.0.1:4318"

private func line(_ signal: CodexConfiguration.Signal) -> String {
    "\(signal.rawValue) = \(signal.exporter(base: base))\n"
}

private let lines = CodexConfiguration.Signal.allCases.map(line).joined()

private func edited(_ text: String) throws -> String {
    String(
        decoding: try CodexConfiguration(Array(text.utf8)).sending(to: base), as: UTF8.self)
}

@Suite struct CodexConfigurationTests {
    @Test(arguments: [
        ("", "[otel]\n" + lines),
        ("a = 1\n", "a = 1\n\n[otel]\n" + lines),
        ("a = 1", "a = 1\n\n[otel]\n" + lines),
        ("a = 1\n\n", "a = 1\n\n[otel]\n" + lines),
        // A table that is there keeps what else it says, and where it stands.
        (
            "[otel]\nenvironment = \"prod\" # mine\n\n# next\n[b]\nc = 1\n",
            "[otel]\nenvironment = \"prod\" # mine\n" + lines + "\n# next\n[b]\nc = 1\n"
        ),
        ("[otel]", "[otel]\n" + lines),
        // An exporter is replaced where it stands; its comment stays.
        (
            "[otel]\nexporter = \"none\" # off\nlog_user_prompt = false\n",
            "[otel]\nexporter = \(CodexConfiguration.Signal.logs.exporter(base: base)) # off\n"
                + "log_user_prompt = false\n" + line(.traces) + line(.metrics)
        ),
        (
            "[otel]\nexporter = { otlp-http = {\n  endpoint = \"x\" } } # c\n[z]\n",
            "[otel]\nexporter = \(CodexConfiguration.Signal.logs.exporter(base: base)) # c\n"
                + line(.traces) + line(.metrics) + "[z]\n"
        ),
        // In tables of its own.
        (
            "[otel.exporter.otlp-http]\nendpoint = \"x\"\n# why\n[otel.exporter.otlp-http.headers]\na = \"b\"\n[z]\n",
            "# why\n[z]\n\n[otel]\n" + lines
        ),
        (
            "[otel]\nexporter.otlp-http.endpoint = \"x\"\nexporter.otlp-http.protocol = \"json\"\n",
            "[otel]\n" + lines
        ),
        // Others' tables of the same names.
        (
            "[a.otel]\nexporter = 1\n[otel.span_attributes]\nexporter = \"x\"\n",
            "[a.otel]\nexporter = 1\n[otel.span_attributes]\nexporter = \"x\"\n\n[otel]\n" + lines
        ),
        (
            "a = 1\r\n",
            "a = 1\r\n\r\n[otel]\r\n" + lines.split(separator: "\n").map { $0 + "\r\n" }.joined()
        ),
    ])
    func `the three exporters are set and nothing else changes`(before: String, after: String)
        throws
    {
        #expect(try edited(before) == after)
        #expect(try edited(after) == after, "a second time")
    }

    @Test(arguments: [
        ("otel = { exporter = \"none\" }\n", 1), ("x = 1\notel.exporter = \"none\"\n", 2),
        ("[[otel]]\n", 1), ("[otel]\n[otel]\n", 2), ("[[otel.exporter]]\n", 1),
        ("[otel]\nx = [\n", 3),
    ])
    func `what is not understood is not edited`(text: String, line: Int) {
        let refusal = #expect(throws: CodexConfiguration.Refusal.self) { try edited(text) }
        #expect(refusal?.line == line)
    }

    @Test(arguments: [
        ("[otel]\nexporter = { otlp-grpc = { endpoint = \"x\" } }\n", true),
        ("[otel.exporter.otlp-grpc]\nendpoint = \"x\"\n", true),
        ("[otel.exporter]\notlp-grpc = { endpoint = \"x\" }\n", true),
        ("otel.exporter.otlp-grpc.endpoint = \"x\"\n", true),
        ("otel = { exporter = { otlp-grpc = { endpoint = \"x\" } } }\n", true),
        ("[otel]\nexporter = { otlp-http = { endpoint = \"x\" } }\n", false),
        ("[otel]\ntrace_exporter = { otlp-grpc = { endpoint = \"x\" } }\n", false),
        ("[other]\nexporter = { otlp-grpc = 1 }\n", false), ("", false),
    ])
    func `an exporter of gRPC is recognised`(text: String, expected: Bool) throws {
        #expect(try CodexConfiguration(Array(text.utf8)).isGRPC(.logs) == expected)
    }
}

@Suite struct LineDifferenceTests {
    private func difference(_ old: String, _ new: String) -> LineDifference {
        LineDifference(from: Array(old.utf8), to: Array(new.utf8))
    }

    @Test func `changes are shown as diff shows them`() {
        let old = (1...20).map { "\($0)\n" }.joined()
        let new = old.replacing("\n4\n", with: "\nfour\n").replacing("\n18\n", with: "\n")
        #expect(
            difference(old, new).unified == [
                "@@ -1,7 +1,7 @@", " 1", " 2", " 3", "-4", "+four", " 5", " 6", " 7",
                "@@ -15,6 +15,5 @@", " 15", " 16", " 17", "-18", " 19", " 20",
            ])
        #expect(difference("", "a\n").unified == ["@@ -0,0 +1 @@", "+a"])
        #expect(
            difference("a", "a\n").unified == [
                "@@ -1 +1 @@", "-a", "\\ No newline at end of file", "+a",
            ])
        #expect(difference(old, old).isEmpty)
    }

    @Test func `what was changed is found again among other changes`() {
        let old = "model = 1\n[otel]\nexporter = 1\nmore = 2\n"
        let new = "model = 1\n[otel]\nexporter = 9\nmore = 2\n"
        let made = difference(old, new)
        let undone = { (text: String) in
            made.undone(in: Array(text.utf8)).map { String(decoding: $0, as: UTF8.self) }
        }
        #expect(undone(new) == old)
        #expect(
            undone("first = 0\n" + new + "[projects.a]\n") == "first = 0\n" + old + "[projects.a]\n"
        )
        #expect(undone(new + "[projects.a]\n") == old + "[projects.a]\n")
        #expect(undone(old) == nil)
        #expect(undone("model = 1\n[otel]\nexporter = 8\nmore = 2\n") == nil)
        #expect(
            difference(old, old + "x\n").undone(in: Array((old + "x\nmore = 2\nx\n").utf8)) != nil)
    }
}

@Suite struct CodexArgumentsTests {
    @Test(arguments: [
        (["codex"], [1]), (["codex", "hello"], [1]), (["codex", "exec", "hello"], [1]),
        (["codex", "-c", "a=1", "exec", "hello"], [1]),
        (["codex", "-m", "x", "-c", "a=1", "-c", "b=2"], [3]),
        (["codex", "exec", "-c", "a=1", "-c", "b=2", "hello"], [1, 2]),
        (["codex", "exec", "--config=a=1", "resume", "-ca=2"], [1, 2, 4]),
        (["codex", "-c", "a=1", "exec", "-c", "b=2"], [1, 4]),
        (["codex", "exec", "--", "-c"], [1]), (["codex", "exec", "--color", "never"], [1]),
    ])
    func `settings stand before the first of the user's in each place`(
        words: [String], places: [Int]
    ) {
        #expect(CodexArguments.places(in: words) == places)
    }
}
