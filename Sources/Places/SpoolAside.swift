package import SystemIO

/// Keeps spool files of which not all could be taken, where they were, under another name: to be looked
/// at (spool.md, "Damage").
package enum SpoolAside {
    /// The suffix of a file that is kept.
    package static let suffix = ".damaged"
    /// How many files are kept in a directory, and how many bytes in them: the oldest go first.
    package static let filesMax = 8
    /// See `filesMax`.
    package static let bytesMax: UInt64 = 64 << 20

    /// Gives a spool file its other name; the new path. A rename needs no room on the disk, and the
    /// directory is private already.
    package static func keep(_ path: String) throws(SystemError) -> String {
        let slash = path.lastIndex(of: "/") ?? path.startIndex
        let stem = path.hasSuffix(".spool") ? String(path.dropLast(6)) : path
        let other = stem + suffix
        try Files.rename(path, to: other)
        try makeRoom(in: String(path[..<slash]))
        return other
    }

    private static func makeRoom(in directory: String) throws(SystemError) {
        var kept: [(path: String, facts: FileFacts)] = []
        for name in try Files.list(directory) where name.hasSuffix(suffix) {
            let path = directory + "/" + name
            do {
                let facts = try Files.facts(path, following: false)
                if facts.kind == .regular { kept.append((path, facts)) }
            } catch {
                // Another drainer made room meanwhile.
                guard error.isNotFound else { throw error }
            }
        }
        kept.sort { ($0.facts.modified, $0.path) > ($1.facts.modified, $1.path) }
        var bytes: UInt64 = 0
        for (number, file) in kept.enumerated() {
            bytes += file.facts.size
            if number >= filesMax || bytes > bytesMax { _ = try Files.remove(file.path) }
        }
    }
}
