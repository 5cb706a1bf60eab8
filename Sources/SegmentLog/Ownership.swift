package import SystemIO

/// The agent's hold on its state directory: a lock on a file's bytes, which says nothing any more once the
/// directory was removed or another file has the lock's name. Then another agent may be at work there.
package final class Ownership: Sendable {
    private let lockFile: any StorageFile
    private let place: String

    init(_ lockFile: any StorageFile, of place: String) {
        self.lockFile = lockFile
        self.place = place
    }

    /// Throws `disowned` if the directory at our path is not ours any more. One look-up of a name.
    package func check() throws(SystemError) {
        guard try lockFile.isNamed() else { throw .disowned(place) }
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

    package func syncNames() throws(SystemError) { try base.syncNames() }

    package func directory(_ name: String, create: Bool) throws(SystemError) -> any Storage {
        if create { try ownership.check() }
        return OwnedStorage(try base.directory(name, create: create), ownership)
    }

    package func open(_ name: String, _ mode: StorageOpenMode) throws(SystemError)
        -> any StorageFile
    {
        if mode != .read { try ownership.check() }
        return try base.open(name, mode)
    }

    package func rename(_ old: String, to new: String) throws(SystemError) {
        try ownership.check()
        try base.rename(old, to: new)
    }

    @discardableResult
    package func remove(_ name: String) throws(SystemError) -> Bool {
        try ownership.check()
        return try base.remove(name)
    }
}
