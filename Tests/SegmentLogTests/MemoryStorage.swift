import Synchronization
import SystemIO

/// A file system in memory that keeps live and durable bytes apart. What was written and not synced may
/// be lost, kept or torn at a `crash`; space may run out; calls may fail.
final class MemoryDisk: Sendable {
    struct File {
        var live: [UInt8] = []
        var durable: [UInt8] = []
        /// Writes since the last sync, in order: a crash keeps some of them.
        var unsynced: [Write] = []
    }

    enum Write {
        case bytes(Int, [UInt8])
        case size(Int)
    }

    struct State {
        var files: [Int: File] = [:]
        var nextFile = 0
        /// Directory → name → file, as processes see it and as the disk has it.
        var names: [String: [String: Int]] = ["": [:]]
        var durableNames: [String: [String: Int]] = ["": [:]]
        var locked: Set<Int> = []
        var capacity: Int = .max
        var failingOperations: Set<SystemError.StaticOperation> = []
        var failure: Int32 = 5
        var syncsLost = false
        var calls: [SystemError.StaticOperation: Int] = [:]
        var epoch = 0
    }

    let state = Mutex(State())

    var root: MemoryStorage { MemoryStorage(disk: self, path: "") }

    /// Bytes that may be used; what is used already stays.
    func setCapacity(_ bytes: Int) { state.withLock { $0.capacity = bytes } }

    /// These calls fail, with EIO unless told otherwise.
    func fail(_ operations: Set<SystemError.StaticOperation>, errno: Int32 = 5) {
        state.withLock {
            $0.failingOperations = operations
            $0.failure = errno
        }
    }

    /// How often a call was made.
    func calls(_ operation: SystemError.StaticOperation) -> Int {
        state.withLock { $0.calls[operation] ?? 0 }
    }

    var used: Int { state.withLock { $0.used } }

    /// The process dies: its locks go, every byte stays.
    func killProcess() {
        state.withLock {
            $0.locked = []
            $0.epoch += 1
        }
    }

    /// Power fails: of what was not synced each write is kept, lost or torn, by the generator; so are names.
    func powerFails(_ generator: inout some RandomNumberGenerator) {
        state.withLock { state in
            state.locked = []
            state.epoch += 1
            for directory in state.names.keys.sorted() where Bool.random(using: &generator) {
                state.names[directory] = state.durableNames[directory] ?? [:]
            }
            for number in state.files.keys.sorted() {
                guard var file = state.files[number] else { continue }
                var bytes = file.durable
                for write in file.unsynced {
                    switch Int.random(in: 0..<3, using: &generator) {
                    case 0: continue
                    case 1: State.apply(write, to: &bytes)
                    default:
                        guard case .bytes(let at, let content) = write else { continue }
                        let part = Int.random(in: 0...content.count, using: &generator)
                        State.apply(.bytes(at, Array(content.prefix(part))), to: &bytes)
                    }
                }
                file.live = bytes
                file.durable = bytes
                file.unsynced = []
                state.files[number] = file
            }
            state.durableNames = state.names
        }
    }

    /// The live content of a file.
    func content(_ path: String) -> [UInt8]? {
        state.withLock { state in
            let (directory, name) = MemoryDisk.split(path)
            return state.names[directory]?[name].flatMap { state.files[$0]?.live }
        }
    }

    /// Puts a file there, durably.
    func put(_ path: String, _ bytes: [UInt8]) {
        state.withLock { state in
            let (directory, name) = MemoryDisk.split(path)
            let number = state.names[directory]?[name] ?? state.nextFile
            if number == state.nextFile { state.nextFile += 1 }
            state.files[number] = File(live: bytes, durable: bytes)
            state.names[directory, default: [:]][name] = number
            state.durableNames[directory, default: [:]][name] = number
        }
    }

    func remove(_ path: String) {
        state.withLock { state in
            let (directory, name) = MemoryDisk.split(path)
            state.names[directory]?[name] = nil
            state.durableNames[directory]?[name] = nil
        }
    }

    func names(_ directory: String) -> [String] {
        state.withLock { ($0.names[directory] ?? [:]).keys.sorted() }
    }

