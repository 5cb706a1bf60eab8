import CSystemIO

#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

/// Runs a command in our place: it has our terminal, process group, standard streams and signal
/// dispositions; what is sent to us reaches it; when it stops we stop. One thread, no handlers, no
/// event loop.
package struct ForegroundCommand: Sendable {
    private let child: ChildProcess

    /// What is passed on to the command.
    private static let forwarded: [Int32] = [
        SIGTERM, SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2, SIGALRM, SIGTSTP, SIGCONT,
    ]
    /// Within this time a signal to a group has reached all of it.
    private static let groupMilliseconds: Int64 = 20
    private static let watched = SignalSet(forwarded + [SIGCHLD])

    /// Starts the command. Signals are blocked from here on, to be waited for in `waitForEnd`; the
    /// command itself starts with the mask that we had. Throws `ENOENT` (a shell's 127) or another
    /// error (126).
    ///
    /// - Parameters:
    ///   - inserted: further arguments, before each of those at `places`; 0 is the command's name.
    ///   - environment: variables set for the command beside ours; an empty value removes one.
    package init(
        _ arguments: ProcessArguments, inserting inserted: [String] = [], at places: [Int] = [],
        environment: [(name: String, value: String)]
    ) throws(SystemError) {
        // With SIGCHLD ignored, as we may have inherited it, the kernel would reap the command unseen.
        try Signals.resetToDefault(SIGCHLD)
        let before = Signals.blocked()
        try Signals.block(Self.watched)
        let variables = BorrowingCStrings(environmentWith: environment)
        let name = arguments.text(0) ?? ""
        let own =
            inserted.isEmpty
            ? nil
            : BorrowingCStrings(
                then: arguments, inserting: inserted, at: places)
        var pid = cxt_spawn_here(
            name, 1, own?.pointers ?? arguments.pointer, variables.pointers, before.bits)
        if pid == -ENOEXEC, let path = Self.find(name) {
            // A script without an interpreter line: `execvp` hands it to the shell, posix_spawnp does not.
            let words = BorrowingCStrings(
                ["sh", path], then: ProcessArguments(from: arguments.start + 1),
                inserting: inserted, at: places.map { $0 - 1 })
            pid = cxt_spawn_here("/bin/sh", 0, words.pointers, variables.pointers, before.bits)
            withExtendedLifetime(words) {}
        }
        withExtendedLifetime((variables, own)) {}
        child = ChildProcess(pid: try check(pid, .spawn, name))
    }

    /// Waits until the command is gone: `.exited` or `.killed`.
    package func waitForEnd() throws(SystemError) -> ChildProcess.Event {
        var isStopped = false
        while true {
            var isFromKernel: Int32 = 0
            let signal = try check(
                cxt_signals_wait_source(Self.watched.bits, &isFromKernel), .signal)
            switch signal {
            case SIGCHLD:
                if let end = try takeEvents(&isStopped) { return end }
            case SIGCONT:
                // Whoever continues a job continues its whole group, and many programs redraw at each
                // SIGCONT: one is enough. Only if the command stays stopped were we alone named.
                if isStopped {
                    _ = try Signals.wait(for: [SIGCHLD], milliseconds: Self.groupMilliseconds)
                    if let end = try takeEvents(&isStopped) { return end }
                    if isStopped { child.send(signal) }
                }
            default:
                // What the kernel made (Ctrl-C, Ctrl-\, Ctrl-Z, a hang-up) it sent to the whole
                // foreground group, the command included.
                if isFromKernel == 0 { child.send(signal) }
            }
        }
    }

    /// What became of the command since the last look; its end, if it has ended.
    private func takeEvents(_ isStopped: inout Bool) throws(SystemError) -> ChildProcess.Event? {
        while let event = try child.poll(stopped: true) {
            switch event {
            case .exited, .killed: return event
            case .continued: isStopped = false
            case .stopped(let stopSignal):
                isStopped = true
                try stopSelf(like: stopSignal)
            }
        }
        return nil
    }

    /// Stops this process by the signal that stopped the command, so that the shell names it rightly.
    /// Returns when it is continued.
    private func stopSelf(like stopSignal: Int32) throws(SystemError) {
        guard stopSignal != SIGSTOP, cxt_signal_is_default(stopSignal) == 1 else {
            Signals.raise(SIGSTOP)
            return
        }
        // Blocked to be waited for, it stops us at the moment it is let through.
        try Signals.block([stopSignal])
        Signals.raise(stopSignal)
        try Signals.unblock([stopSignal])
        if Self.watched.contains(stopSignal) { try Signals.block([stopSignal]) }
    }

    private static func find(_ name: String) -> String? {
        if name.utf8.contains(UInt8(ascii: "/")) { return name }
        let path = ThisProcess.environment("PATH") ?? "/usr/bin:/bin"
        for directory in path.split(separator: ":", omittingEmptySubsequences: false) {
            let candidate = (directory.isEmpty ? "." : String(directory)) + "/" + name
            if access(candidate, X_OK) == 0 { return candidate }
        }
        return nil
    }
}

extension ChildProcess {
    /// Starts a program that shall live on without us: a session of its own, `/` as working directory,
    /// standard streams on `/dev/null`, every signal at its default, no descriptor but `keeping` (as 3).
    package static func startDetached(
        _ path: String, arguments: [String], keeping descriptor: Int32?
    ) throws(SystemError) -> ChildProcess {
        let words = BorrowingCStrings(arguments, then: ProcessArguments(from: Int.max))
        let variables = BorrowingCStrings(environmentWith: [])
        let pid = cxt_spawn_detached(path, words.pointers, variables.pointers, descriptor ?? -1)
        withExtendedLifetime((words, variables)) {}
        return ChildProcess(pid: try check(pid, .spawn, path))
    }
}
