import Synchronization
package import SystemIO

/// The agent's hold on its state directory: a lock on a file's bytes, which says nothing any more once the
/// directory was removed or another file has the lock's name. Then another agent may be at work there. Nor
/// does it say anything of a directory in it that was moved away: what is written there no one will look for.
package final class Ownership: Sendable {
    private let lockFile: any StorageFile
    private let place: String
    // Guards the directories that must stay where they are.
    private let kept = Mutex<[any Storage]>([])

    init(_ lockFile: any StorageFile, of place: String) {
        self.lockFile = lockFile
        self.place = place
    }

    /// From now on this directory must stay where it is, too.
    func keep(_ directory: any Storage) { kept.withLock { $0.append(directory) } }

    /// Throws `disowned` if the directory at our path is not ours any more, or one in it that is kept was moved.
    /// A look-up of a name for each.
    package func check() throws(SystemError) {
        guard try lockFile.isNamed() else { throw .disowned(place) }
        for directory in kept.withLock({ $0 }) {
            guard try directory.isNamed() else { throw .disowned(directory.place) }
        }
    }
}

/// A directory in which names are changed only as long as it is ours: what is replaced could else be another
/// agent's.
package struct OwnedStorage: Storage {
    private let base: any Storage
    private let ownership: Ownership

    init(_ base: any Storage, _ ownership: Ownership) {
        self.base = base
        self.ownership = ownership
    }

    package var place: String { base.place }

    package func list() throws(SystemError) -> [String] { try base.list() }

    package func space() throws(SystemError) -> StorageSpace { try base.space() }

    package func isNamed() throws(SystemError) -> Bool { try base.isNamed() }

    private func check() throws(SystemError) {
        try ownership.check()
        guard try base.isNamed() else { throw .disowned(base.place) }
    }

    package func syncNames() throws(SystemError) { try base.syncNames() }

    package func directory(_ name: String, create: Bool) throws(SystemError) -> any Storage {
        if create { try check() }
        return OwnedStorage(try base.directory(name, create: create), ownership)
    }

    package func open(_ name: String, _ mode: StorageOpenMode) throws(SystemError)
        -> any StorageFile
    {
        if mode != .read { try check() }
        return try base.open(name, mode)
    }

    package func rename(_ old: String, to new: String) throws(SystemError) {
        try check()
        try base.rename(old, to: new)
    }

    @discardableResult
    package func remove(_ name: String) throws(SystemError) -> Bool {
        try check()
        return try base.remove(name)
    }
}