    /// A disk of its own with the same bytes.
    func copy() -> MemoryDisk {
        let other = MemoryDisk()
        let now = state.withLock { $0 }
        other.state.withLock {
            $0 = now
            $0.locked = []
        }
        return other
    }

    private static func split(_ path: String) -> (String, String) {
        guard let slash = path.lastIndex(of: "/") else { return ("", path) }
        return (String(path[..<slash]), String(path[path.index(after: slash)...]))
    }
}

extension MemoryDisk.State {
    /// Bytes of files that have a name.
    var used: Int {
        var numbers = Set<Int>()
        for directory in names.values { numbers.formUnion(directory.values) }
        return numbers.reduce(0) { $0 + (files[$1]?.live.count ?? 0) }
    }

    static func apply(_ write: MemoryDisk.Write, to bytes: inout [UInt8]) {
        switch write {
        case .bytes(let at, let content):
            if bytes.count < at + content.count {
                bytes += [UInt8](repeating: 0, count: at + content.count - bytes.count)
            }
            bytes.replaceSubrange(at..<(at + content.count), with: content)
        case .size(let size):
            if bytes.count > size {
                bytes.removeLast(bytes.count - size)
            } else {
                bytes += [UInt8](repeating: 0, count: size - bytes.count)
            }
        }
    }

    /// Counts a call, and fails it if that was asked for.
    mutating func enter(_ operation: SystemError.StaticOperation) throws(SystemError) {
        calls[operation, default: 0] += 1
        if failingOperations.contains(operation) {
            throw SystemError(errno: failure, operation: operation)
        }
    }

    mutating func change(_ number: Int, _ write: MemoryDisk.Write) {
        guard var file = files[number] else { return }
        // Emptied first, so that the arrays are changed in place.
        files[number] = nil
        MemoryDisk.State.apply(write, to: &file.live)
        file.unsynced.append(write)
        files[number] = file
    }
}

/// One directory of a `MemoryDisk`.
struct MemoryStorage: Storage {
    let disk: MemoryDisk
    let path: String

    var place: String { "memory:/" + path }

    func list() throws(SystemError) -> [String] { disk.names(path) }

    func directory(_ name: String, create: Bool) throws(SystemError) -> any Storage {
        let inner = path.isEmpty ? name : path + "/" + name
        disk.state.withLock { state in
            if create, state.names[inner] == nil {
                state.names[inner] = [:]
                state.durableNames[inner] = [:]
            }
        }
        return MemoryStorage(disk: disk, path: inner)
    }

    func open(_ name: String, _ mode: StorageOpenMode) throws(SystemError) -> any StorageFile {
        let number = try disk.state.withLock { state throws(SystemError) -> Int in
            try state.enter(.open)
            let found = state.names[path]?[name]
            switch mode {
            case .read, .readWrite:
                guard let found else {
                    throw SystemError(errno: 2, operation: .open, path: name)
                }
                return found
            case .createNew:
                if found != nil { throw SystemError(errno: 17, operation: .open, path: name) }
            case .replace:
                if let found {
                    state.change(found, .size(0))
                    return found
                }
            }
            let number = state.nextFile
            state.nextFile += 1
            state.files[number] = MemoryDisk.File()
            state.names[path, default: [:]][name] = number
            return number
        }
        return MemoryFile(disk: disk, number: number)
    }

    func rename(_ old: String, to new: String) throws(SystemError) {
        try disk.state.withLock { state throws(SystemError) in
            try state.enter(.rename)
            guard let number = state.names[path]?.removeValue(forKey: old) else {
                throw SystemError(errno: 2, operation: .rename, path: old)
            }
            state.names[path]?[new] = number
        }
    }

    func remove(_ name: String) throws(SystemError) -> Bool {
        try disk.state.withLock { state throws(SystemError) in
            try state.enter(.remove)
            return state.names[path]?.removeValue(forKey: name) != nil
        }
    }

    func syncNames() throws(SystemError) {
        try disk.state.withLock { state throws(SystemError) in
            try state.enter(.sync)
            state.durableNames[path] = state.names[path]
        }
    }

