import ByteCoding
import SystemIO

/// Why a file cannot be written: a sentence.
struct FileProblem: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }

    init(_ error: SystemError) {
        description = error.description + (error.remedy.map { "; \($0)" } ?? "")
    }
}

/// The open file: a regular one of our own user, that nobody else may write, and locked.
package final class OutputFile {
    /// Bytes that are looked at together.
    private static let chunk = 1 << 20

    let path: String
    let inode: UInt64
    private let descriptor: FileDescriptor

    /// Opens or makes it, with the directories above it. A symbolic link, a file that others may write, or a
    /// directory where others may put one in its place, is refused.
    init(_ path: String) throws(FileProblem) {
        self.path = path
        let directory = Self.directory(of: path)
        do throws(SystemError) {
            try Files.makeDirectories(directory)
            if let reason = Self.unsafety(ofDirectory: try Files.facts(directory)) {
                throw .init(errno: 0, operation: .open, path: reason)
            }
            descriptor = try Files.open(
                path, [.readWrite, .create, .append, .noFollow, .nonBlocking])
            let facts = try Files.facts(descriptor)
            inode = facts.inode
            if let reason = Self.unsafety(of: facts) {
                throw .init(errno: 0, operation: .open, path: reason)
            }
            guard try descriptor.lock() else {
                throw .init(errno: 0, operation: .lock, path: "another process writes it")
            }
        } catch {
            // Our own reasons have no number.
            if error.errno != 0 { throw FileProblem(error) }
            throw FileProblem("\(path): \(error.path ?? "")")
        }
    }

    /// What stands at a path, or on the way to it, and is nothing to write records to, whoever writes; nil: nothing.
    package static func obstacle(at path: String) -> String? {
        do throws(SystemError) {
            switch try Files.facts(path, following: false).kind {
            case .regular: return nil
            case .directory: return "is a directory; name a file in it"
            case .symbolicLink:
                return "is a symbolic link, which is not followed; name the file itself"
            case .pipe: return "is a FIFO; name a file, or a path where nothing is yet"
            case .device: return "is a device; name a file, or a path where nothing is yet"
            case .socket, .other: return "is no file; name one, or a path where nothing is yet"
            }
        } catch {
            let above = directory(of: path)
            return above == path ? nil : obstacle(above: above)
        }
    }

    private static func obstacle(above path: String) -> String? {
        do throws(SystemError) {
            let isDirectory = try Files.facts(path).kind == .directory
            return isDirectory
                ? nil : "is below \(path), which is no directory; choose another path"
        } catch {
            // Missing directories are made.
            let above = directory(of: path)
            return path == above ? nil : obstacle(above: above)
        }
    }

    /// What tells one file from another: by whatever way two paths lead to it, it is the same.
    package static func identity(of path: String) -> String {
        do throws(SystemError) {
            let facts = try Files.facts(path)
            return "\(facts.device):\(facts.inode)"
        } catch {
            let directory = directory(of: path)
            do throws(SystemError) {
                return try Files.resolve(directory) + path.dropFirst(directory.count)
            } catch {
                return path
            }
        }
    }

    static func directory(of path: String) -> String {
        let above = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
        return above.isEmpty ? "/" : above
    }

    private static func unsafety(ofDirectory facts: FileFacts) -> String? {
        if facts.kind != .directory { return "its directory is none" }
        if facts.uid != 0, facts.uid != ThisProcess.euid {
            return "its directory belongs to uid \(facts.uid)"
        }
        let isSticky = facts.mode & 0o1000 != 0
        return facts.mode & 0o022 == 0 || isSticky
            ? nil
            : "others may write in its directory; take that right away, or choose another path"
    }

    private static func unsafety(of facts: FileFacts) -> String? {
        if facts.kind != .regular { return "it is no regular file" }
        if facts.uid != ThisProcess.euid { return "it belongs to uid \(facts.uid)" }
        if facts.links > 1 { return "it has \(facts.links) names" }
        return facts.mode & 0o022 == 0 ? nil : "others may write it; take that right away"
    }

    /// Bytes.
    func size() throws(FileProblem) -> UInt64 {
        try translated { () throws(SystemError) in try descriptor.size() }
    }

    /// Whether the path leads to it still.
    func isNamed() -> Bool {
        do throws(SystemError) {
            return try Files.facts(path, following: false).inode == inode
        } catch {
            // Only what is surely gone is made anew.
            return !error.isNotFound
        }
    }

    /// Writes at its end, all or nothing: `length` is where that is.
    func append(_ bytes: [UInt8], length: UInt64) throws(FileProblem) {
        do throws(SystemError) {
            try descriptor.writeAll(bytes.span.bytes)
        } catch {
            try cut(to: length)
            throw FileProblem(error)
        }
    }

    /// Takes away what stands behind a length.
    func cut(to length: UInt64) throws(FileProblem) {
        try translated { () throws(SystemError) in
            if try descriptor.size() > length { try descriptor.setSize(length) }
        }
    }

    /// Returns once all that was written, and the file's name, survive loss of power.
    func sync() throws(FileProblem) {
        try translated { () throws(SystemError) in try descriptor.syncData() }
    }

    /// Returns once names in its directory survive loss of power.
    func syncName() throws(FileProblem) {
        try translated { () throws(SystemError) in
            try Files.syncDirectory(Self.directory(of: path))
        }
    }

    /// The checksum of a range; nil if the file is shorter.
    func checksum(_ range: Range<UInt64>) throws(FileProblem) -> UInt32? {
        var crc: UInt32 = 0
        var complete = true
        try read(range) { bytes in
            crc = crc32c(bytes.span.bytes, seed: crc)
        } missing: {
            complete = false
        }
        return complete ? crc : nil
    }

    /// Gives a range's bytes in pieces, or says that they are not all there.
    func read(
        _ range: Range<UInt64>, _ take: ([UInt8]) -> Void, missing: () -> Void = {}
    ) throws(FileProblem) {
        var position = range.lowerBound
        while position < range.upperBound {
            let count = Int(min(UInt64(Self.chunk), range.upperBound - position))
            var bytes = [UInt8](repeating: 0, count: count)
            let got = try translated { () throws(SystemError) in
                try descriptor.read(into: &bytes, range: 0..<count, at: position)
            }
            bytes.removeLast(count - got)
            if got > 0 { take(bytes) }
            if got < count { return missing() }
            position += UInt64(got)
        }
    }

    private func translated<Value>(
        _ body: () throws(SystemError) -> Value
    ) throws(FileProblem) -> Value {
        do throws(SystemError) { return try body() } catch { throw FileProblem(error) }
    }
}
