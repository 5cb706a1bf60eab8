import CSystemIO

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// Facts of the running process and of others on this host.
package enum ThisProcess {
    /// Process id.
    package static var pid: Int32 { getpid() }
    /// The parent's process id.
    package static var parentPID: Int32 { getppid() }
    /// Effective uid.
    package static var euid: UInt32 { geteuid() }
    /// Effective gid.
    package static var egid: UInt32 { getegid() }

    /// The value of an environment variable, nil if unset.
    package static func environment(_ name: String) -> String? {
        guard let value = getenv(name) else { return nil }
        return String(cString: value)
    }

    /// Whether a variable that is set is UTF-8, and `environment` therefore tells its bytes; true if unset.
    package static func isText(environment name: String) -> Bool {
        guard let value = getenv(name) else { return true }
        return String(validatingCString: value) != nil
    }

    /// The whole environment as `NAME=value`, in its order.
    package static func environment() -> [String] {
        var entries: [String] = []
        guard var at = cxt_environment() else { return entries }
        while let entry = at.pointee {
            entries.append(String(cString: entry))
            at += 1
        }
        return entries
    }

    /// The program's own path, resolved, nil where it cannot be known.
    package static var executablePath: String? {
        #if os(Linux)
            do { return try Files.resolve("/proc/self/exe") } catch { return nil }
        #else
            return CommandLine.arguments.first
        #endif
    }

    /// The name of this host.
    package static var hostName: String {
        var bytes = [CChar](repeating: 0, count: 256)
        guard gethostname(&bytes, bytes.count - 1) == 0 else { return "" }
        return String(
            decoding: bytes.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// When a process started, in clock ticks since boot (`/proc/PID/stat` field 22): with the pid it
    /// names a process for as long as the machine runs. Nil where it cannot be known.
    package static func startTicks(of pid: Int32) -> UInt64? {
        #if os(Linux)
            let content: [UInt8]
            do { content = try Files.read("/proc/\(pid)/stat", limit: 4096) } catch { return nil }
            // The name in field 2 may hold spaces and parentheses: count from the last `)`.
            guard let end = content.lastIndex(of: UInt8(ascii: ")")) else { return nil }
            let fields = content[(end + 1)...].split(separator: UInt8(ascii: " "))
            guard fields.count > 19 else { return nil }
            return UInt64(String(decoding: fields[19], as: UTF8.self))
        #else
            return nil
        #endif
    }

    /// Resident memory of this process in bytes: its own pages and those of mapped files.
    package static func memory() -> (anonymous: UInt64, file: UInt64) {
        #if os(Linux)
            let content: [UInt8]
            do { content = try Files.read("/proc/self/status", limit: 16_384) } catch {
                return (0, 0)
            }
            var anonymous: UInt64 = 0
            var file: UInt64 = 0
            for line in content.split(separator: UInt8(ascii: "\n")) {
                let words = line.split { $0 == 0x20 || $0 == 0x09 }
                guard words.count >= 2,
                    let kilobytes = UInt64(String(decoding: words[1], as: UTF8.self))
                else { continue }
                switch String(decoding: words[0], as: UTF8.self) {
                case "RssAnon:": anonymous = kilobytes * 1024
                case "RssFile:", "RssShmem:": file += kilobytes * 1024
                default: break
                }
            }
            return (anonymous, file)
        #else
            return (0, 0)
        #endif
    }

    /// Processor time that this process has used, in nanoseconds.
    package static func processorTime() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }

    /// Whether a process with this id is there (perhaps another's).
    package static func isRunning(_ pid: Int32) -> Bool {
        kill(pid, 0) == 0 || errno == EPERM
    }

    /// The home directory of our user by the user database, nil if there is none.
    package static var homeDirectory: String? {
        guard let entry = getpwuid(geteuid()), let home = entry.pointee.pw_dir else { return nil }
        return String(cString: home)
    }

    /// The name of a user, nil if there is none.
    package static func userName(_ uid: UInt32) -> String? {
        guard let entry = getpwuid(uid), let name = entry.pointee.pw_name else { return nil }
        return String(cString: name)
    }

    /// The uid of a user's name, nil if there is none.
    package static func uid(named name: String) -> UInt32? { getpwnam(name)?.pointee.pw_uid }

    /// Opens `/dev/null` in the place of a standard stream that is closed, or a file of ours would get its
    /// number and our messages be written into it. To be called before anything is opened.
    package static func fillStandardStreams() { cxt_fill_standard_streams() }

    /// Lets this process open as many descriptors as it may (at most 16,384); how many those are.
    package static func raiseDescriptorLimit() -> Int { Int(cxt_raise_descriptor_limit()) }

    /// Unmaps the program's code and constants. A start touches three times what a program at work does:
    /// the runtime looks through every type once, and the kernel maps the pages around each touched one.
    /// What is needed again comes back from the page cache, at less than a microsecond a page.
    package static func releaseCode() { cxt_release_code() }

    /// Ends the process at once, without exit handlers.
    package static func exitNow(_ code: Int32) -> Never { _exit(code) }

    /// Fills with random bytes from the kernel.
    package static func randomBytes(_ count: Int) throws(SystemError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        // Sound: the shim fills exactly `count` bytes of the array.
        let result = bytes.withUnsafeMutableBytes { cxt_fill_random($0.baseAddress, $0.count) }
        try check(result, .random)
        return bytes
    }

    /// Calls `handler` in the child after every fork of this process. It must only do what is safe
    /// there: set plain memory. It cannot be taken back.
    package static func afterForkInChild(_ handler: @convention(c) () -> Void) throws(SystemError) {
        try check(cxt_at_fork_in_child(handler), .fork)
    }
}
