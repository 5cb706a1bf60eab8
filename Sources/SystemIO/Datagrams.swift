import CSystemIO

/// Sends datagrams to one Unix socket: many in one system call, large ones as a sealed memory file.
package struct DatagramSender: ~Copyable, Sendable {
    private let socket: UnixSocket
    /// Where to.
    package let path: String

    /// Connects to a datagram socket.
    package init(path: String, blocking: Bool = true) throws(SystemError) {
        socket = try UnixSocket.connect(path, kind: .datagram, blocking: blocking)
        self.path = path
    }

    /// The descriptor's number, for polling.
    package var number: Int32 { borrowing get { socket.number } }

    /// Sends message i as `bytes[starts[i] ..< starts[i + 1]]`; how many went, from the first on. Throws
    /// only if none did: `EMSGSIZE` for one that is too large, `wouldBlock` when the queue is full.
    package borrowing func send(_ bytes: RawSpan, starts: [Int], wait: Bool = true)
        throws(SystemError) -> Int
    {
        guard starts.count > 1 else { return 0 }
        for index in 1..<starts.count { precondition(starts[index - 1] <= starts[index]) }
        precondition(starts[0] >= 0 && starts[starts.count - 1] <= bytes.byteCount)
        let number = socket.number
        // Sound: the ranges were just checked to lie inside the span and to rise.
        let sent = bytes.withUnsafeBytes { buffer in
            starts.withUnsafeBufferPointer { starts in
                starts.withMemoryRebound(to: size_t.self) { starts in
                    cxt_send_datagrams(
                        number, buffer.baseAddress, starts.baseAddress, starts.count - 1,
                        wait ? 0 : 1)
                }
            }
        }
        return Int(try check(sent, .send, path))
    }

    /// Sends one message of any size as a sealed memory file (Linux; `ENOTSUP` elsewhere).
    package borrowing func sendAsMemoryFile(_ bytes: RawSpan, name: String) throws(SystemError) {
        let file = FileDescriptor(owning: try check(cxt_memfd(name), .memfd))
        try file.write(bytes, at: 0)
        try check(cxt_memfd_seal(file.number), .memfd)
        try check(cxt_send_descriptor(socket.number, file.number), .send, path)
    }
}
