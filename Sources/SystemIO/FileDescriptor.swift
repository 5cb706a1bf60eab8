import CSystemIO

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// A descriptor with one owner: it is closed when the owner lets go of it.
package struct FileDescriptor: ~Copyable, Sendable {
    /// The number, valid as long as this value lives.
    package let number: Int32

    /// Takes over an open descriptor.
    package init(owning number: Int32) { self.number = number }

    deinit { _ = close(number) }

    /// Gives the number away; nobody closes it any more but the caller.
    package consuming func release() -> Int32 {
        let number = self.number
        discard self
        return number
    }

    /// Another descriptor of the same open file.
    package borrowing func duplicate() throws(SystemError) -> FileDescriptor {
        let number = self.number
        return FileDescriptor(
            owning: try checkErrno(.open) { fcntl(number, F_DUPFD_CLOEXEC, 0) })
    }

    // MARK: Files

    /// Bytes of the file.
    package borrowing func size() throws(SystemError) -> UInt64 {
        var facts = stat()
        let number = self.number
        _ = try checkErrno(.stat) { fstat(number, &facts) }
        return UInt64(facts.st_size)
    }

    /// Reads at `position` until `range` of `bytes` is full or the file ends; the number of bytes read.
    package borrowing func read(
        into bytes: inout [UInt8], range: Range<Int>, at position: UInt64
    ) throws(SystemError) -> Int {
        precondition(range.lowerBound >= 0 && range.upperBound <= bytes.count)
        let number = self.number
        var failure: Int32 = 0
        // Sound: pread gets the address of `range`, which lies inside the array, and its length.
        let read = bytes.withUnsafeMutableBytes { buffer in
            var done = 0
            while done < range.count {
                let target = buffer.baseAddress! + range.lowerBound + done
                let got = pread(number, target, range.count - done, off_t(position) + off_t(done))
                if got < 0 {
                    if errno == EINTR { continue }
                    failure = errno
                    break
                }
                if got == 0 { break }
                done += got
            }
            return done
        }
        if failure != 0 { throw SystemError(errno: failure, operation: .read) }
        return read
    }

    /// Writes all of `bytes` at `position`. On an error part of them may have been written.
    package borrowing func write(_ bytes: RawSpan, at position: UInt64) throws(SystemError) {
        let number = self.number
        var failure: Int32 = 0
        // Sound: pwrite reads only inside the span, whose lifetime encloses this closure.
        bytes.withUnsafeBytes { buffer in
            var done = 0
            while done < buffer.count {
                let wrote = pwrite(
                    number, buffer.baseAddress! + done, buffer.count - done,
                    off_t(position) + off_t(done))
                if wrote < 0 {
                    if errno == EINTR { continue }
                    failure = errno
                    break
                }
                done += wrote
            }
        }
        if failure != 0 { throw SystemError(errno: failure, operation: .write) }
    }

    /// Sets the file's length.
    package borrowing func setSize(_ size: UInt64) throws(SystemError) {
        let number = self.number
        _ = try checkErrno(.truncate) { ftruncate(number, off_t(size)) }
    }

    /// Reserves space; the file grows with zeros. Not every file system can.
    package borrowing func allocate(_ range: Range<UInt64>) throws(SystemError) {
        try check(
            cxt_allocate(number, range.lowerBound, range.upperBound - range.lowerBound), .allocate)
    }

    /// Returns once the file's bytes survive loss of power.
    package borrowing func syncData() throws(SystemError) {
        let number = self.number
        #if os(Linux)
            _ = try checkErrno(.sync) { fdatasync(number) }
        #else
            _ = try checkErrno(.sync) { fcntl(number, F_FULLFSYNC) }
        #endif
    }

    /// Lets the page cache give up a range that is not to be read again soon. A hint.
    package borrowing func forget(_ range: Range<UInt64>) {
        #if !canImport(Darwin)
            _ = posix_fadvise(
                number, off_t(range.lowerBound), off_t(range.count), POSIX_FADV_DONTNEED)
        #endif
    }

    /// Takes the file's `flock`; false if another holds it and `wait` is false. Blocks if `wait`.
    package borrowing func lock(exclusive: Bool = true, wait: Bool = false) throws(SystemError)
        -> Bool
    {
        let result = cxt_flock(number, exclusive ? 1 : 0, wait ? 1 : 0)
        if result == -EWOULDBLOCK { return false }
        try check(result, .lock)
        return true
    }

    // MARK: Streams

    /// Writes at the descriptor's own position, all of it, blocking if the descriptor blocks. Terminals,
    /// pipes, append-only files.
    package borrowing func writeAll(_ bytes: RawSpan) throws(SystemError) {
        let number = self.number
        var failure: Int32 = 0
        // Sound: write reads only inside the span, whose lifetime encloses this closure.
        bytes.withUnsafeBytes { buffer in
            var done = 0
            while done < buffer.count {
                #if canImport(Darwin)
                    let wrote = Darwin.write(
                        number, buffer.baseAddress! + done, buffer.count - done)
                #elseif canImport(Musl)
                    let wrote = Musl.write(number, buffer.baseAddress! + done, buffer.count - done)
                #else
                    let wrote = Glibc.write(number, buffer.baseAddress! + done, buffer.count - done)
                #endif
                if wrote < 0 {
                    if errno == EINTR { continue }
                    failure = errno
                    break
                }
                done += wrote
            }
        }
        if failure != 0 { throw SystemError(errno: failure, operation: .write) }
    }

    /// Reads what is there, at most `limit` bytes, and appends it; 0 at the end of the stream.
    package borrowing func readSome(appendingTo bytes: inout [UInt8], limit: Int)
        throws(SystemError) -> Int
    {
        let number = self.number
        var failure: Int32 = 0
        var got = 0
        bytes.append(addingCapacity: limit) { (output: inout OutputSpan<UInt8>) in
            // Sound: the buffer has room for `limit` bytes, and as many are initialized as came.
            output.withUnsafeMutableBufferPointer { buffer, initialized in
                repeat {
                    #if canImport(Darwin)
                        got = Darwin.read(number, buffer.baseAddress!, limit)
                    #elseif canImport(Musl)
                        got = Musl.read(number, buffer.baseAddress!, limit)
                    #else
                        got = Glibc.read(number, buffer.baseAddress!, limit)
                    #endif
                    failure = got < 0 ? errno : 0
                } while failure == EINTR
                got = max(0, got)
                initialized = got
            }
        }
        if failure != 0 { throw SystemError(errno: failure, operation: .read) }
        return got
    }

    /// Whether calls on this descriptor wait.
    package borrowing func setBlocking(_ blocking: Bool) throws(SystemError) {
        try check(cxt_set_nonblocking(number, blocking ? 0 : 1), .open)
    }

    /// Whether it is a terminal.
    package borrowing func isTerminal() -> Bool { isatty(number) == 1 }
}

/// Standard input, output and error: never closed by us.
package enum StandardStream: Int32, Sendable {
    case input = 0
    case output = 1
    case error = 2

    /// Whether it is a terminal.
    package var isTerminal: Bool { isatty(rawValue) == 1 }

    /// Columns of the terminal, nil if it is none.
    package var columns: Int? {
        var size = winsize()
        guard ioctl(rawValue, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return nil }
        return Int(size.ws_col)
    }

    /// Writes all of the bytes, blocking.
    package func write(_ bytes: [UInt8]) throws(SystemError) {
        let descriptor = FileDescriptor(owning: rawValue)
        let result: SystemError?
        do {
            try descriptor.writeAll(bytes.span.bytes)
            result = nil
        } catch {
            result = error
        }
        _ = descriptor.release()
        if let result { throw result }
    }
}
