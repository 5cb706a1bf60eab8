internal import CSystemIO

/// Who owns a TCP socket of this host, by the kernel's socket diagnostics (sock_diag(7)). Nobody else can
/// tell over TCP; where the kernel does not, it is unknown.
package struct TCPOwner: Sendable, Equatable {
    /// An address of a socket.
    package struct Address: Sendable, Equatable {
        /// 4 or 16 bytes, in network order.
        package let bytes: [UInt8]
        /// The port, in the host's order.
        package let port: UInt16

        /// All given; nil for another number of bytes.
        package init?(bytes: [UInt8], port: UInt16) {
            guard bytes.count == 4 || bytes.count == 16 else { return nil }
            self.bytes = bytes
            self.port = port
        }

        /// Any address, as a listener's remote one.
        static func any(like other: Address) -> Address? {
            Address(bytes: [UInt8](repeating: 0, count: other.bytes.count), port: 0)
        }

        var encoded: cxt_tcp_address {
            var address = cxt_tcp_address()
            address.is_v6 = bytes.count == 16 ? 1 : 0
            address.port = port
            withUnsafeMutableBytes(of: &address.bytes) { $0.copyBytes(from: bytes) }
            return address
        }
    }

    /// Effective uid of who made it.
    package let uid: UInt32
    /// The socket's inode, as in /proc/PID/fd.
    package let inode: UInt32

    /// The owner of the socket at `local` that is connected to `remote`. One question to the kernel, about 5 µs.
    package init(local: Address, remote: Address) throws(SystemError) {
        var from = local.encoded
        var to = remote.encoded
        var owner = cxt_tcp_owner()
        let result = cxt_tcp_owner(&from, &to, &owner)
        guard result >= 0 else { throw SystemError(errno: -result, operation: .peer) }
        uid = owner.uid
        inode = owner.inode
    }

    /// The owner of the socket that listens at `local`.
    package static func listener(at local: Address) throws(SystemError) -> TCPOwner {
        guard let any = Address.any(like: local) else { preconditionFailure("same length") }
        return try TCPOwner(local: local, remote: any)
    }

    /// The process that has the socket open, as far as this process may look: pid and program.
    package var process: (pid: Int32, name: String)? {
        let names: [String]
        do { names = try Files.list("/proc") } catch { return nil }
        for name in names {
            guard let pid = Int32(name), isOpen(in: pid) else { continue }
            return (pid, Self.program(of: pid))
        }
        return nil
    }

    /// False for a process that is not ours to look into, or has gone meanwhile.
    private func isOpen(in pid: Int32) -> Bool {
        let folder = "/proc/\(pid)/fd"
        do { return try Files.list(folder).contains { isSocket("\(folder)/\($0)") } } catch {
            return false
        }
    }

    /// False for a file that was closed meanwhile.
    private func isSocket(_ path: String) -> Bool {
        do {
            let facts = try Files.facts(path)
            return facts.kind == .socket && facts.inode == UInt64(inode)
        } catch {
            return false
        }
    }

    private static func program(of pid: Int32) -> String {
        do {
            let bytes = try Files.read("/proc/\(pid)/comm", limit: 64)
            return String(decoding: bytes.prefix { $0 != 0x0A }, as: UTF8.self)
        } catch {
            return "?"
        }
    }
}
