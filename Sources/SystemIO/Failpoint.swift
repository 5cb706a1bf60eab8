/// A named place where a test makes a real agent stop, die or fail, to show that the promises hold there.
///
/// `CODEX_TELEMETRY_FAILPOINT=NAME=ACTION[@N]`, several separated by commas: at the N-th time (default the
/// first) that the place is reached, `stall` waits for ever, `kill` ends the process as SIGKILL does.
/// Without the variable a place costs one branch. The environment is the agent's own: no peer can set it.
package enum Failpoint {
    private enum Action: String {
        case stall, kill
    }

    private struct Plan {
        let place: String
        let action: Action
        let turn: Int
    }

    private static let plans: [Plan] = parse(
        ThisProcess.environment("CODEX_TELEMETRY_FAILPOINT") ?? "")
    /// Guards how often each plan's place was reached.
    private static let reached = Monitor<[Int]>(plans.map { _ in 0 })

    /// Whether any is planned: read once.
    private static let isPlanned = !plans.isEmpty

    /// The place `name` is reached.
    @inline(__always)
    package static func reach(_ name: StaticString) {
        if isPlanned { act(name.description) }
    }

    private static func act(_ name: String) {
        for (index, plan) in plans.enumerated() where plan.place == name {
            let turn = reached.withLock { reached in
                reached[index] += 1
                return reached[index]
            }
            guard turn == plan.turn else { continue }
            switch plan.action {
            case .stall: while true { _ = reached.wait { _ in Bool?.none } }
            case .kill: Signals.send(Signals.kill, to: ThisProcess.pid)
            }
        }
    }

    private static func parse(_ text: String) -> [Plan] {
        text.split(separator: ",").compactMap { part in
            guard let equals = part.firstIndex(of: "=") else { return nil }
            let rest = part[part.index(after: equals)...].split(separator: "@", maxSplits: 1)
            guard let first = rest.first, let action = Action(rawValue: String(first)) else {
                return nil
            }
            let turn = rest.count > 1 ? Int(rest[1]) ?? 1 : 1
            return Plan(place: String(part[..<equals]), action: action, turn: turn)
        }
    }
}
