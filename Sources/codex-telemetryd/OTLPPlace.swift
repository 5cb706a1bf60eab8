import Control
import Places
import SystemIO

/// Where an agent takes OTLP over TCP, which is all that Codex can send to.
enum OTLPPlace {
    /// How long an agent that was just started may take until it answers, if it has not ended.
    private static let startMilliseconds: UInt64 = 20_000
    /// And from then until a place is open: one that is taken stays taken.
    private static let openMilliseconds: UInt64 = 5_000

    /// What asking came to.
    enum Answer {
        /// `http://127.0.0.1:4318`
        case base(String)
        /// No agent takes it, and why.
        case none(String)
    }

    /// The first agent's place that is open. `isStarting`: one was just started, and is waited for.
    static func find(_ choice: PlaceChoice, isStarting: Bool) -> Answer {
        var deadline = Clocks.monotonic() + (isStarting ? startMilliseconds : 0) * 1_000_000
        var hasAnswered = false
        while true {
            // Asked before anybody is looked for: who answers and then ends is not missed.
            let isHopeless = isStarting && !hasAnswered && StartOnDemand.hasEnded(choice)
            var problems: [String] = []
            for agent in choice.candidates {
                do throws(ControlError) {
                    guard try isTrusted(agent.controlSocket) else { continue }
                    var client = try ControlClient(path: agent.controlSocket, seconds: 3)
                    let places = (try client.status().receivers ?? []).flatMap(\.places)
                    if isStarting, !hasAnswered {
                        hasAnswered = true
                        deadline = Clocks.monotonic() + openMilliseconds * 1_000_000
                    }
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
            if isHopeless, !hasAnswered {
                return .none(
                    "the agent that was started has ended; codex-telemetryd run says why")
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
