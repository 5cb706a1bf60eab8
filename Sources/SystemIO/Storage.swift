import Synchronization

/// A file system's size and what of it is free for us, in bytes.
package struct StorageSpace: Sendable, Equatable {
    /// All of it.
    package var total: UInt64
    /// Free, without what is kept for root.
    package var available: UInt64
    /// Both given.
    package init(total: UInt64, available: UInt64) {
        self.total = total
        self.available = available
    }
}

/// One directory of files, as far as the log needs it: the machine's own, or a test's that tears
/// writes, forgets what was not synced and fills up.
package protocol Storage: Sendable {
    /// Where it is, for people.
    var place: String { get }
    /// Names of the files and directories in it, sorted.
    func list() throws(SystemError) -> [String]
    /// A directory in it, made if `create`.
    func directory(_ name: String, create: Bool) throws(SystemError) -> any Storage
    /// Opens a file.
    func open(_ name: String, _ mode: StorageOpenMode) throws(SystemError) -> any StorageFile
    /// Gives a file another name in this directory, over what had it.
    func rename(_ old: String, to new: String) throws(SystemError)
    /// Takes a file's name away; false if there was none. Open files live on.
    @discardableResult func remove(_ name: String) throws(SystemError) -> Bool
    /// Returns once names made, changed and taken away survive loss of power.
    func syncNames() throws(SystemError)
    /// Space of the file system.
    func space() throws(SystemError) -> StorageSpace
    /// Whether its path leads to it still: else somebody moved it, or put another in its place. True if that cannot
    /// be looked up.
    func isNamed() throws(SystemError) -> Bool
}

/// How a `Storage` opens a file.
package enum StorageOpenMode: Sendable {
    /// To read; it must be there.
    case read
    /// To read and write; it must be there.
    case readWrite
    /// To read and write; it must not be there.
    case createNew
    /// To read and write; made or emptied.
    case replace
}

/// An open file: closed when nobody holds it any more.
package protocol StorageFile: AnyObject, Sendable {
    /// Bytes.
    func size() throws(SystemError) -> UInt64
    /// Bytes of disk that it takes.
    func allocated() throws(SystemError) -> UInt64
    /// Reads until `range` of `bytes` is full or the file ends; the number of bytes read.
    func read(into bytes: inout [UInt8], range: Range<Int>, at position: UInt64)
        throws(SystemError) -> Int
    /// Writes all bytes; on an error part of them may have been written.
    func write(_ bytes: RawSpan, at position: UInt64) throws(SystemError)
    /// Cuts or extends it with zeros.
    func setSize(_ size: UInt64) throws(SystemError)
    /// Reserves space; it grows with zeros. May not be possible.
    func allocate(_ range: Range<UInt64>) throws(SystemError)
    /// Returns once its bytes survive loss of power.
    func sync() throws(SystemError)
    /// Takes its exclusive lock; false if another process holds it.
    func lock() throws(SystemError) -> Bool
    /// Whether the path that it was opened by leads to it still: what has no name ends with whoever has it open.
    /// True if that cannot be looked up.
    func isNamed() throws(SystemError) -> Bool
    /// These bytes will not be read again soon: nobody needs them in memory.
    func forget(_ range: Range<UInt64>)
}

