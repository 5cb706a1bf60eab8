#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// A system call that failed: which, on what, and why.
package struct SystemError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The C library's error number.
    package let errno: Int32
    /// What was tried, a verb: `open`, `connect`.
    package let operation: StaticOperation
    /// On which path, if on one.
    package let path: String?

    /// A verb, so that no error costs a string.
    package enum StaticOperation: String, Sendable {
        case open, read, write, sync, allocate, truncate, rename, remove, list, lock, stat, space
        case makeDirectory = "make directory"
        case socket, connect, bind, accept, send, receive, peer, poll, pipe, memfd
        case spawn, wait, signal, thread, fork, random, seek
    }

    /// An error with the given number.
    package init(errno: Int32, operation: StaticOperation, path: String? = nil) {
        self.errno = errno
        self.operation = operation
        self.path = path
    }

    /// `open /var/lib/x: Permission denied (13)`.
    package var description: String {
        if isDisowned {
            return "the state directory \(path ?? "") was removed, or taken by another agent"
        }
        let reason = Self.reason(errno)
        let place = path.map { " \($0)" } ?? ""
        return "\(operation.rawValue)\(place): \(reason) (\(errno))"
    }

    /// What the C library says of an error's number.
    package static func reason(_ errno: Int32) -> String { String(cString: strerror(errno)) }

    /// `ENOSPC`, for those who make an error.
    package static let noSpace = ENOSPC
    /// `EIO`, for those who make an error.
    package static let inputOutput = EIO
    /// `ENOENT`, for those who make an error.
    package static let notFound = ENOENT
    /// `ERANGE`, for those who make an error.
    package static let outOfRange = ERANGE
    /// `EADDRINUSE`: somebody listens there.
    package static let addressInUse = EADDRINUSE
    /// Nobody listens there.
    package static let connectionRefused = ECONNREFUSED

    /// The directory with this path is not ours any more: nothing may be written there.
    package static func disowned(_ path: String) -> SystemError {
        SystemError(errno: ESTALE, operation: .lock, path: path)
    }
    /// See `disowned(_:)`.
    package var isDisowned: Bool { errno == ESTALE && operation == .lock }

    /// There is no space, or no quota, left.
    package var isOutOfSpace: Bool { errno == ENOSPC || errno == EDQUOT }
    /// Descriptors or memory are short, here or in the whole system: nothing was done, and it may be tried
    /// again.
    package var isShortage: Bool { errno == EMFILE || errno == ENFILE || errno == ENOMEM }
    /// There is no such file.
    package var isNotFound: Bool { errno == ENOENT || errno == ENOTDIR }
    /// It is larger than it may be.
    package var isTooLarge: Bool { errno == EFBIG }
    /// It is a directory, and no file.
    package var isDirectory: Bool { errno == EISDIR }
    /// A non-blocking call would have waited, or a time limit passed.
    package var wouldBlock: Bool { errno == EAGAIN || errno == EWOULDBLOCK || errno == EINPROGRESS }
    /// The other end is gone.
    package var isDisconnected: Bool {
        errno == EPIPE || errno == ECONNRESET || errno == ENOTCONN || errno == ECONNREFUSED
    }
    /// We may not.
    package var isPermission: Bool { errno == EACCES || errno == EPERM }
    /// What an operator does about it, where that is known.
    package var remedy: String? {
        switch errno {
        case ENOSPC: "make room on its file system: `df -h` shows space, `df -i` inodes"
        case EDQUOT: "raise the quota of its user or directory, or make room in it"
        case ESTALE where isDisowned: "restart codex-telemetryd"
        case EFBIG:
            "raise the limit of file sizes (`ulimit -f`, LimitFSIZE= of the unit), then start the agent again"
        case EROFS: "mount its file system read-write, then start the agent again"
        case EIO: "look for errors of the disk in `journalctl -k`, then start the agent again"
        case EMFILE: "raise the limit of open files: `ulimit -n`, LimitNOFILE= of the unit"
        case ENFILE: "raise the system's limit of open files: `sysctl fs.file-max`"
        case ENOMEM: "make memory available"
        case EACCES, EPERM: "give it to the agent's user, with the right to write"
        default: nil
        }
    }
    /// It is there already.
    package var alreadyExists: Bool { errno == EEXIST }
}

/// Turns a shim's negative result into an error.
@discardableResult
func check<Value: BinaryInteger>(
    _ result: Value, _ operation: SystemError.StaticOperation, _ path: String? = nil
) throws(SystemError) -> Value {
    if result < 0 {
        throw SystemError(
            errno: Int32(truncatingIfNeeded: -Int64(result)), operation: operation, path: path)
    }
    return result
}

/// Turns a C library's -1 into an error, and tries again when a signal interrupted it.
func checkErrno<Value: BinaryInteger>(
    _ operation: SystemError.StaticOperation, _ path: String? = nil, _ call: () -> Value
) throws(SystemError) -> Value {
    while true {
        let result = call()
        if result >= 0 { return result }
        if errno == EINTR { continue }
        throw SystemError(errno: errno, operation: operation, path: path)
    }
}
