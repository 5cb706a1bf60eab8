import CSystemIO

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// Signals, by number.
package struct SignalSet: Sendable, Equatable, ExpressibleByArrayLiteral {
    let bits: UInt64

    /// These signals.
    package init(arrayLiteral elements: Int32...) { self.init(elements) }

    /// These signals, each from 1 to 63.
    package init(_ signals: [Int32]) {
        var bits: UInt64 = 0
        for signal in signals {
            precondition((1...63).contains(signal))
            bits |= 1 << UInt64(signal)
        }
        self.bits = bits
    }

    init(bits: UInt64) { self.bits = bits }

    /// Whether a signal is one of them.
    package func contains(_ signal: Int32) -> Bool {
        (1...63).contains(signal) && bits >> UInt64(signal) & 1 == 1
    }
}

/// What this process does with signals.
package enum Signals {
    /// Hang-up: reload.
    package static let hangup = SIGHUP
    /// Ctrl-C.
    package static let interrupt = SIGINT
    /// Ctrl-\.
    package static let quit = SIGQUIT
    /// Kill: cannot be caught.
    package static let kill = SIGKILL
    /// Please end.
    package static let terminate = SIGTERM
    /// Ctrl-Z.
    package static let terminalStop = SIGTSTP
    /// Stop: cannot be caught.
    package static let stop = SIGSTOP
    /// Go on.
    package static let goOn = SIGCONT
    /// The terminal changed its size.
    package static let windowChange = SIGWINCH
    /// A write to a closed pipe.
    package static let pipe = SIGPIPE
    /// What a write beyond `ulimit -f` sends to the thread that tries it, beside the error.
    package static let fileSize = SIGXFSZ
    /// A child changed its state.
    package static let child = SIGCHLD
    /// User-defined 1.
    package static let user1 = SIGUSR1
    /// User-defined 2.
    package static let user2 = SIGUSR2
    /// Abort.
    package static let abort = SIGABRT
    /// Background read from the terminal.
    package static let terminalInput = SIGTTIN
    /// Background write to the terminal.
    package static let terminalOutput = SIGTTOU

    /// Blocks signals in the calling thread and those it starts; they stay pending.
    package static func block(_ signals: SignalSet) throws(SystemError) {
        try check(cxt_signals_mask(1, signals.bits), .signal)
    }

    /// Unblocks signals in the calling thread.
    package static func unblock(_ signals: SignalSet) throws(SystemError) {
        try check(cxt_signals_mask(0, signals.bits), .signal)
    }

    /// The signals that the calling thread blocks.
    package static func blocked() -> SignalSet { SignalSet(bits: cxt_signals_blocked()) }

    /// Back to what the system does by itself.
    package static func resetToDefault(_ signal: Int32) throws(SystemError) {
        try check(cxt_signal_default(signal), .signal)
    }

    /// Ignores a signal, as children then do too unless they change it.
    package static func ignore(_ signal: Int32) throws(SystemError) {
        try check(cxt_signal_ignore(signal), .signal)
    }

    /// Catches a signal and does nothing: unlike one that is ignored, a child gets it as usual.
    package static func discard(_ signal: Int32) throws(SystemError) {
        try check(cxt_signal_handler(signal, { _ in }, 1), .signal)
    }

    /// Calls `handler` on a signal, on whichever thread the kernel picks. The handler may only do what
    /// is safe there. Interrupted calls go on if `restarting`.
    package static func handle(
        _ signal: Int32, restarting: Bool = true, _ handler: @convention(c) (Int32) -> Void
    ) throws(SystemError) {
        try check(cxt_signal_handler(signal, handler, restarting ? 1 : 0), .signal)
    }

    /// Waits for one of these signals, which the calling thread blocks; nil at the time limit.
    package static func wait(for signals: SignalSet, milliseconds: Int64?) throws(SystemError)
        -> Int32?
    {
        let signal = try check(cxt_signals_wait(signals.bits, milliseconds ?? -1), .signal)
        return signal == 0 ? nil : signal
    }

    /// Sends a signal to this process itself, as a stop that the terminal asked for.
    package static func raise(_ signal: Int32) { send(signal, to: getpid()) }

    /// Ends this process by a signal, so that whoever waits for it sees that death: the disposition is
    /// reset, the signal unblocked, no core is dumped. If it does not end us, exits with 128 + signal.
    package static func endProcess(by signal: Int32) -> Never {
        _ = cxt_raise_to_end(signal)
        _exit(128 + signal)
    }

    /// Sends a signal to a process; false if it is gone or not ours.
    @discardableResult
    package static func send(_ signal: Int32, to pid: Int32) -> Bool {
        #if canImport(Darwin)
            return Darwin.kill(pid, signal) == 0
        #elseif canImport(Musl)
            return Musl.kill(pid, signal) == 0
        #else
            return Glibc.kill(pid, signal) == 0
        #endif
    }
}