/// The machine's own directory.
package struct DirectoryStorage: Storage {
    /// Its path.
    package let place: String
    /// Nil: it is looked for by its path each time, so that it may come and go. Else it is this very one: if
    /// another is put in its place, nothing is written there.
    private let held: HeldDirectory?

    /// A directory that may be there.
    package init(opening path: String) {
        place = path
        held = nil
    }

    /// A directory, made with all above it if it is missing, for the owner alone; held from now on.
    package init(creating path: String) throws(SystemError) {
        try Files.makeDirectories(path)
        place = path
        held = try HeldDirectory(path)
    }

    private init(holding directory: HeldDirectory, path: String) {
        place = path
        held = directory
    }

    private func path(_ name: String) -> String { place + "/" + name }

    /// Names in it.
    package func list() throws(SystemError) -> [String] {
        if let held { return try held.list() }
        return try Files.list(place)
    }

    /// A directory in it.
    package func directory(_ name: String, create: Bool) throws(SystemError) -> any Storage {
        if let held {
            return DirectoryStorage(
                holding: try held.directory(name, create: create), path: path(name))
        }
        if create { try Files.makeDirectory(path(name)) }
        return DirectoryStorage(opening: path(name))
    }

    /// Opens a file.
    package func open(_ name: String, _ openMode: StorageOpenMode) throws(SystemError)
        -> any StorageFile
    {
        let options: OpenOptions =
            switch openMode {
            case .read: [.read, .noFollow]
            case .readWrite: [.readWrite, .noFollow]
            case .createNew: [.readWrite, .exclusive, .noFollow]
            case .replace: [.readWrite, .create, .truncate, .noFollow]
            }
        let path = path(name)
        if let held { return RealFile(try held.open(name, options), path: path) }
        return RealFile(try Files.open(path, options), path: path)
    }

    /// Renames.
    package func rename(_ old: String, to new: String) throws(SystemError) {
        if let held { return try held.rename(old, to: new) }
        try Files.rename(path(old), to: path(new))
    }

    /// Removes.
    @discardableResult
    package func remove(_ name: String) throws(SystemError) -> Bool {
        if let held { return try held.remove(name) }
        return try Files.remove(path(name))
    }

    /// Syncs the directory.
    package func syncNames() throws(SystemError) {
        if let held { return try held.sync() }
        try Files.syncDirectory(place)
    }

    /// Space of its file system.
    package func space() throws(SystemError) -> StorageSpace {
        if let held { return try held.space() }
        return try Files.space(place)
    }

    /// A directory that is not held is whatever has its path.
    package func isNamed() throws(SystemError) -> Bool { try held?.isNamed() ?? true }
}

/// An open file of the machine.
final class RealFile: StorageFile {
    private let descriptor: FileDescriptor
    private let path: String
    private let identity = KnownIdentity()

    init(_ descriptor: consuming FileDescriptor, path: String) {
        self.descriptor = descriptor
        self.path = path
    }

    func size() throws(SystemError) -> UInt64 { try descriptor.size() }

    func allocated() throws(SystemError) -> UInt64 { try Files.facts(descriptor).allocated }

    func read(into bytes: inout [UInt8], range: Range<Int>, at position: UInt64)
        throws(SystemError) -> Int
    {
        try descriptor.read(into: &bytes, range: range, at: position)
    }

    func write(_ bytes: RawSpan, at position: UInt64) throws(SystemError) {
        try descriptor.write(bytes, at: position)
    }

    func setSize(_ size: UInt64) throws(SystemError) { try descriptor.setSize(size) }

    func allocate(_ range: Range<UInt64>) throws(SystemError) { try descriptor.allocate(range) }

    func sync() throws(SystemError) { try descriptor.syncData() }

    func lock() throws(SystemError) -> Bool { try descriptor.lock() }

    func forget(_ range: Range<UInt64>) { descriptor.forget(range) }

    func isNamed() throws(SystemError) -> Bool {
        try identity.isNamed(path, following: false, descriptor)
    }
}

/// Which file a descriptor is of: looked up once, for it stays the same.
final class KnownIdentity: Sendable {
    private let known = Mutex<FileFacts?>(nil)

    /// Whether a path leads to what is open. True if that cannot be looked up.
    func isNamed(_ path: String, following: Bool, _ descriptor: borrowing FileDescriptor)
        throws(SystemError) -> Bool
    {
        let named: FileFacts
        do {
            named = try Files.facts(path, following: following)
        } catch {
            return !error.isNotFound
        }
        let own: FileFacts
        if let found = known.withLock({ $0 }) {
            own = found
        } else {
            own = try Files.facts(descriptor)
            known.withLock { $0 = own }
        }
        return (own.device, own.inode) == (named.device, named.inode)
    }
}
