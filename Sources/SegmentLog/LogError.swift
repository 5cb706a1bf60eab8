package import SystemIO

/// Why the log could not do what it was asked.
package enum LogError: Error, Sendable, CustomStringConvertible {
    /// No space is left. Nothing of this append is stored; a later one may succeed.
    case full(SystemError)
    /// The device failed during this call. A writer is poisoned by it.
    case io(SystemError)
    /// The device failed earlier: what was acknowledged since the last sync may not survive loss of
    /// power, so nothing more is taken until the log is opened again.
    case poisoned(SystemError)
    /// Another agent holds the lock of this state directory.
    case locked(String)
    /// The payload is larger than an entry can be.
    case tooLarge(bytes: Int)
    /// An earlier batch of the same stream was not stored: this one is not either, so that its producer's
    /// sequences never have a hole that dedupe would take for stored.
    case interrupted
    /// The log is closed.
    case closed

    /// A sentence for people.
    package var description: String {
        switch self {
        case .full(let error): "no space is left for the log: \(error)"
        case .io(let error): "the log cannot be written: \(error)"
        case .poisoned(let error): "the log is closed to writing after an error: \(error)"
        case .locked(let place): "another agent is using \(place)"
        case .tooLarge(let bytes): "a batch of \(bytes) bytes is too large for the log"
        case .interrupted: "an earlier batch of this connection was not stored"
        case .closed: "the log is closed"
        }
    }

    init(_ error: SystemError) { self = error.isOutOfSpace ? .full(error) : .io(error) }
}