    func space() throws(SystemError) -> StorageSpace {
        disk.state.withLock { state in
            let total = UInt64(min(state.capacity, 1 << 34))
            let used = UInt64(state.used)
            return StorageSpace(total: total, available: total > used ? total - used : 0)
        }
    }
}

/// An open file of a `MemoryDisk`; of a process that was killed it can do nothing more.
final class MemoryFile: StorageFile {
    let disk: MemoryDisk
    let number: Int

    init(disk: MemoryDisk, number: Int) {
        self.disk = disk
        self.number = number
    }

    deinit {
        disk.state.withLock { state in
            _ = state.locked.remove(number)
        }
    }

    func size() throws(SystemError) -> UInt64 {
        disk.state.withLock { UInt64($0.files[number]?.live.count ?? 0) }
    }

    func allocated() throws(SystemError) -> UInt64 { try size() }

    func read(into bytes: inout [UInt8], range: Range<Int>, at position: UInt64)
        throws(SystemError) -> Int
    {
        let piece = try disk.state.withLock { state throws(SystemError) -> [UInt8] in
            try state.enter(.read)
            let live = state.files[number]?.live ?? []
            let start = Int(min(position, UInt64(live.count)))
            return Array(live[start..<min(live.count, start + range.count)])
        }
        bytes.replaceSubrange(range.lowerBound..<(range.lowerBound + piece.count), with: piece)
        return piece.count
    }

    func write(_ bytes: RawSpan, at position: UInt64) throws(SystemError) {
        let content = bytes.withUnsafeBytes { [UInt8]($0) }
        try disk.state.withLock { state throws(SystemError) in
            try state.enter(.write)
            let size = state.files[number]?.live.count ?? 0
            let grown = max(0, Int(position) + content.count - size)
            let room = max(0, state.capacity - state.used)
            if grown > room {
                // As a file system does: what fits is written, then there is no space.
                let fits = max(0, content.count - (grown - room))
                if fits > 0 {
                    state.change(number, .bytes(Int(position), Array(content.prefix(fits))))
                }
                throw SystemError(errno: 28, operation: .write)
            }
            state.change(number, .bytes(Int(position), content))
        }
    }

    func setSize(_ size: UInt64) throws(SystemError) {
        try disk.state.withLock { state throws(SystemError) in
            try state.enter(.truncate)
            state.change(number, .size(Int(size)))
        }
    }

    func allocate(_ range: Range<UInt64>) throws(SystemError) {
        try disk.state.withLock { state throws(SystemError) in
            try state.enter(.allocate)
            let size = state.files[number]?.live.count ?? 0
            let grown = max(0, Int(range.upperBound) - size)
            if grown > state.capacity - min(state.capacity, state.used) {
                throw SystemError(errno: 28, operation: .allocate)
            }
            if grown > 0 { state.change(number, .size(Int(range.upperBound))) }
        }
    }

    func sync() throws(SystemError) {
        try disk.state.withLock { state throws(SystemError) in
            try state.enter(.sync)
            if state.syncsLost { return }
            guard var file = state.files[number] else { return }
            file.durable = file.live
            file.unsynced = []
            state.files[number] = file
        }
    }

    func lock() throws(SystemError) -> Bool {
        disk.state.withLock { $0.locked.insert(number).inserted }
    }
}

/// Clocks that stand until they are moved.
final class ManualTime: TimeSource {
    private let now = Mutex<(wall: UInt64, boot: UInt64)>(
        (1_800_000_000_000_000_000, 1_000_000_000))

    func wall() -> UInt64 { now.withLock { $0.wall } }
    func boottime() -> UInt64 { now.withLock { $0.boot } }

    /// Time passes.
    func advance(_ seconds: Double) {
        let count = UInt64(seconds * 1e9)
        now.withLock { $0 = ($0.wall + count, $0.boot + count) }
    }

    /// Someone sets the clock.
    func step(_ seconds: Double) {
        now.withLock { $0.wall = UInt64(Double($0.wall) + seconds * 1e9) }
    }
}
