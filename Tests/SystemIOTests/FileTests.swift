import SystemIO
import Testing

@Suite struct FileTests {
    @Test func `what is written is read, and errors name call and path`() throws {
        let scratch = try Scratch()
        let path = scratch.path + "/file"
        do {
            let file = try Files.open(path, [.readWrite, .exclusive])
            try file.write(([1, 2, 3] as [UInt8]).span.bytes, at: 5)
            #expect(try file.size() == 8)
            var bytes = [UInt8](repeating: 9, count: 10)
            #expect(try file.read(into: &bytes, range: 1..<10, at: 4) == 4)
            #expect(bytes == [9, 0, 1, 2, 3, 9, 9, 9, 9, 9])
            try file.allocate(0..<100)
            #expect(try file.size() == 100)
            try file.setSize(6)
            try file.syncData()
        }
        #expect(try Files.read(path, limit: 10) == [0, 0, 0, 0, 0, 1])
        #expect(throws: SystemError(errno: 27, operation: .read, path: path)) {
            try Files.read(path, limit: 5)
        }
        do {
            _ = try Files.open(path, [.readWrite, .exclusive])
            Issue.record("was made twice")
        } catch {
            #expect(error.alreadyExists)
            #expect(error.description == "open \(path): File exists (17)")
        }
    }

    @Test func `a link is not followed, and facts tell what a file is`() throws {
        let scratch = try Scratch()
        let path = scratch.path + "/file"
        try Files.replace(path, with: [7])
        let child = try ChildProcess.start(
            "ln", arguments: ["ln", "-s", path, scratch.path + "/link"])
        #expect(try child.wait() == .exited(0))
        #expect(throws: SystemError.self) {
            _ = try Files.open(scratch.path + "/link", [.read, .noFollow])
        }
        #expect(try Files.facts(scratch.path + "/link", following: false).kind == .symbolicLink)
        let facts = try Files.facts(path)
        #expect(facts.kind == .regular && facts.mode == 0o600 && facts.links == 1)
        #expect(facts.uid == ThisProcess.euid && facts.size == 1)
        #expect(try Files.list(scratch.path) == ["file", "link"])
        #expect(try Files.remove(scratch.path + "/link"))
        #expect(try !Files.remove(scratch.path + "/link"))
    }

    @Test func `one lock has one holder`() throws {
        let scratch = try Scratch()
        let first = try Files.open(scratch.path + "/lock", [.readWrite, .create])
        let second = try Files.open(scratch.path + "/lock", [.readWrite])
        #expect(try first.lock())
        #expect(try !second.lock())
    }

    @Test func `a directory storage does what the log needs`() throws {
        let scratch = try Scratch()
        let storage = try DirectoryStorage(creating: scratch.path)
        let file = try storage.open("a", .createNew)
        try file.write(([1, 2] as [UInt8]).span.bytes, at: 0)
        try file.sync()
        try storage.rename("a", to: "b")
        try storage.syncNames()
        #expect(try storage.list() == ["b"])
        let again = try storage.open("b", .read)
        #expect(try again.size() == 2)
        #expect(try storage.remove("b"))
        // An open file lives on without a name.
        var bytes: [UInt8] = [0, 0]
        #expect(try again.read(into: &bytes, range: 0..<2, at: 0) == 2)
        #expect(try storage.space().total > 0)
    }
}
