internal import Places
internal import SystemIO
internal import TelemetryBatch

/// Finds an agent and connects to it. Never blocks: a Unix connect that would wait fails instead.
struct Connector: Sendable {
    /// Where to look; read again at every attempt, for an agent may have come or gone.
    let surroundings: Surroundings
    let overrides: PlaceOverrides

    /// A connection to the first agent that takes one; nil if none does. Connecting never waits.
    func connect() -> Connected? {
        for places in AgentPlaces.candidates(overrides: overrides, surroundings: surroundings) {
            guard UnixSocket.pathProblem(places.ingestSocket) == nil else { continue }
            do {
                let socket = try UnixSocket.connect(places.ingestSocket, blocking: false)
                // Records go to nobody else. The uid is the listener's, by the kernel's word.
                guard
                    TrustedAgent.isTrusted(uid: try socket.peer().uid, euid: surroundings.euid)
                else { continue }
                return Connected(socket, isSystem: places.scope == .system)
            } catch {
                // Missing, refused, full or forbidden: the next place. The caller counts a failure
                // of them all.
                continue
            }
        }
        return nil
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
