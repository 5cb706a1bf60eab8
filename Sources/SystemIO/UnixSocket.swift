import CSystemIO

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// Who is at the other end of a Unix socket, by the kernel's word at connect.
package struct PeerCredentials: Sendable, Equatable {
    /// Effective uid.
    package let uid: UInt32
    /// Effective gid.
    package let gid: UInt32
    /// Process id, 0 unknown.
    package let pid: Int32
    /// All given.
    package init(uid: UInt32, gid: UInt32, pid: Int32) {
        self.uid = uid
        self.gid = gid
        self.pid = pid
    }
}

/// A Unix domain socket with one owner. Writing to a closed peer is an error, never SIGPIPE.
package struct UnixSocket: ~Copyable, Sendable {
    /// What the socket carries.
    package enum Kind: Int32, Sendable {
        case stream = 0
        case datagram = 1
    }

    /// What a path may have at most: 107 on Linux, 103 on macOS.
    package static let pathBytesMax = Int(cxt_unix_address_bytes())

    private let descriptor: FileDescriptor
    private let waits: Bool

    private init(_ descriptor: consuming FileDescriptor, waits: Bool) {
        self.descriptor = descriptor
        self.waits = waits
    }

    /// Takes over an open socket.
    package init(owning number: Int32, blocking: Bool) {
        descriptor = FileDescriptor(owning: number)
        waits = blocking
    }

    /// The descriptor's number, valid as long as this value lives.
    package var number: Int32 { borrowing get { descriptor.number } }

    /// Gives the number away.
    package consuming func release() -> Int32 { descriptor.release() }

    /// Why a path cannot be a socket's, nil if it can.
    package static func pathProblem(_ path: String) -> String? {
        let count = path.utf8.count
        if count == 0 { return "the socket path is empty" }
        if count > pathBytesMax {
            return
                "the socket path \(path) has \(count) bytes; at most \(pathBytesMax) are possible"
        }
        return nil
    }

    /// Connects. `ENAMETOOLONG` for a path that is too long. A Unix connect returns at once unless the
    /// listener's queue is full: then it waits, or fails with `wouldBlock` if not `blocking`.
    package static func connect(_ path: String, kind: Kind = .stream, blocking: Bool = true)
        throws(SystemError) -> UnixSocket
    {
        let number = try check(
            cxt_unix_socket(kind.rawValue, blocking ? 0 : 1), .socket, path)
        let socket = UnixSocket(FileDescriptor(owning: number), waits: blocking)
        try check(cxt_unix_connect(number, path), .connect, path)
        return socket
    }

    /// An unconnected datagram socket, or a connected one that is to be connected later.
    package static func unconnected(kind: Kind, blocking: Bool) throws(SystemError) -> UnixSocket {
        let number = try check(cxt_unix_socket(kind.rawValue, blocking ? 0 : 1), .socket)
        return UnixSocket(FileDescriptor(owning: number), waits: blocking)
    }

    /// Connects an unconnected one, or connects again.
    package borrowing func connect(to path: String) throws(SystemError) {
        try check(cxt_unix_connect(descriptor.number, path), .connect, path)
    }

    /// Listens at `path` with these permission bits, set before anyone can connect. `EADDRINUSE` if the
    /// name is taken: see `removeStale`.
    package static func listen(
        _ path: String, mode: UInt32, kind: Kind = .stream, blocking: Bool = true
    ) throws(SystemError) -> UnixSocket {
        let number = try check(cxt_unix_socket(kind.rawValue, blocking ? 0 : 1), .socket, path)
        let socket = UnixSocket(FileDescriptor(owning: number), waits: blocking)
        try check(cxt_unix_bind(number, path, mode), .bind, path)
        return socket
    }

    /// Listens at `path` as `listen` does, in the place of a socket that nobody listens on any more; `stale`
    /// is called if there was one.
    package static func listenAnew(
        _ path: String, mode: UInt32, blocking: Bool = true, stale: () -> Void
    ) throws(ListenError) -> UnixSocket {
        if let problem = pathProblem(path) { throw .path(problem) }
        do {
            if try removeStale(path) { stale() }
            return try listen(path, mode: mode, blocking: blocking)
        } catch {
            guard error.errno == EADDRINUSE else { throw .system(error) }
            throw .taken(obstacle(at: path) ?? "somebody listens at \(path) already")
        }
    }

    /// Removes a socket file that nobody listens on; false if somebody does, or there is none. Anything
    /// else in its place stays.
    package static func removeStale(_ path: String) throws(SystemError) -> Bool {
        guard Files.exists(path), try Files.facts(path, following: false).kind == .socket else {
            return false
        }
        do {
            _ = try connect(path, blocking: false)
            return false
        } catch {
            guard error.errno == ECONNREFUSED else { return false }
            return try Files.remove(path)
        }
    }

    /// What stands at a path where a socket belongs, as a clause: `/x/y is a directory, not a socket`. Nil
    /// for a socket, and where nothing stands or it cannot be seen.
    package static func obstacle(at path: String) -> String? {
        let facts: FileFacts
        do { facts = try Files.facts(path, following: false) } catch { return nil }
        let kind: String
        switch facts.kind {
        case .socket: return nil
        case .regular: kind = "a file"
        case .directory: kind = "a directory"
        case .symbolicLink: kind = "a symbolic link"
        case .pipe: kind = "a named pipe (FIFO)"
        case .device: kind = "a device"
        case .other: kind = "something else"
        }
        return "\(path) is \(kind), not a socket"
    }

    /// Lets this listener be the other from now on: under the same number, so that whoever waits on it
    /// waits on the other the next time.
    package borrowing func become(_ other: consuming UnixSocket) throws(SystemError) {
        try check(cxt_take_place(other.number, number), .socket)
    }

    /// The next connection; waits if the listener does.
    package borrowing func accept(blocking: Bool = true) throws(SystemError) -> UnixSocket {
        let number = try check(cxt_accept(descriptor.number, blocking ? 0 : 1), .accept)
        return UnixSocket(FileDescriptor(owning: number), waits: blocking)
    }

    /// Sends what the kernel takes; the number of bytes. With `wait` false it throws `wouldBlock` rather
    /// than wait, whatever the socket's own mode.
    package borrowing func send(_ bytes: RawSpan, wait: Bool = true) throws(SystemError) -> Int {
        let number = descriptor.number
        // Sound: send reads only inside the span, whose lifetime encloses this closure.
        let sent = bytes.withUnsafeBytes { buffer in
            cxt_send(number, buffer.baseAddress, buffer.count, wait ? 0 : 1)
        }
        return try check(sent, .send)
    }

    /// Sends all of it, waiting as long as it takes (or the send time limit).
    package borrowing func sendAll(_ bytes: RawSpan) throws(SystemError) {
        var done = 0
        while done < bytes.byteCount {
            done += try send(bytes.extracting(done..<bytes.byteCount))
        }
    }

    /// Receives at most `limit` bytes and appends them; 0 when the peer has closed.
    package borrowing func receive(
        appendingTo bytes: inout [UInt8], limit: Int, wait: Bool = true
    ) throws(SystemError) -> Int {
        let number = descriptor.number
        var got = 0
        bytes.append(addingCapacity: limit) { (output: inout OutputSpan<UInt8>) in
            // Sound: the buffer has room for `limit` bytes, and as many are initialized as came.
            output.withUnsafeMutableBufferPointer { buffer, initialized in
                got = cxt_receive(number, buffer.baseAddress!, limit, wait ? 0 : 1)
                initialized = max(0, got)
            }
        }
        return try check(got, .receive)
    }

    /// A blocking send or receive fails with `wouldBlock` after this time; nil waits for ever.
    package borrowing func setTimeLimits(
        sendMilliseconds: Int64?, receiveMilliseconds: Int64?
    ) throws(SystemError) {
        try check(cxt_set_timeout(descriptor.number, 1, sendMilliseconds ?? 0), .socket)
        try check(cxt_set_timeout(descriptor.number, 0, receiveMilliseconds ?? 0), .socket)
    }

    /// No more will be sent; the peer reads to the end.
    package borrowing func finishSending() { _ = shutdown(descriptor.number, Int32(SHUT_WR)) }

    /// Waits until there is something to read (or the peer closed), or it can be written.
    package borrowing func wait(for what: Readiness, milliseconds: Int32) throws(SystemError)
        -> Bool
    {
        try Readiness.wait(for: what, on: descriptor.number, milliseconds: milliseconds)
    }

    /// Who is at the other end.
    package borrowing func peer() throws(SystemError) -> PeerCredentials {
        try UnixSocket.peer(of: descriptor.number)
    }

    /// Who is at the other end of a socket that another owns.
    package static func peer(of number: Int32) throws(SystemError) -> PeerCredentials {
        var facts = cxt_peer()
        try check(cxt_peer_credentials(number, &facts), .peer)
        return PeerCredentials(uid: facts.uid, gid: facts.gid, pid: facts.pid)
    }

    /// A descriptor of the peer's process (Linux 6.5 and later), nil where the kernel has none.
    package static func peerProcess(of number: Int32) -> FileDescriptor? {
        let pidfd = cxt_peer_pidfd(number)
        return pidfd < 0 ? nil : FileDescriptor(owning: pidfd)
    }
}

