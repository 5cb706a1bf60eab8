import CSystemIO

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// What `stat` says of a file, as far as we need it.
package struct FileFacts: Sendable, Equatable {
    /// What it is.
    package enum Kind: Sendable {
        case regular, directory, symbolicLink, socket, pipe, device, other
    }
    /// What it is.
    package let kind: Kind
    /// Owner.
    package let uid: UInt32
    /// Group.
    package let gid: UInt32
    /// Permission bits, the low twelve.
    package let mode: UInt32
    /// Names it has.
    package let links: UInt64
    /// Bytes of content.
    package let size: UInt64
    /// Bytes of disk that it takes.
    package let allocated: UInt64
    /// With `inode` the file's identity.
    package let device: UInt64
    /// See `device`.
    package let inode: UInt64
    /// Last change of its content, nanoseconds since 1970.
    package let modified: UInt64

    init(_ facts: stat) {
        kind =
            switch facts.st_mode & S_IFMT {
            case S_IFREG: .regular
            case S_IFDIR: .directory
            case S_IFLNK: .symbolicLink
            case S_IFSOCK: .socket
            case S_IFIFO: .pipe
            case S_IFCHR, S_IFBLK: .device
            default: .other
            }
        uid = facts.st_uid
        gid = facts.st_gid
        mode = UInt32(facts.st_mode) & 0o7777
        links = UInt64(facts.st_nlink)
        size = UInt64(facts.st_size)
        allocated = UInt64(facts.st_blocks) * 512
        device = UInt64(truncatingIfNeeded: facts.st_dev)
        inode = UInt64(facts.st_ino)
        #if canImport(Darwin)
            let time = facts.st_mtimespec
        #else
            let time = facts.st_mtim
        #endif
        modified = UInt64(max(0, time.tv_sec)) * 1_000_000_000 + UInt64(time.tv_nsec)
    }
}

/// How a file is opened. Every descriptor closes on exec.
package struct OpenOptions: OptionSet, Sendable {
    /// Flags of the C library.
    package let rawValue: Int32
    /// From flags of the C library.
    package init(rawValue: Int32) { self.rawValue = rawValue }
    /// To read.
    package static let read = OpenOptions(rawValue: O_RDONLY)
    /// To write.
    package static let write = OpenOptions(rawValue: O_WRONLY)
    /// Both.
    package static let readWrite = OpenOptions(rawValue: O_RDWR)
    /// Make it if it is not there.
    package static let create = OpenOptions(rawValue: O_CREAT)
    /// Fail if it is there.
    package static let exclusive = OpenOptions(rawValue: O_CREAT | O_EXCL)
    /// Every write goes to the end.
    package static let append = OpenOptions(rawValue: O_APPEND)
    /// Throw its content away.
    package static let truncate = OpenOptions(rawValue: O_TRUNC)
    /// Fail on a symbolic link.
    package static let noFollow = OpenOptions(rawValue: O_NOFOLLOW)
    /// Do not wait, whatever the file is.
    package static let nonBlocking = OpenOptions(rawValue: O_NONBLOCK)
    /// Fail unless it is a directory.
    package static let directory = OpenOptions(rawValue: O_DIRECTORY)
}

