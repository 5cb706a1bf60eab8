import Testing

@Suite struct SizeTests {
    @Test func `a source file has at most 500 lines`() throws {
        for file in try Repository.swiftFiles(below: "Sources") {
            #expect(file.lineCount <= 500, "\(file.path) has \(file.lineCount) lines")
        }
    }

    /// The formatter puts a declaration's closing brace under its first word, so that the end is the
    /// next line that has only a brace at the same depth.
    @Test func `a function has at most 100 lines`() throws {
        for file in try Repository.swiftFiles(below: "Sources") {
            for index in file.lines(withAnyOf: ["func ", " init("]) {
                let line = file.line(index)
                guard !line.isComment, line.hasSuffix("{") || line.hasSuffix("(") else { continue }
                let brace = String(repeating: " ", count: line.prefix { $0 == " " }.count) + "}"
                let end = file.nextLine(brace, from: index) ?? index
                #expect(end - index <= 100, "\(file.places([index]))")
            }
        }
    }
}
