import Testing

@Suite struct SizeTests {
    @Test func `a source file has at most 500 lines`() throws {
        for file in try Repository.swiftFiles(below: "Sources") {
            #expect(file.lines.count <= 501, "\(file.path) has \(file.lines.count - 1) lines")
        }
    }

    /// The formatter puts a declaration's closing brace under its first word, so that the end is the
    /// next line that has only a brace at the same depth.
    @Test func `a function has at most 100 lines`() throws {
        for file in try Repository.swiftFiles(below: "Sources") {
            for (index, line) in file.lines.enumerated() {
                let words = line.code.split(separator: " ")
                guard words.contains("func") || words.contains(where: { $0.hasPrefix("init(") }),
                    line.code.hasSuffix("{") || line.code.hasSuffix("(")
                else { continue }
                let brace = String(repeating: " ", count: line.prefix { $0 == " " }.count) + "}"
                let end = file.lines[index...].firstIndex { $0 == brace } ?? index
                #expect(end - index <= 100, "\(file.place(at: index))")
            }
        }
    }
}
