#if Journald && os(Linux)
    import Glibc
    import SystemIO

    /// The way to journald: datagrams on its socket, never waiting.
    final class JournalSocket {
        /// What became of an attempt to send.
        enum Outcome {
            /// This many, from the first on.
            case sent(Int)
            /// None now: journald's queue is full, or memory is short.
            case blocked
            /// The first is too large for a datagram.
            case tooLarge
            /// The socket leads nowhere any more.
            case gone(SystemError)
        }

        private let sender: DatagramSender
        private let failpoints: Failpoints?

        /// Connects. The send buffer stays the system's: a larger one was measured slower.
        init(path: String, failpoints: Failpoints? = nil) throws(SystemError) {
            self.failpoints = failpoints
            sender = try DatagramSender(path: path, blocking: false)
        }

        /// Sends `bytes[starts[i] ..< starts[i + 1]]` for each i, many in one system call.
        func send(_ bytes: [UInt8], starts: [Int]) -> Outcome {
            failpoints?.pass(.journalSend, .before)
            defer { failpoints?.pass(.journalSend, .after) }
            do throws(SystemError) {
                return .sent(try sender.send(bytes.span.bytes, starts: starts, wait: false))
            } catch {
                return Self.outcome(error)
            }
        }

        /// Sends one entry of any size as a sealed memory file.
        func sendAsMemoryFile(_ bytes: [UInt8], _ range: Range<Int>) -> Outcome {
            failpoints?.pass(.journalSend, .before)
            defer { failpoints?.pass(.journalSend, .after) }
            do throws(SystemError) {
                try sender.sendAsMemoryFile(
                    bytes.span.bytes.extracting(range), name: "codex-telemetry")
                return .sent(1)
            } catch {
                return Self.outcome(error)
            }
        }

        /// Waits until something can be sent, or the time is over.
        func waitUntilWritable(milliseconds: Int32) throws(SystemError) {
            _ = try Readiness.wait(
                for: .writable, on: sender.number, milliseconds: milliseconds)
        }

        private static func outcome(_ error: SystemError) -> Outcome {
            switch error.errno {
            case EAGAIN, ENOBUFS, ENOMEM, EINTR, EMFILE, ENFILE: .blocked
            case EMSGSIZE: .tooLarge
            // ENOENT, ECONNREFUSED, ENOTCONN, EPIPE, ECONNRESET: journald's socket was made anew.
            default: .gone(error)
            }
        }
    }
#endif
