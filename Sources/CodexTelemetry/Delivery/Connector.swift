internal import Places
internal import SystemIO
internal import TelemetryBatch

/// Finds an agent and connects to it. Never blocks: a Unix connect that would wait fails instead.
struct Connector: Sendable {
    /// Where to look; read again at every attempt, for an agent may have come or gone.
    let surroundings: Surroundings
    let overrides: PlaceOverrides

    /// The user that the packaged system service runs as, where it is not root who listens.
    static let serviceUser = "codex-telemetry"

    /// A connection to the first agent that takes one; nil if none does. Connecting never waits.
    func connect() -> Connected? {
        for places in AgentPlaces.candidates(overrides: overrides, surroundings: surroundings) {
            guard UnixSocket.pathProblem(places.ingestSocket) == nil else { continue }
            do {
                let socket = try UnixSocket.connect(places.ingestSocket, blocking: false)
                guard isTrusted(try socket.peer().uid) else { continue }
                return Connected(socket, isSystem: places.scope == .system)
            } catch {
                // Missing, refused, full or forbidden: the next place. The caller counts a failure
                // of them all.
                continue
            }
        }
        return nil
    }

    /// Records go only to ourselves, to root, and to the service's user: on a shared machine anyone
    /// may listen on a path in `/tmp`. The uid is the listener's, by the kernel's word.
    private func isTrusted(_ uid: UInt32) -> Bool {
        uid == surroundings.euid || uid == 0 || uid == ThisProcess.uid(named: Self.serviceUser)
    }
}

/// A connection, and whose agent it is.
final class Connected: Sendable {
    let socket: UnixSocket
    /// The system's agent: it never opens this user's spool.
    let isSystem: Bool

    init(_ socket: consuming UnixSocket, isSystem: Bool) {
        self.socket = socket
        self.isSystem = isSystem
    }
}
