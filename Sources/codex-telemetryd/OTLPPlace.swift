import Control
import Places
import SystemIO

/// Where an agent takes OTLP over TCP, which is all that Codex can send to.
enum OTLPPlace {
    private static let startMilliseconds: UInt64 = 5_000

    /// What asking came to.
    enum Answer {
        /// `http://127.0.0.1:4318`
        case base(String)
        /// No agent takes it, and why.
        case none(String)
    }

    /// The first agent's place that is open. `isStarting`: one was just started, and is waited for.
    static func find(_ choice: PlaceChoice, isStarting: Bool) -> Answer {
        let deadline = Clocks.monotonic() + (isStarting ? startMilliseconds : 0) * 1_000_000
        while true {
            var problems: [String] = []
            for agent in choice.candidates {
                do throws(ControlError) {
                    guard try isTrusted(agent.controlSocket) else { continue }
                    var client = try ControlClient(path: agent.controlSocket, seconds: 3)
                    let places = (try client.status().receivers ?? []).flatMap(\.places)
                    let local = places.filter { isLoopback($0.place) }
                    if let open = local.first(where: { $0.problem == nil }) {
                        return .base("http://\(open.place)")
                    }
                    problems += local.map { "\($0.place): \($0.problem ?? "")" }
                    if local.isEmpty { problems.append("the agent takes no OTLP over TCP") }
                } catch {
                    if case .notRunning = error { continue }
                    problems.append(error.description)
                }
            }
            if Clocks.monotonic() >= deadline {
                return .none(
                    problems.isEmpty ? "no agent answers" : problems.joined(separator: "; "))
            }
            StartOnDemand.pause(milliseconds: 5)
        }
    }

    private static func isTrusted(_ path: String) throws(ControlError) -> Bool {
        do { return try TrustedAgent.listener(at: path) == .trusted } catch { throw .socket(error) }
    }

    private static func isLoopback(_ place: String) -> Bool {
        place.hasPrefix("127.") || place.hasPrefix("[::1]:")
    }
}
