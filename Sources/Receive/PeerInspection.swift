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
