internal import NIOCore
internal import SegmentLog
internal import SystemIO

#if canImport(Glibc)
    internal import Glibc
#endif

/// Who is at the other end of an accepted connection, by the kernel's word, taken once, at accept.
/// What can't be known stays unknown; it is never guessed.
///
/// This is the one file that knows how a platform tells.
enum PeerInspection {
    #if os(Linux)
        /// `struct ucred` (unix(7)), which Swift's Glibc does not show.
        private struct Credentials: Sendable {
            let pid: Int32
            let uid: UInt32
            let gid: UInt32
        }

        private static let peerCredentials = NIOBSDSocket.Option(rawValue: 17)  // SO_PEERCRED
        private static let peerProcess = NIOBSDSocket.Option(rawValue: 77)  // SO_PEERPIDFD, 6.5

        static func identity(of channel: any Channel) -> EventLoopFuture<PeerIdentity> {
            guard channel.remoteAddress?.protocol == .unix || channel.remoteAddress == nil else {
                return channel.eventLoop.makeSucceededFuture(identityOverTCP(channel))
            }
            guard let provider = channel as? any SocketOptionProvider else {
                return channel.eventLoop.makeSucceededFuture(PeerIdentity.unknown)
            }
            let credentials: EventLoopFuture<Credentials> = provider.unsafeGetSocketOption(
                level: .socket, name: peerCredentials)
            return credentials.flatMap { credentials in
                let process: EventLoopFuture<Int32> = provider.unsafeGetSocketOption(
                    level: .socket, name: peerProcess)
                return process.map { Optional($0) }.recover { _ in nil }.map { pidfd in
                    identity(of: credentials, pidfd: pidfd)
                }
            }
        }

        /// Over loopback the kernel's socket diagnostics tell the uid, and nothing else.
        private static func identityOverTCP(_ channel: any Channel) -> PeerIdentity {
            guard let theirs = channel.remoteAddress.flatMap({ TCPOwner.Address($0) }),
                let ours = channel.localAddress.flatMap({ TCPOwner.Address($0) })
            else { return .unknown }
            do {
                return PeerIdentity(uid: try TCPOwner(local: theirs, remote: ours).uid)
            } catch {
                // Another host's, or a kernel without the module.
                return .unknown
            }
        }

        /// The start time is of this very process only if it still lives after the reading: a pid may
        /// have been given to another between connect and now. The pidfd tells.
        private static func identity(of peer: Credentials, pidfd: Int32?) -> PeerIdentity {
            var ticks = peer.pid > 0 ? ThisProcess.startTicks(of: peer.pid) : nil
            if let pidfd {
                let process = SystemIO.FileDescriptor(owning: pidfd)
                if isGone(process) { ticks = nil }
            }
            return PeerIdentity(
                uid: peer.uid, gid: peer.gid, pid: peer.pid > 0 ? UInt32(peer.pid) : nil,
                startTicks: ticks)
        }

        /// A pidfd becomes readable when its process has ended (pidfd_open(2)).
        private static func isGone(_ process: borrowing SystemIO.FileDescriptor) -> Bool {
            var entry = pollfd(fd: process.number, events: Int16(POLLIN), revents: 0)
            return poll(&entry, 1, 0) != 0
        }
    #else
        static func identity(of channel: any Channel) -> EventLoopFuture<PeerIdentity> {
            channel.eventLoop.makeSucceededFuture(PeerIdentity.unknown)
        }
    #endif
}

extension TCPOwner.Address {
    /// The address of an IP socket, nil for another.
    init?(_ address: SocketAddress) {
        // `sockaddr_in` and `sockaddr_in6` of every platform: family, port, then the address.
        let bytes: [UInt8]
        switch address {
        case .v4(let v4): bytes = withUnsafeBytes(of: v4.address) { Array($0[4..<8]) }
        case .v6(let v6): bytes = withUnsafeBytes(of: v6.address) { Array($0[8..<24]) }
        default: return nil
        }
        guard let port = address.port else { return nil }
        self.init(bytes: bytes, port: UInt16(truncatingIfNeeded: port))
    }
}
