internal import Synchronization

/// Limits of intake, all connections together and each alone.
package struct IntakeLimits: Sendable, Equatable {
    /// Open connections.
    package var connectionsMax = 1024
    /// Open connections of one uid.
    package var connectionsPerUserMax = 512
    /// Bytes read and not yet in the log, of all connections.
    package var inFlightBytesMax: UInt64 = 16 << 20
    /// The same of one connection; what `welcome` tells the client.
    package var inFlightBytesPerConnectionMax: UInt64 = 8 << 20
    /// Bytes of frames that have begun and are not complete, of all connections of one uid.
    package var partialBytesPerUserMax: UInt64 = 32 << 20
    /// The same of everybody.
    package var partialBytesMax: UInt64 = 64 << 20
    /// How long a connection may take to say hello, or to complete a frame that it began.
    package var frameDeadline = Duration.seconds(30)
    /// How long what a connection still sends is taken after a newer one of its producer said hello.
    package var takeoverDeadline = Duration.seconds(1)

    /// The defaults.
    package init() {}
}

/// Who may come in and how much they may have under way: the one budget of all receivers.
package final class Admission: Sendable {
    private struct State {
        var limits: IntakeLimits
        var connections = 0
        var connectionsByUser: [UInt32: Int] = [:]
        var inFlightBytes: UInt64 = 0
        var partialBytes: UInt64 = 0
        var partialBytesByUser: [UInt32: UInt64] = [:]
    }

    /// Guards the counts; held for an addition only.
    private let state: Mutex<State>

    /// Begins with nobody in.
    package init(limits: IntakeLimits) {
        state = Mutex(State(limits: limits))
    }

    /// The limits in force.
    package var limits: IntakeLimits { state.withLock { $0.limits } }

    /// Applies from the next connection and the next byte on.
    package func change(to limits: IntakeLimits) {
        state.withLock { $0.limits = limits }
    }

    /// Open connections.
    package var connections: Int { state.withLock { $0.connections } }

    /// Takes a place for a connection of `uid`; false if there is none. `leave` gives it back.
    package func enter(uid: UInt32) -> Bool {
        state.withLock { state in
            let mine = state.connectionsByUser[uid, default: 0]
            guard state.connections < state.limits.connectionsMax,
                mine < state.limits.connectionsPerUserMax
            else { return false }
            state.connections += 1
            state.connectionsByUser[uid] = mine + 1
            return true
        }
    }

    /// Gives a connection's place back.
    package func leave(uid: UInt32) {
        state.withLock { state in
            state.connections -= 1
            let mine = state.connectionsByUser[uid, default: 1] - 1
            state.connectionsByUser[uid] = mine == 0 ? nil : mine
        }
    }

    /// Bytes that are under way to the log.
    package var inFlightBytes: UInt64 { state.withLock { $0.inFlightBytes } }

    /// Bytes of incomplete frames.
    package var partialBytes: UInt64 { state.withLock { $0.partialBytes } }

    /// Counts a connection's incomplete frame, now `bytes` instead of `old`; false if there is no room for
    /// it: counted either way, until the caller has let go of it and says 0.
    package func hold(uid: UInt32, bytes: Int, instead old: Int) -> Bool {
        state.withLock { state in
            let mine = state.partialBytesByUser[uid, default: 0] + UInt64(bytes) - UInt64(old)
            state.partialBytesByUser[uid] = mine == 0 ? nil : mine
            state.partialBytes = state.partialBytes + UInt64(bytes) - UInt64(old)
            guard bytes > old else { return true }
            return mine <= state.limits.partialBytesPerUserMax
                && state.partialBytes <= state.limits.partialBytesMax
        }
    }

    /// Counts bytes that are under way from now on; true while there is room for more. The bytes are
    /// counted either way, since they have been read: the caller stops reading at false.
    package func begin(bytes: Int) -> Bool {
        state.withLock { state in
            state.inFlightBytes += UInt64(bytes)
            return state.inFlightBytes < state.limits.inFlightBytesMax
        }
    }

    /// Counts bytes that are not read yet, if there is room for more; `end` gives them back.
    package func reserve(bytes: Int) -> Bool {
        state.withLock { state in
            guard state.inFlightBytes < state.limits.inFlightBytesMax else { return false }
            state.inFlightBytes += UInt64(bytes)
            return true
        }
    }

    /// The bytes are in the log, or gone.
    package func end(bytes: Int) {
        state.withLock { $0.inFlightBytes -= UInt64(bytes) }
    }

    /// Whether somebody who stopped reading may go on.
    package var hasRoom: Bool {
        state.withLock { $0.inFlightBytes < $0.limits.inFlightBytesMax }
    }
}
