import CSystemIO

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// An open directory and the verbs on what is in it: this one, whatever its path leads to by now. What is done in
/// one that was removed fails as not found.
final class HeldDirectory: Sendable {
    private let descriptor: FileDescriptor
    private let path: String
    private let identity = KnownIdentity()

    /// The directory at a path.
    init(_ path: String) throws(SystemError) {
        self.path = path
        descriptor = try Files.open(path, [.read, .directory])
    }

    private init(_ descriptor: consuming FileDescriptor, _ path: String) {
        self.descriptor = descriptor
        self.path = path
    }

    private func path(_ name: String) -> String { path + "/" + name }

    func directory(_ name: String, create: Bool) throws(SystemError) -> HeldDirectory {
        if create, mkdirat(descriptor.number, name, 0o700) != 0, errno != EEXIST {
            throw SystemError(errno: errno, operation: .makeDirectory, path: path(name))
        }
        return HeldDirectory(try open(name, [.read, .directory]), path(name))
    }

    func open(_ name: String, _ options: OpenOptions) throws(SystemError) -> FileDescriptor {
        FileDescriptor(
            owning: try check(
                cxt_openat(descriptor.number, name, options.rawValue, 0o600), .open, path(name)))
    }

    func rename(_ old: String, to new: String) throws(SystemError) {
        _ = try checkErrno(.rename, path(old)) {
            renameat(descriptor.number, old, descriptor.number, new)
        }
    }

    func remove(_ name: String) throws(SystemError) -> Bool {
        if unlinkat(descriptor.number, name, 0) == 0 { return true }
        if errno == ENOENT { return false }
        throw SystemError(errno: errno, operation: .remove, path: path(name))
    }

    func list() throws(SystemError) -> [String] {
        // One of its own: a stream moves its descriptor's place, and closes it.
        try Files.list(try open(".", [.read, .directory]), path)
    }

    func sync() throws(SystemError) {
        _ = try checkErrno(.sync, path) { fsync(descriptor.number) }
    }

    func isNamed() throws(SystemError) -> Bool {
        try identity.isNamed(path, following: true, descriptor)
    }

    func space() throws(SystemError) -> StorageSpace {
        var facts = statvfs()
        _ = try checkErrno(.space, path) { fstatvfs(descriptor.number, &facts) }
        return StorageSpace(facts)
    }
}