/// Why nobody can listen at a path.
package enum ListenError: Error, Sendable, CustomStringConvertible {
    /// The path cannot be a socket's; what is wrong with it.
    case path(String)
    /// Something has the name; what.
    case taken(String)
    /// A system call failed.
    case system(SystemError)

    /// A clause for people.
    package var description: String {
        switch self {
        case .path(let problem): "\(problem); choose a shorter one"
        case .taken(let obstacle): "\(obstacle): remove it, or choose another path"
        case .system(let error): "\(error)"
        }
    }
}

/// What one may wait for on a descriptor.
package struct Readiness: OptionSet, Sendable {
    /// Bits.
    package let rawValue: UInt8
    /// From bits.
    package init(rawValue: UInt8) { self.rawValue = rawValue }
    /// Something to read, or the end.
    package static let readable = Readiness(rawValue: 1)
    /// Room to write.
    package static let writable = Readiness(rawValue: 2)

    /// Waits at most `milliseconds` (for ever if negative); whether it is ready. A signal ends the wait
    /// early with false.
    package static func wait(for what: Readiness, on number: Int32, milliseconds: Int32)
        throws(SystemError) -> Bool
    {
        var events: Int16 = 0
        if what.contains(.readable) { events |= Int16(POLLIN) }
        if what.contains(.writable) { events |= Int16(POLLOUT) }
        var entry = pollfd(fd: number, events: events, revents: 0)
        let ready = poll(&entry, 1, milliseconds)
        if ready < 0 && errno != EINTR { throw SystemError(errno: errno, operation: .poll) }
        return ready > 0
    }

    /// Waits until one of several is ready; which are, in the order given.
    package static func wait(
        forAnyOf descriptors: [(number: Int32, what: Readiness)], milliseconds: Int32
    ) throws(SystemError) -> [Bool] {
        var entries = descriptors.map { entry in
            var events: Int16 = 0
            if entry.what.contains(.readable) { events |= Int16(POLLIN) }
            if entry.what.contains(.writable) { events |= Int16(POLLOUT) }
            return pollfd(fd: entry.number, events: events, revents: 0)
        }
        let ready = poll(&entries, nfds_t(entries.count), milliseconds)
        if ready < 0 && errno != EINTR { throw SystemError(errno: errno, operation: .poll) }
        return entries.map { ready > 0 && $0.revents != 0 }
    }
}

/// A pipe: what is written to one end is read from the other.
package struct Pipe: ~Copyable, Sendable {
    /// To read from.
    package let reading: FileDescriptor
    /// To write to.
    package let writing: FileDescriptor

    /// Makes a pipe; both ends close on exec.
    package init() throws(SystemError) {
        var numbers: [Int32] = [-1, -1]
        _ = try checkErrno(.pipe) { pipe(&numbers) }
        reading = FileDescriptor(owning: numbers[0])
        writing = FileDescriptor(owning: numbers[1])
        _ = fcntl(numbers[0], F_SETFD, FD_CLOEXEC)
        _ = fcntl(numbers[1], F_SETFD, FD_CLOEXEC)
    }
}
