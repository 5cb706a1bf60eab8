import FoundationEssentials

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

/// One file as lines.
struct SourceFile {
    let path: String
    let lines: [Substring]

    init(path: String) throws {
        self.path = path
        let bytes = try Data(contentsOf: URL(filePath: Repository.root + "/" + path))
        lines = String(decoding: bytes, as: UTF8.self)
            .split(separator: "\n", omittingEmptySubsequences: false)
    }

    /// The folder's name under Sources or Tests.
    var target: String { String(path.split(separator: "/")[1]) }

    /// The file's name without folder and extension.
    var stem: String {
        let name = path.split(separator: "/").last ?? ""
        return String(name.split(separator: ".").first ?? "")
    }

    /// Where lines satisfy a condition, as `path:line: text`.
    func places(where condition: (Substring) -> Bool) -> [String] {
        lines.indices.filter { condition(lines[$0]) }.map { place(at: $0) }
    }

    /// How a line is named in a failure.
    func place(at index: Int) -> String {
        "\(path):\(index + 1): \(lines[index].drop { $0 == " " })"
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
