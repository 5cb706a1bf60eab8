import Synchronization
package import SystemIO

/// One directory of a `MemoryDisk`, as one process sees it.
package struct MemoryStorage: Storage {
    let disk: MemoryDisk
    let path: String
    /// Whose view it is.
    package let process: Int

    /// Its path.
    package var place: String { "memory:/" + path }

    /// Names, sorted.
    package func list() throws(SystemError) -> [String] {
        try disk.perform(.list, process, path) { state in
            (state.directories[path]?.live ?? [:]).keys.sorted()
        }
    }

    /// A directory; one that is made is durable at once.
    package func directory(_ name: String, create: Bool) throws(SystemError) -> any Storage {
        let inner = path.isEmpty ? name : path + "/" + name
        disk.state.withLock { state in
            if create, state.directories[inner] == nil {
                state.directories[inner] = DiskDirectory()
            }
        }
        return MemoryStorage(disk: disk, path: inner, process: process)
    }

    /// Opens a file.
    package func open(_ name: String, _ mode: StorageOpenMode) throws(SystemError)
        -> any StorageFile
    {
        let number = try disk.perform(.open, process, name) { state throws(SystemError) -> Int in
            if let found = state.directories[path]?.live[name] {
                switch mode {
                case .createNew: throw SystemError(errno: 17, operation: .open, path: name)
                case .read, .readWrite: return found
                case .replace:
                    state.change(found, .size(0))
                    return found
                }
            }
            switch mode {
            case .read, .readWrite: throw SystemError(errno: 2, operation: .open, path: name)
            case .createNew, .replace: break
            }
            state.files.append(DiskFile())
            let number = state.files.count - 1
            state.directories[path, default: DiskDirectory()].change(
                .link(name, number), event: state.events)
            state.link(number, by: 1)
            return number
        }
        return MemoryFile(
            disk: disk, number: number, directory: path, name: name, process: process)
    }

    /// Renames.
    package func rename(_ old: String, to new: String) throws(SystemError) {
        try disk.perform(.rename, process, old) { state throws(SystemError) in
            guard let number = state.directories[path]?.live[old] else {
                throw SystemError(errno: 2, operation: .rename, path: old)
            }
            if let over = state.directories[path]?.live[new] { state.link(over, by: -1) }
            state.directories[path]?.change(.rename(old, new, number), event: state.events)
        }
    }

    /// Removes.
    package func remove(_ name: String) throws(SystemError) -> Bool {
        try disk.perform(.remove, process, name) { state in
            guard let number = state.directories[path]?.live[name] else { return false }
            state.directories[path]?.change(.unlink(name), event: state.events)
            state.link(number, by: -1)
            return true
        }
    }

    /// Syncs the names. What a failed one did not bring to the device is still to be brought: a file system's
    /// journal does not forget.
    package func syncNames() throws(SystemError) {
        try disk.perform(.sync, process, path.isEmpty ? "/" : path) { state in
            state.directories[path]?.sync()
        }
    }

    /// Space.
    /// Nobody moves its directories.
    package func isNamed() throws(SystemError) -> Bool { true }

    package func space() throws(SystemError) -> StorageSpace {
        try disk.perform(.space, process, path) { state in
            StorageSpace(
                total: UInt64(min(state.capacity, 1 << 34)),
                available: UInt64(min(state.room, 1 << 34)))
        }
    }
}

/// An open file of a `MemoryDisk`; of a process that was killed it can do nothing more.
final class MemoryFile: StorageFile {
    private let disk: MemoryDisk
    private let number: Int
    private let directory: String
    private let name: String
    private let process: Int

    init(disk: MemoryDisk, number: Int, directory: String, name: String, process: Int) {
        self.disk = disk
        self.number = number
        self.directory = directory
        self.name = name
        self.process = process
    }

    deinit {
        disk.state.withLock { state in
            if state.locks[number] == process { state.locks[number] = nil }
        }
    }

    func size() throws(SystemError) -> UInt64 {
        try disk.perform(.stat, process, name) { state in UInt64(state.files[number].live.count) }
    }

    func allocated() throws(SystemError) -> UInt64 { try size() }

    func read(into bytes: inout [UInt8], range: Range<Int>, at position: UInt64)
        throws(SystemError) -> Int
    {
        let piece = try disk.perform(.read, process, name, position, range.count) { state in
            let live = state.files[number].live
            let start = Int(min(position, UInt64(live.count)))
            return live[start..<min(live.count, start + range.count)]
        }
        bytes.replaceSubrange(range.lowerBound..<(range.lowerBound + piece.count), with: piece)
        return piece.count
    }

