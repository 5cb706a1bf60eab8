import FoundationEssentials

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// The work tree that this test was compiled in, read as text.
enum Repository {
    /// Its top folder.
    static let root: String = {
        var parts = #filePath.split(separator: "/").map(String.init)
        parts.removeLast(3)
        return "/" + parts.joined(separator: "/")
    }()

    /// Names in a folder, given from the top.
    static func names(in folder: String) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: root + "/" + folder).sorted()
    }

    /// Paths, from the top, of all files below a folder; nothing that a build or an interpreter left.
    static func files(below folder: String) throws -> [String] {
        var found: [String] = []
        for name in try names(in: folder) {
            let path = folder + "/" + name
            var isFolder = false
            guard name != "__pycache__", !name.hasPrefix(".build"),
                FileManager.default.fileExists(atPath: root + "/" + path, isDirectory: &isFolder)
            else { continue }
            if isFolder {
                found += try files(below: path)
            } else {
                found.append(path)
            }
        }
        return found
    }

    /// Swift sources below a folder.
    static func swiftFiles(below folder: String) throws -> [SourceFile] {
        try files(below: folder).filter { $0.hasSuffix(".swift") }.map(SourceFile.init(path:))
    }

    /// Everything that people read and edit: sources, tests, scripts and documents. Golden bytes and
    /// the licence are not ours to word.
    static func textFiles() throws -> [SourceFile] {
        let binary = [".bin", ".gz", ".png", ".hex"]
        var paths = ["Package.swift", "README.md"].filter {
            FileManager.default.fileExists(atPath: root + "/" + $0)
        }
        for folder in ["Sources", "Tests", "contrib", "runbook", ".ci"]
        where FileManager.default.fileExists(atPath: root + "/" + folder) {
            paths += try files(below: folder).filter { path in
                !binary.contains { path.hasSuffix($0) } && !path.hasPrefix("Tests/TidyTests/")
            }
        }
        return try paths.map(SourceFile.init(path:))
    }
}

/// One file. It is searched by the C library: a debug build of a search in Swift takes half a minute
/// for all of the repository.
struct SourceFile {
    let path: String
    private let bytes: [UInt8]
    /// Where each line begins.
    private let starts: [Int]

    init(path: String) throws {
        self.path = path
        bytes = [UInt8](try Data(contentsOf: URL(filePath: Repository.root + "/" + path)))
        starts = [0] + Self.places(of: "\n", in: bytes).map { $0 + 1 }
    }

    /// The folder's name under Sources or Tests.
    var target: String { String(path.split(separator: "/")[1]) }

    /// The file's name without folder and extension.
    var stem: String {
        let name = path.split(separator: "/").last ?? ""
        return String(name.split(separator: ".").first ?? "")
    }

    /// How many lines end in it.
    var lineCount: Int { starts.count - 1 }

    /// A line, from 0, without its end.
    func line(_ index: Int) -> Substring {
        let end = index + 1 < starts.count ? starts[index + 1] - 1 : bytes.count
        return String(decoding: bytes[starts[index]..<end], as: UTF8.self)[...]
    }

    /// Which lines have a text, ascending, each once.
    func lines(with text: String) -> [Int] {
        var found: [Int] = []
        var index = 0
        for place in Self.places(of: text, in: bytes) {
            while index + 1 < starts.count, starts[index + 1] <= place { index += 1 }
            if found.last != index { found.append(index) }
        }
        return found
    }

    /// Which lines have one of several texts.
    func lines(withAnyOf texts: [String]) -> [Int] {
        Set(texts.flatMap { lines(with: $0) }).sorted()
    }

    /// The next line from `index` on that is exactly this.
    func nextLine(_ text: String, from index: Int) -> Int? {
        let wanted = [UInt8](text.utf8)
        return (index..<lineCount).first { next in
            starts[next + 1] - 1 - starts[next] == wanted.count
                && bytes[starts[next]..<starts[next] + wanted.count].elementsEqual(wanted)
        }
    }

    /// How lines are named in a failure.
    func places(_ indices: [Int]) -> String {
        indices.map { "\(path):\($0 + 1): \(line($0).drop { $0 == " " })" }.joined(separator: "\n")
    }

    private static func places(of text: String, in bytes: [UInt8]) -> [Int] {
        var found: [Int] = []
        (bytes + [0]).withUnsafeBytes { all in
            guard let start = all.baseAddress?.assumingMemoryBound(to: CChar.self) else { return }
            var from = start
            while let hit = strstr(from, text) {
                found.append(UnsafePointer(hit) - start)
                from = UnsafePointer(hit) + 1
            }
        }
        return found
    }
}

extension Substring {
    /// Whether the line is only a comment.
    var isComment: Bool { drop { $0 == " " }.hasPrefix("//") }

    /// The line up to a comment at its end.
    var code: Substring {
        guard let range = firstRange(of: "//") else { return self }
        return self[..<range.lowerBound]
    }
}
