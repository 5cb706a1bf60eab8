internal import ByteCoding
package import Places
internal import SystemIO
internal import TelemetryBatch

/// A connection to the agent over which nothing is sent: while it is there, an agent that was started on demand
/// does not take itself for unneeded.
package final class Stay: Sendable {
    private let connected: Connected

    /// Connects to the agent that records would go to; nil if none takes connections. Never waits.
    package init?(overrides: PlaceOverrides) {
        let connector = Connector(surroundings: .ofThisProcess, overrides: overrides)
        guard let connected = connector.connect() else { return nil }
        let hello = Hello(producer: ID128.random())
        do {
            let bytes = hello.frame.encoded
            guard try connected.socket.send(bytes.span.bytes, wait: false) == bytes.count else {
                return nil
            }
        } catch {
            return nil
        }
        self.connected = connected
    }
}