    func write(_ bytes: RawSpan, at position: UInt64) throws(SystemError) {
        let content = bytes.withUnsafeBytes { [UInt8]($0) }
        let at = Int(position)
        let fault = disk.begin(.write, process, name, position, content.count)
        try disk.finish(.write, process, fault) { state throws(SystemError) in
            var done = content.count
            var failure: SystemError?
            switch fault {
            case .short(let count, let errno):
                done = min(count, done)
                failure = SystemError(errno: errno, operation: .write)
            case .death(let part): done = Int(Double(done) * part)
            default: break
            }
            let size = state.files[number].live.count
            let grown = state.blocks(max(size, at + done)) - state.blocks(size)
            if grown > state.room {
                // As a file system does: what fits is written, then there is no space.
                let end = (state.blocks(size) + state.room) / state.blockBytes * state.blockBytes
                done = max(0, min(done, end - at))
                state.refusals += 1
                failure = SystemError(errno: 28, operation: .write)
            }
            if done == content.count {
                state.change(number, .bytes(at, content))
            } else if done > 0 {
                state.change(number, .bytes(at, Array(content.prefix(done))))
            }
            if let failure { throw failure }
        }
    }

    func setSize(_ size: UInt64) throws(SystemError) {
        try disk.perform(.truncate, process, name, size) { state in
            state.change(number, .size(Int(size)))
        }
    }

    func allocate(_ range: Range<UInt64>) throws(SystemError) {
        try disk.perform(.allocate, process, name, range.lowerBound, range.count) {
            state throws(SystemError) in
            let size = state.files[number].live.count
            let end = max(size, Int(range.upperBound))
            if state.blocks(end) - state.blocks(size) > state.room {
                state.refusals += 1
                throw SystemError(errno: 28, operation: .allocate)
            }
            if end > size { state.change(number, .size(end)) }
        }
    }

    func sync() throws(SystemError) {
        let fault = disk.begin(.sync, process, name)
        try disk.finish(.sync, process, fault) { state throws(SystemError) in
            if case .syncFails(let seed) = fault {
                var generator = SeededGenerator(seed: seed)
                state.files[number].failSync(&generator)
                throw SystemError(errno: 5, operation: .sync)
            }
            state.files[number].sync()
        }
    }

    func forget(_ range: Range<UInt64>) {}

    func isNamed() throws(SystemError) -> Bool {
        try disk.perform(.stat, process, name) { state in
            state.directories[directory]?.live[name] == number
        }
    }

    func lock() throws(SystemError) -> Bool {
        try disk.perform(.lock, process, name) { state in
            guard state.locks[number] == nil else { return false }
            state.locks[number] = process
            return true
        }
    }
}

extension MemoryDisk {
    /// Numbers an operation, asks the plan about it, and does it unless a fault prevents that.
    func perform<Value>(
        _ operation: SystemError.StaticOperation, _ process: Int, _ name: String,
        _ position: UInt64 = 0, _ count: Int = 0,
        _ body: (inout sending State) throws(SystemError) -> sending Value
    ) throws(SystemError) -> Value {
        let fault = begin(operation, process, name, position, count)
        return try finish(operation, process, fault, body)
    }

    /// Numbers an operation and asks the plan.
    func begin(
        _ operation: SystemError.StaticOperation, _ process: Int, _ name: String,
        _ position: UInt64 = 0, _ count: Int = 0
    ) -> DiskFault {
        let (number, plan) = state.withLock { state in
            state.events += 1
            state.calls[operation, default: 0] += 1
            return (state.events, state.plan)
        }
        guard let plan, process != 0 else { return .none }
        return plan.fault(
            at: DiskEvent(
                number: number, process: process, operation: operation, name: name,
                position: position, count: count))
    }

    /// Does an operation, or what a fault leaves of it.
    func finish<Value>(
        _ operation: SystemError.StaticOperation, _ process: Int, _ fault: DiskFault,
        _ body: (inout sending State) throws(SystemError) -> sending Value
    ) throws(SystemError) -> Value {
        try state.withLock { state throws(SystemError) -> Value in
            let gone = SystemError(errno: 5, operation: operation)
            if state.dead.contains(process) { throw gone }
            if state.failing.contains(operation) {
                throw SystemError(errno: state.failure, operation: operation)
            }
            switch fault {
            case .none, .short, .syncFails: return try body(&state)
            case .error(let errno): throw SystemError(errno: errno, operation: operation)
            case .death(let part):
                if part > 0 { _ = try body(&state) }
                state.kill(process)
                throw gone
            }
        }
    }
}
