import CodexTelemetry
import Places
import SystemIO

/// Which agent is meant.
struct PlaceChoice {
    /// What was given on the command line.
    var overrides = PlaceOverrides()
    /// Only the user's own agent.
    var user = false
    /// Only the host's agent.
    var system = false

    /// The agents to try, in order.
    var candidates: [AgentPlaces] {
        let around = Surroundings.ofThisProcess
        if system {
            return [AgentPlaces(scope: .system, overrides: overrides, surroundings: around)]
        }
        let all = AgentPlaces.candidates(overrides: overrides, surroundings: around)
        return user ? all.filter { $0.scope == .user } : all
    }

    /// The user's own agent, whether it runs or not.
    var ownAgent: AgentPlaces {
        let around = Surroundings.ofThisProcess
        return AgentPlaces(scope: .user, overrides: overrides, surroundings: around)
            .onLocalState(around)
    }

    private var isSocketNamed: Bool {
        overrides.ingestSocket != nil || overrides.controlSocket != nil
    }

    /// The first agent that answers.
    ///
    /// - Throws: `notRunning`, with what was tried and how to start one.
    func answering() throws(CommandFailure) -> AgentPlaces {
        var problems: [String] = []
        for places in candidates {
            let path = places.controlSocket
            do {
                switch try TrustedAgent.listener(at: path) {
                case .trusted: return places
                case .stranger(let uid):
                    // Whoever is named on the command line is asked: root may look at a user's agent.
                    if isSocketNamed { return places }
                    problems.append("uid \(uid) listens at \(path): not asked")
                case .nobody:
                    problems.append(
                        UnixSocket.obstacle(at: path) ?? "nobody answers at \(path)")
                }
            } catch {
                problems.append(error.isPermission ? "\(path): no permission" : "\(error)")
            }
        }
        throw CommandFailure(
            .notRunning,
            "no agent is running: \(problems.joined(separator: "; ")). Start one with "
                + "'\(Output.programName) run', or 'systemctl --user start codex-telemetryd.socket'"
        )
    }
}
