import CSystemIO

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// A program that we started and have not yet waited for.
package struct ChildProcess: Sendable {
    /// Process id; ours to wait for until `exited` or `killed` was returned.
    package let pid: Int32

    /// What became of a child.
    package enum Event: Sendable, Equatable {
        /// It ended with this code.
        case exited(Int32)
        /// A signal killed it.
        case killed(Int32)
        /// A signal stopped it; it can go on.
        case stopped(Int32)
        /// It goes on after a stop.
        case continued
    }

    /// Starts a program in our process group and terminal, with no signal blocked and default
    /// dispositions (what our own parent ignored stays ignored: catch signals, do not ignore them,
    /// in a parent that waits). `path` without a slash is searched in `PATH`. `environment` holds
    /// `NAME=value`; nil hands ours on. Throws `ENOENT` (a shell's 127) or `EACCES`, `ENOEXEC` (126).
    ///
    /// `input`, `output`, `error` are descriptors that become 0, 1, 2; nil keeps ours.
    /// `newSession` detaches it from our terminal.
    package static func start(
        _ path: String, arguments: [String], environment: [String]? = nil,
        input: Int32? = nil, output: Int32? = nil, error: Int32? = nil, newSession: Bool = false
    ) throws(SystemError) -> ChildProcess {
        let streams = [input ?? -1, output ?? -1, error ?? -1]
        let words = CStrings(arguments)
        let variables = CStrings(environment ?? ThisProcess.environment())
        let pid = cxt_spawn(
            path, 1, words.pointers, variables.pointers, streams, newSession ? 1 : 0)
        // The strings must outlive the call.
        withExtendedLifetime((words, variables)) {}
        return ChildProcess(pid: try check(pid, .spawn, path))
    }

    /// Waits for what becomes of it. With `stopped` also stops and continuations are returned.
    package func wait(stopped: Bool = false) throws(SystemError) -> Event {
        while true {
            if let event = try poll(stopped: stopped, waiting: true) { return event }
        }
    }

    /// What became of it, nil if nothing did yet. Does not wait.
    package func poll(stopped: Bool = false) throws(SystemError) -> Event? {
        try poll(stopped: stopped, waiting: false)
    }

    private func poll(stopped: Bool, waiting: Bool) throws(SystemError) -> Event? {
        var kind: Int32 = 0
        var value: Int32 = 0
        try check(cxt_wait(pid, waiting ? 1 : 0, stopped ? 1 : 0, &kind, &value), .wait)
        return switch kind {
        case 1: .exited(value)
        case 2: .killed(value)
        case 3: .stopped(value)
        case 4: .continued
        default: nil
        }
    }

    /// Sends it a signal; false if it is gone.
    @discardableResult
    package func send(_ signal: Int32) -> Bool { kill(pid, signal) == 0 }
}

/// A null-terminated array of C strings, freed with it.
private final class CStrings {
    let pointers: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>
    private let count: Int

    init(_ strings: [String]) {
        count = strings.count
        pointers = .allocate(capacity: count + 1)
        for (index, string) in strings.enumerated() {
            (pointers + index).initialize(to: strdup(string))
        }
        (pointers + count).initialize(to: nil)
    }

    deinit {
        for index in 0..<count { free(pointers[index]) }
        pointers.deallocate()
    }
}
