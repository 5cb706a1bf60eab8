package import SystemIO

/// Who may be given records, or be believed: on a shared machine anyone may listen on a path in `/tmp`.
package enum TrustedAgent {
    /// The user that the packaged system service runs as, where it is not root who listens.
    package static let serviceUser = "codex-telemetry"

    /// Whether a listener of this uid is ourselves, root or the service's user.
    package static func isTrusted(uid: UInt32, euid: UInt32 = ThisProcess.euid) -> Bool {
        uid == euid || uid == 0 || uid == ThisProcess.uid(named: serviceUser)
    }

    /// Who listens at a path, as far as that can be known without waiting.
    package enum Listener: Equatable, Sendable {
        /// Nobody.
        case nobody
        /// Somebody whom we trust.
        case trusted
        /// Somebody else, of this uid.
        case stranger(UInt32)
    }

    /// Asks a socket who listens there: by the kernel's word, or, if its queue is full, by the owner of
    /// the socket's file. Throws what keeps us from asking.
    package static func listener(at path: String) throws(SystemError) -> Listener {
        let uid: UInt32
        do {
            uid = try UnixSocket.connect(path, blocking: false).peer().uid
        } catch {
            guard error.wouldBlock else {
                if error.isPermission { throw error }
                return .nobody
            }
            uid = try Files.facts(path).uid
        }
        return isTrusted(uid: uid) ? .trusted : .stranger(uid)
    }
}
