import Testing

@Suite struct WordTests {
    static let emptyNames = ["Utils", "Helper", "Manager", "Common"]

    /// A *service manager* is what systemd calls itself.
    static func saysNothing(_ name: some StringProtocol) -> Bool {
        name != "ServiceManager" && emptyNames.contains { name.contains($0) }
    }

    @Test func `no file or type has a name that says nothing`() throws {
        let keywords = ["struct", "class", "enum", "actor", "protocol", "typealias"]
        let files =
            try Repository.swiftFiles(below: "Sources") + Repository.swiftFiles(below: "Tests")
        for file in files {
            #expect(!Self.saysNothing(file.stem), "\(file.path)")
            for index in file.lines(withAnyOf: keywords.map { $0 + " " }) {
                let line = file.line(index)
                if line.isComment { continue }
                let words = line.code.split { !$0.isLetter && !$0.isNumber && $0 != "_" }
                for (keyword, name) in zip(words, words.dropFirst())
                where keywords.contains(String(keyword)) {
                    #expect(!Self.saysNothing(name), "\(file.places([index]))")
                    let isModule = file.path.hasPrefix("Sources/") && name == file.target
                    #expect(!isModule, "bears its module's name: \(file.places([index]))")
                }
            }
        }
    }

    @Test func `nothing is left for later in a comment`() throws {
        let marks = ["TO" + "DO", "FIX" + "ME", "XX" + "X:", "HA" + "CK:"]
        for file in try Repository.textFiles() {
            let found = file.lines(withAnyOf: marks)
            #expect(found.isEmpty, "\(file.places(found))")
        }
    }

    @Test func `no file names the machine it was written on`() throws {
        // A path that starts so; `/proc/PID/root/` is another matter.
        let folders = ["/work" + "/", "/ro" + "ot/"]
        var machine = ["/tmp" + "/ws"]
        for start in [" ", "\"", "'", "=", ":", "(", "`"] {
            machine += folders.map { start + $0 }
        }
        for file in try Repository.textFiles() {
            let found = file.lines(withAnyOf: machine)
            #expect(found.isEmpty, "\(file.places(found))")
        }
    }

    @Test func `sources neither crash on purpose nor force a try`() throws {
        for file in try Repository.swiftFiles(below: "Sources") {
            let found = file.lines(withAnyOf: ["fatalError(", "try!"]).filter { index in
                !file.line(index).isComment
            }
            #expect(found.isEmpty, "\(file.places(found))")
        }
    }

    /// An error that is turned into nil is one that nobody will see; a few are right.
    @Test func `few errors are turned into nil`() throws {
        var places: [String] = []
        for file in try Repository.swiftFiles(below: "Sources") {
            let found = file.lines(with: "try?").filter { !file.line($0).isComment }
            places += found.map { file.places([$0]) }
        }
        #expect(places.count <= 12, "\(places.joined(separator: "\n"))")
    }

    @Test func `every unchecked Sendable names its guard`() throws {
        for file in try Repository.swiftFiles(below: "Sources") {
            let silent = file.lines(with: "@unchecked Sendable").filter { index in
                !(max(0, index - 4)...index).contains { file.line($0).contains("//") }
            }
            #expect(silent.isEmpty, "\(file.places(silent))")
        }
    }
}
