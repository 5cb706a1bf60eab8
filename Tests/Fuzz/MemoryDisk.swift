import Synchronization
import SystemIO

/// A directory tree in memory, without failures: files of the log's as an input wants them. Zeros beyond a
/// file's last written byte take no memory, as in a sparse file.
final class MemoryDisk: Sendable {
    struct Content {
        var bytes: [UInt8] = []
        var size: UInt64 = 0
    }

    /// By folder, then by name: the log lists its folders often.
    let folders = Mutex<[String: [String: MemoryFile]]>([:])

    /// The state directory.
    var root: MemoryStorage { MemoryStorage(disk: self, path: "") }

    /// Puts a file there, as `folder/name`.
    func put(_ path: String, _ bytes: [UInt8]) {
        let (folder, name) = Self.split(path)
        folders.withLock { $0[folder, default: [:]][name] = MemoryFile(bytes) }
    }

    /// A file's bytes, nil if there is none.
    func content(_ path: String) -> [UInt8]? {
        let (folder, name) = Self.split(path)
        return folders.withLock { $0[folder]?[name] }.map { $0.whole }
    }

    private static func split(_ path: String) -> (folder: String, name: String) {
        let parts = path.split(separator: "/", maxSplits: 1)
        return (String(parts.first ?? ""), String(parts.last ?? ""))
    }

    /// Names in a folder.
    func names(_ folder: String) -> [String] {
        folders.withLock { Array($0[folder, default: [:]].keys) }.sorted()
    }
}

/// One folder.
struct MemoryStorage: Storage {
    let disk: MemoryDisk
    let path: String

    var place: String { "memory:/" + path }

    func list() throws(SystemError) -> [String] { disk.names(path) }

    func directory(_ name: String, create: Bool) throws(SystemError) -> any Storage {
        MemoryStorage(disk: disk, path: path.isEmpty ? name : path + "/" + name)
    }

    func open(_ name: String, _ mode: StorageOpenMode) throws(SystemError) -> any StorageFile {
        try disk.folders.withLock { folders throws(SystemError) -> MemoryFile in
            let found = folders[path]?[name]
            switch mode {
            case .read, .readWrite:
                guard let found else {
                    throw SystemError(errno: 2, operation: .open, path: name)
                }
                return found
            case .createNew:
                if found != nil { throw SystemError(errno: 17, operation: .open, path: name) }
            case .replace: break
            }
            let file = MemoryFile([])
            folders[path, default: [:]][name] = file
            return file
        }
    }

    func rename(_ old: String, to new: String) throws(SystemError) {
        try disk.folders.withLock { folders throws(SystemError) in
            guard let file = folders[path]?.removeValue(forKey: old) else {
                throw SystemError(errno: 2, operation: .rename, path: old)
            }
            folders[path, default: [:]][new] = file
        }
    }

    func remove(_ name: String) throws(SystemError) -> Bool {
        disk.folders.withLock { $0[path]?.removeValue(forKey: name) != nil }
    }

    func syncNames() throws(SystemError) {}

    func isNamed() throws(SystemError) -> Bool { true }

    func space() throws(SystemError) -> StorageSpace {
        StorageSpace(total: 1 << 30, available: 1 << 29)
    }
}

final class MemoryFile: StorageFile {
    private let content: Mutex<MemoryDisk.Content>

    init(_ bytes: [UInt8]) {
        content = Mutex(MemoryDisk.Content(bytes: bytes, size: UInt64(bytes.count)))
    }

    var whole: [UInt8] {
        content.withLock { content in
            content.bytes
                + [UInt8](repeating: 0, count: Int(content.size) - content.bytes.count)
        }
    }

    func size() throws(SystemError) -> UInt64 { content.withLock { $0.size } }

    func allocated() throws(SystemError) -> UInt64 { try size() }

    func isNamed() throws(SystemError) -> Bool { true }

    func forget(_ range: Range<UInt64>) {}

    func read(into bytes: inout [UInt8], range: Range<Int>, at position: UInt64)
        throws(SystemError) -> Int
    {
        precondition(range.upperBound <= bytes.count)
        let (piece, count) = content.withLock { content -> (ArraySlice<UInt8>, Int) in
            guard position < content.size else { return ([], 0) }
            let count = Int(min(UInt64(range.count), content.size - position))
            let start = Int(min(position, UInt64(content.bytes.count)))
            return (content.bytes[start...].prefix(count), count)
        }
        let split = range.lowerBound + piece.count
        bytes.replaceSubrange(range.lowerBound..<split, with: piece)
        let end = range.lowerBound + count
        if split < end {
            bytes.replaceSubrange(split..<end, with: repeatElement(0, count: end - split))
        }
        return count
    }

    func write(_ bytes: RawSpan, at position: UInt64) throws(SystemError) {
        let given = bytes.withUnsafeBytes { [UInt8]($0) }
        content.withLock { content in
            let start = Int(position)
            if content.bytes.count < start {
                content.bytes += [UInt8](repeating: 0, count: start - content.bytes.count)
            }
            let end = min(content.bytes.count, start + given.count)
            content.bytes.replaceSubrange(start..<end, with: given)
            content.size = max(content.size, UInt64(content.bytes.count))
        }
    }

    func setSize(_ size: UInt64) throws(SystemError) {
        content.withLock { content in
            if UInt64(content.bytes.count) > size {
                content.bytes.removeLast(content.bytes.count - Int(size))
            }
            content.size = size
        }
    }

    func allocate(_ range: Range<UInt64>) throws(SystemError) {
        content.withLock { $0.size = max($0.size, range.upperBound) }
    }

    func sync() throws(SystemError) {}

    func lock() throws(SystemError) -> Bool { true }
}

/// Clocks that stand.
struct StandingTime: TimeSource {
    func wall() -> UInt64 { 1_800_000_000_000_000_000 }
    func boottime() -> UInt64 { 1_000_000_000 }
}
