internal import Control
internal import Receive
internal import Synchronization

/// The receivers beside the ingest socket, for `status`.
final class Receivers: Sendable {
    /// Guards the receiver; held for a copy.
    private let running = Mutex<OTLPServer?>(nil)

    /// The receiver of OTLP, nil if there is none.
    var otlp: OTLPServer? { running.withLock { $0 } }

    /// From now on it is shown. It runs as a service.
    func start(_ server: OTLPServer) { running.withLock { $0 = server } }

    var status: [AgentStatus.Receiver] {
        guard let otlp else { return [] }
        let counts = otlp.counts
        var receiver = AgentStatus.Receiver()
        receiver.name = "otlp"
        receiver.places = otlp.status.map {
            AgentStatus.Receiver.Place(place: $0.place, problem: $0.problem)
        }
        receiver.answers = counts.answers
        receiver.rejectedRecords = counts.rejectedRecords
        receiver.unknownFields = counts.unknownFields
        receiver.repairedTexts = counts.repairedTexts
        return [receiver]
    }
}
