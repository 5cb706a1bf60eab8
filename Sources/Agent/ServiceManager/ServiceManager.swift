internal import SystemIO

#if Journald && os(Linux)
    internal import CSystemd
    internal import Glibc
#endif

/// The service manager that started us, if there is one: sd_notify(3), sd_watchdog_enabled(3),
/// sd_listen_fds(3). Without systemd every call does nothing and says so.
package struct ServiceManager: Sendable {
    /// A listening socket that was handed over.
    package struct HandedSocket: Sendable, Equatable {
        /// `FileDescriptorName=` of the socket unit.
        package let name: String
        /// The descriptor; ours from now on.
        package let descriptor: Int32
    }

    /// The process's own.
    package init() {}

    /// Whether a service manager listens to what we say.
    package var isPresent: Bool { ThisProcess.environment("NOTIFY_SOCKET") != nil }

    /// Says `READY=1`, `STATUS=…`, … (sd_notify(3)); without a service manager nothing happens.
    package func notify(_ message: String) {
        #if Journald && os(Linux)
            // The result only tells whether somebody listens; nothing here depends on it.
            _ = sd_notify(0, message)
        #endif
    }

    /// Tells that the configuration is being read again: `RELOADING=1` with the clock's reading, as
    /// `Type=notify-reload` (systemd 253) wants it.
    package func reloading(monotonicMicroseconds: UInt64) {
        notify("RELOADING=1\nMONOTONIC_USEC=\(monotonicMicroseconds)")
    }

    /// How often the watchdog wants to hear from us (`WatchdogSec=`); nil if it does not.
    package var watchdogInterval: Duration? {
        #if Journald && os(Linux)
            var microseconds: UInt64 = 0
            guard sd_watchdog_enabled(0, &microseconds) > 0 else { return nil }
            return .microseconds(Int64(clamping: microseconds))
        #else
            return nil
        #endif
    }

    /// The sockets handed over, by name; asked once, at start: the variables are unset so that no
    /// child takes them for its own.
    package func takeSockets() -> [HandedSocket] {
        #if Journald && os(Linux)
            var names: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?
            let count = sd_listen_fds_with_names(1, &names)
            guard count > 0, let names else { return [] }
            // The array and its strings are ours to free (sd_listen_fds_with_names(3)).
            defer { free(names) }
            return (0..<Int(count)).map { index in
                defer { free(names[index]) }
                let name = names[index].map { String(cString: $0) } ?? ""
                return HandedSocket(name: name, descriptor: 3 + Int32(index))
            }
        #else
            return []
        #endif
    }
}
