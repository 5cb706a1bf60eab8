import SimulationKit
import Testing

@testable import Export

@Suite struct `Regular expressions` {
    func matches(_ pattern: String, _ text: String) throws -> Bool {
        try TextPattern(pattern).matches(Array(text.utf8)[...])
    }

    @Test(arguments: [
        ("abc", "xxabcxx", "abx"), ("^abc", "abcx", "xabc"), ("abc$", "xabc", "abcx"),
        ("^$", "", "a"), ("a.c", "aüc", "a\nc"), ("a|bc|", "", nil), ("^(a|bc)$", "bc", "ac"),
        ("^(?:ab)+$", "ababab", "aba"), ("^a*b?c+$", "aacc", "bbc"), ("^a{2}$", "aa", "aaa"),
        ("^a{2,}$", "aaaa", "a"), ("^a{1,3}$", "aaa", "aaaa"), ("^a{0,1}b$", "b", "aab"),
        ("a{x}", "a{x}", "ax"), ("[a-c]z", "bz", "dz"), ("[^a-c]z", "dz", "bz"),
        ("[]a]", "]", "b"), ("[a-]", "-", "b"), ("[\\d.]+$", "1.5", "x"), ("\\d\\D", "1x", "11"),
        ("^\\w+$", "a_1", "a b"), ("\\W", " ", "a"), ("\\s", "\t", "x"), ("^\\S+$", "abc", "a c"),
        ("\\bcat\\b", "a cat.", "concat"), ("\\Bcat", "concat", "cat"), ("\\.", ".", "a"),
        ("(?i)ABC", "xaBc", "abd"), ("a(?i:B)c", "abc", "abC"), ("(?s)a.b", "a\nb", "ab"),
        ("(?P<name>ab)c", "abc", "ac"), ("(?i)[a-c]+$", "AB", "D"), ("\\Aa\\z", "a", "aa"),
        ("日.語", "日本語", "日語"), ("a??b", "ab", "c"), ("^(a*)*$", "aaa", "b"),
        ("/v1/(traces|logs)$", "http://x/v1/logs", "http://x/v1/metrics"),
    ])
    func `find what they stand for`(pattern: String, yes: String, no: String?) throws {
        #expect(try matches(pattern, yes), "\(pattern) in \(yes)")
        if let no { #expect(try !matches(pattern, no), "\(pattern) in \(no)") }
    }

    @Test(arguments: [
        "(", ")", "(a", "a)", "[a", "*a", "a**", "a{2,1}", "a{9999}", "(a{100}){100}", "\\",
        "\\p{L}", "\\1", "[z-a]", "[[:alpha:]]", "(?=a)", "(?m)a", "[\\",
        String(repeating: "(", count: 50),
    ])
    func `are refused with a reason`(pattern: String) {
        #expect(throws: PatternProblem.self) { try TextPattern(pattern) }
    }

    @Test func `an expression that doubles its work elsewhere does not here`() throws {
        // Backtracking takes 2^5000 steps.
        let text = String(repeating: "a", count: 5000)
        #expect(try !matches("^(a+)+$", text + "b"))
        #expect(try !matches("^(a|aa)+$", text + "b"))
        #expect(try matches("^(a|a?)+$", text))
    }

    @Test func `random ones are as a plain matcher has it`() throws {
        var random = SeededGenerator(seed: 11)
        for _ in 0..<400 {
            // Literals, dots and stars: what a matcher of ten lines can do.
            var pattern = ""
            for _ in 0..<Int.random(in: 1...5, using: &random) {
                pattern += ["a", "b", "."].randomElement(using: &random) ?? ""
                if Bool.random(using: &random) { pattern += "*" }
            }
            let text = (0..<Int.random(in: 0...7, using: &random)).map { _ in
                ["a", "b"].randomElement(using: &random) ?? ""
            }.joined()
            let expected = plain(Array(pattern), Array(text))
            #expect(try matches("^\(pattern)$", text) == expected, "\(pattern) in \(text)")
        }
    }

    func plain(_ pattern: [Character], _ text: [Character]) -> Bool {
        guard let first = pattern.first else { return text.isEmpty }
        let isHere = text.first.map { first == "." || first == $0 } ?? false
        if pattern.count > 1, pattern[1] == "*" {
            return plain(Array(pattern.dropFirst(2)), text)
                || isHere && plain(pattern, Array(text.dropFirst()))
        }
        return isHere && plain(Array(pattern.dropFirst()), Array(text.dropFirst()))
    }
}
