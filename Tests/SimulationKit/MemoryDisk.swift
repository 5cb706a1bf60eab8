import Synchronization
package import SystemIO

/// A file system in memory that keeps live and durable bytes apart. What was written and not synced may be
/// lost, kept, torn or reordered when power fails; space may run out; every operation is a numbered event
/// at which a plan may let a fault strike.
package final class MemoryDisk: Sendable {
    struct State {
        var files: [DiskFile] = []
        var directories: [String: DiskDirectory] = ["": DiskDirectory()]
        /// File → the process that has its lock.
        var locks: [Int: Int] = [:]
        var dead: Set<Int> = []
        var nextProcess = 1
        var capacity = Int.max
        /// Space is given in pieces of this size.
        var blockBytes = 1
        var used = 0
        var failing: Set<SystemError.StaticOperation> = []
        var failure: Int32 = 5
        var calls: [SystemError.StaticOperation: Int] = [:]
        var events: UInt64 = 0
        var refusals = 0
        var plan: (any FaultPlan)?
    }

    // Guards everything.
    let state = Mutex(State())

    /// An empty disk. Space is given in pieces of `blockBytes`.
    package init(blockBytes: Int = 1) { state.withLock { $0.blockBytes = blockBytes } }

    /// Its root for a process that lives as long as the disk.
    package var root: MemoryStorage { MemoryStorage(disk: self, path: "", process: 0) }

    /// Its root for a process of its own, which `kill` ends.
    package func startProcess() -> MemoryStorage {
        let number = state.withLock { state in
            defer { state.nextProcess += 1 }
            return state.nextProcess
        }
        return MemoryStorage(disk: self, path: "", process: number)
    }

    /// Asked at every operation from now on.
    package func setPlan(_ plan: (any FaultPlan)?) { state.withLock { $0.plan = plan } }

    /// Operations so far.
    package var events: UInt64 { state.withLock { $0.events } }

    /// Operations that found no space.
    package var refusals: Int { state.withLock { $0.refusals } }

    // MARK: Faults

    /// Bytes that may be used; what is used already stays.
    package func setCapacity(_ bytes: Int) { state.withLock { $0.capacity = bytes } }

    /// These calls fail, with EIO unless told otherwise.
    package func fail(_ operations: Set<SystemError.StaticOperation>, errno: Int32 = 5) {
        state.withLock {
            $0.failing = operations
            $0.failure = errno
        }
    }

    /// How often a call was made.
    package func calls(_ operation: SystemError.StaticOperation) -> Int {
        state.withLock { $0.calls[operation] ?? 0 }
    }

    /// Bytes of files that have a name.
    package var used: Int { state.withLock { $0.used } }

    /// The processes die: their locks go, every byte stays.
    package func killProcess() { state.withLock { $0.locks = [:] } }

    /// A process dies: it can do nothing more, its locks go, every byte stays.
    package func kill(_ process: Int) {
        state.withLock { $0.kill(process) }
    }

    /// Whether a process was killed.
    package func isDead(_ process: Int) -> Bool { state.withLock { $0.dead.contains(process) } }

    /// Power fails: every process is dead, and of what was not synced there is what the generator leaves.
    /// The process of `root` can go on: it stands for the next one. How many changes were not synced.
    @discardableResult
    package func powerFails(
        _ generator: inout SeededGenerator, _ loss: PowerLoss = .anything
    ) -> (writes: Int, names: Int) {
        state.withLock { state in
            let writes = state.files.reduce(0) { $0 + $1.unsynced.count }
            let names = state.directories.values.reduce(0) { $0 + $1.unsyncedChanges }
            state.locks = [:]
            for process in 1..<max(1, state.nextProcess) { state.dead.insert(process) }
            let moment = generator.next() % (state.events + 1)
            for path in state.directories.keys.sorted() {
                state.directories[path]?.losePower(loss, moment: moment, &generator)
            }
            for number in state.files.indices {
                state.files[number].losePower(loss, moment: moment, &generator)
            }
            state.countSpace()
            return (writes, names)
        }
    }

    /// Flips bits of a byte at rest; false if there is no such byte, or it is not written back yet.
    package func flip(_ path: String, at position: Int, mask: UInt8) -> Bool {
        state.withLock { state in
            guard let number = state.number(path) else { return false }
            return state.files[number].flip(position, mask)
        }
    }

    // MARK: Looking

    /// The live content of a file.
    package func content(_ path: String) -> [UInt8]? {
        state.withLock { state in state.number(path).map { state.files[$0].live } }
    }

    /// A file's live size.
    package func size(_ path: String) -> Int? {
        state.withLock { state in state.number(path).map { state.files[$0].live.count } }
    }

    /// Names in a directory, sorted.
    package func names(_ directory: String) -> [String] {
        state.withLock { ($0.directories[directory]?.live ?? [:]).keys.sorted() }
    }

    /// Puts a file there, durably.
    package func put(_ path: String, _ bytes: [UInt8]) {
        state.withLock { state in
            state.files.append(DiskFile(bytes: bytes))
            let (directory, name) = MemoryDisk.split(path)
            state.directories[directory, default: DiskDirectory()].put(
                name, state.files.count - 1)
            state.countSpace()
        }
    }

    /// Takes a file away, durably.
    package func remove(_ path: String) {
        state.withLock { state in
            let (directory, name) = MemoryDisk.split(path)
            state.directories[directory]?.put(name, nil)
            state.countSpace()
        }
    }

    /// A disk of its own with the same bytes.
    package func copy() -> MemoryDisk {
        let other = MemoryDisk()
        let now = state.withLock { $0 }
        other.state.withLock {
            $0 = now
            $0.locks = [:]
        }
        return other
    }

    static func split(_ path: String) -> (String, String) {
        guard let slash = path.lastIndex(of: "/") else { return ("", path) }
        return (String(path[..<slash]), String(path[path.index(after: slash)...]))
    }
}

extension MemoryDisk.State {
    func number(_ path: String) -> Int? {
        let (directory, name) = MemoryDisk.split(path)
        return directories[directory]?.live[name]
    }

    mutating func kill(_ process: Int) {
        dead.insert(process)
        locks = locks.filter { $0.value != process }
    }

    func blocks(_ bytes: Int) -> Int { (bytes + blockBytes - 1) / blockBytes * blockBytes }

    /// Room for new bytes.
    var room: Int { max(0, capacity - used) }

    mutating func change(_ number: Int, _ change: DiskFile.Change) {
        let before = blocks(files[number].live.count)
        files[number].change(change, event: events)
        if files[number].links > 0 { used += blocks(files[number].live.count) - before }
    }

    mutating func link(_ number: Int, by count: Int) {
        let had = files[number].links > 0
        files[number].links += count
        let has = files[number].links > 0
        if had != has {
            let bytes = blocks(files[number].live.count)
            used += has ? bytes : -bytes
        }
    }

    mutating func countSpace() {
        for number in files.indices { files[number].links = 0 }
        for directory in directories.values {
            for number in directory.live.values { files[number].links += 1 }
        }
        used = files.reduce(0) { $1.links > 0 ? $0 + blocks($1.live.count) : $0 }
    }
}
