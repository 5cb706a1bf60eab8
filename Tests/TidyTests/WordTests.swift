import Testing

@Suite struct WordTests {
    static let emptyNames = ["Utils", "Helper", "Manager", "Common"]

    /// A *service manager* is what systemd calls itself.
    static func saysNothing(_ name: some StringProtocol) -> Bool {
        name != "ServiceManager" && emptyNames.contains { name.contains($0) }
    }

    @Test func `no file or type has a name that says nothing`() throws {
        let keywords: Set = ["struct", "class", "enum", "actor", "protocol", "typealias"]
        for file in try Repository.swiftFiles(below: "Sources")
            + Repository.swiftFiles(below: "Tests")
        {
            #expect(!Self.saysNothing(file.stem), "\(file.path)")
            for (index, line) in file.lines.enumerated() where !line.isComment {
                let words = line.code.split { !$0.isLetter && !$0.isNumber && $0 != "_" }
                for (keyword, name) in zip(words, words.dropFirst())
                where keywords.contains(String(keyword)) {
                    let empty = Self.saysNothing(name)
                    #expect(!empty, "\(file.place(at: index))")
                    let isModule = file.path.hasPrefix("Sources/") && name == file.target
                    #expect(!isModule, "a type bears its module's name: \(file.place(at: index))")
                }
            }
        }
    }

    @Test func `nothing is left for later in a comment`() throws {
        let marks = ["TO" + "DO", "FIX" + "ME", "XX" + "X:", "HA" + "CK:"]
        for file in try Repository.textFiles() {
            let places = file.places { line in marks.contains { line.contains($0) } }
            #expect(places.isEmpty, "\(places.joined(separator: "\n"))")
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
            let places = file.places { line in machine.contains { line.contains($0) } }
            #expect(places.isEmpty, "\(places.joined(separator: "\n"))")
        }
    }

    @Test func `sources neither crash on purpose nor force a try`() throws {
        for file in try Repository.swiftFiles(below: "Sources") {
            let places = file.places { line in
                line.code.contains("fatalError(") || line.code.contains("try!")
            }
            #expect(places.isEmpty, "\(places.joined(separator: "\n"))")
        }
    }

    /// An error that is turned into nil is one that nobody will see; a few are right.
    @Test func `few errors are turned into nil`() throws {
        let places = try Repository.swiftFiles(below: "Sources").flatMap { file in
            file.places { $0.code.contains("try?") }
        }
        #expect(places.count <= 12, "\(places.joined(separator: "\n"))")
    }

    @Test func `every unchecked Sendable names its guard`() throws {
        for file in try Repository.swiftFiles(below: "Sources") {
            for (index, line) in file.lines.enumerated()
            where line.code.contains("@unchecked Sendable") {
                let above = file.lines[max(0, index - 3)..<index]
                let commented = line.contains("//") || above.contains { $0.isComment }
                #expect(commented, "\(file.place(at: index))")
            }
        }
    }
}