/// Verbs on paths.
package enum Files {
    /// Opens `path`; relative to `directory` if that is given. `mode` counts for new files, less the umask.
    package static func open(_ path: String, _ options: OpenOptions, mode: UInt32 = 0o600)
        throws(SystemError) -> FileDescriptor
    {
        FileDescriptor(
            owning: try check(cxt_open(path, options.rawValue, mode), .open, path))
    }

    /// Opens `name` in an open directory.
    package static func open(
        _ name: String, in directory: borrowing FileDescriptor, _ options: OpenOptions,
        mode: UInt32 = 0o600
    ) throws(SystemError) -> FileDescriptor {
        FileDescriptor(
            owning: try check(
                cxt_openat(directory.number, name, options.rawValue, mode), .open, name))
    }

    /// Facts of a path; a symbolic link is followed only if `following`.
    package static func facts(_ path: String, following: Bool = true) throws(SystemError)
        -> FileFacts
    {
        var facts = stat()
        _ = try checkErrno(.stat, path) {
            following ? stat(path, &facts) : lstat(path, &facts)
        }
        return FileFacts(facts)
    }

    /// Facts of an open file.
    package static func facts(_ descriptor: borrowing FileDescriptor) throws(SystemError)
        -> FileFacts
    {
        var facts = stat()
        let number = descriptor.number
        _ = try checkErrno(.stat) { fstat(number, &facts) }
        return FileFacts(facts)
    }

    /// Whether something, be it a dangling link, has this name.
    package static func exists(_ path: String) -> Bool {
        var facts = stat()
        return lstat(path, &facts) == 0
    }

    /// Reads a whole file of at most `limit` bytes (`EFBIG` beyond).
    package static func read(_ path: String, limit: Int) throws(SystemError) -> [UInt8] {
        // A FIFO in a file's place is empty rather than waited for.
        let file = try open(path, [.read, .nonBlocking])
        var bytes: [UInt8] = []
        while true {
            let got = try file.readSome(appendingTo: &bytes, limit: min(65_536, limit + 1))
            if got == 0 { return bytes }
            if bytes.count > limit { throw SystemError(errno: EFBIG, operation: .read, path: path) }
        }
    }

    /// Makes one directory; false if there is one already.
    @discardableResult
    package static func makeDirectory(_ path: String, mode: UInt32 = 0o700) throws(SystemError)
        -> Bool
    {
        if mkdir(path, mode_t(mode)) == 0 { return true }
        let reason = errno
        if reason == EEXIST, try facts(path).kind == .directory { return false }
        throw SystemError(errno: reason, operation: .makeDirectory, path: path)
    }

    /// Makes a directory and those above it that are missing.
    package static func makeDirectories(_ path: String, mode: UInt32 = 0o700) throws(SystemError) {
        do {
            try makeDirectory(path, mode: mode)
        } catch {
            guard error.isNotFound, let slash = path.lastIndex(of: "/"), slash != path.startIndex
            else { throw error }
            try makeDirectories(String(path[..<slash]), mode: mode)
            try makeDirectory(path, mode: mode)
        }
    }

    /// Gives a file another name, over what had it.
    package static func rename(_ old: String, to new: String) throws(SystemError) {
        #if canImport(Darwin)
            _ = try checkErrno(.rename, old) { Darwin.rename(old, new) }
        #elseif canImport(Musl)
            _ = try checkErrno(.rename, old) { Musl.rename(old, new) }
        #else
            _ = try checkErrno(.rename, old) { Glibc.rename(old, new) }
        #endif
    }

    /// Takes a file's name away; false if there was none.
    @discardableResult
    package static func remove(_ path: String) throws(SystemError) -> Bool {
        if unlink(path) == 0 { return true }
        if errno == ENOENT { return false }
        throw SystemError(errno: errno, operation: .remove, path: path)
    }

    /// Takes an empty directory away; false if there was none.
    @discardableResult
    package static func removeDirectory(_ path: String) throws(SystemError) -> Bool {
        if rmdir(path) == 0 { return true }
        if errno == ENOENT { return false }
        throw SystemError(errno: errno, operation: .remove, path: path)
    }

    /// Sets permission bits.
    package static func setMode(_ path: String, _ mode: UInt32) throws(SystemError) {
        _ = try checkErrno(.stat, path) { chmod(path, mode_t(mode)) }
    }

    /// Returns once the names in a directory survive loss of power.
    package static func syncDirectory(_ path: String) throws(SystemError) {
        let directory = try open(path, [.read, .directory])
        let number = directory.number
        _ = try checkErrno(.sync, path) { fsync(number) }
    }

    /// Names in a directory, sorted, without `.` and `..`.
    package static func list(_ path: String) throws(SystemError) -> [String] {
        try list(try open(path, [.read, .directory]), path)
    }

    /// The same of an open directory.
    static func list(_ directory: consuming FileDescriptor, _ path: String) throws(SystemError)
        -> [String]
    {
        let number = directory.release()
        guard let stream = fdopendir(number) else {
            let reason = errno
            _ = close(number)
            throw SystemError(errno: reason, operation: .list, path: path)
        }
        defer { closedir(stream) }
        var names: [String] = []
        while true {
            errno = 0
            guard let entry = readdir(stream) else {
                if errno != 0 { throw SystemError(errno: errno, operation: .list, path: path) }
                return names.sorted()
            }
            // Sound: d_name is terminated inside the entry, which lives until the next readdir.
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                String(cString: UnsafeRawPointer(pointer).assumingMemoryBound(to: CChar.self))
            }
            if name != "." && name != ".." { names.append(name) }
        }
    }

    /// The file system's size and what of it is free for us.
    package static func space(_ path: String) throws(SystemError) -> StorageSpace {
        var facts = statvfs()
        _ = try checkErrno(.space, path) { statvfs(path, &facts) }
        return StorageSpace(facts)
    }

    /// Whether the path lies on a file system that is reached over a network.
    package static func isOnNetwork(_ path: String) throws(SystemError) -> Bool {
        try check(cxt_is_network_file_system(path), .stat, path) == 1
    }

    /// The path's absolute form without links.
    package static func resolve(_ path: String) throws(SystemError) -> String {
        guard let resolved = realpath(path, nil) else {
            throw SystemError(errno: errno, operation: .stat, path: path)
        }
        defer { free(resolved) }
        return String(cString: resolved)
    }

    /// Writes a small file so that there is the old or the new content, never a mixture, and it survives
    /// loss of power: a temporary name, sync, rename, sync of the directory.
    package static func replace(_ path: String, with bytes: [UInt8], mode: UInt32 = 0o600)
        throws(SystemError)
    {
        let temporary = path + ".tmp"
        do {
            let file = try open(temporary, [.write, .create, .truncate, .noFollow], mode: mode)
            try file.write(bytes.span.bytes, at: 0)
            try file.syncData()
        }
        try rename(temporary, to: path)
        let directory = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
        try syncDirectory(directory.isEmpty ? "/" : directory)
    }
}

extension StorageSpace {
    init(_ facts: statvfs) {
        let unit = UInt64(facts.f_frsize)
        self.init(
            total: UInt64(facts.f_blocks) * unit, available: UInt64(facts.f_bavail) * unit)
    }
}
