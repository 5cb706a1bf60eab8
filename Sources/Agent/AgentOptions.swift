package import Places

/// How `run` was started.
package struct AgentOptions: Sendable {
    /// Which agent to be.
    package var scope: AgentScope
    /// Places from the command line.
    package var overrides: PlaceOverrides
    /// Started by a client's command rather than a service manager: another agent that is already there
    /// is no error, and the agent ends when nobody has needed it for `idleLimit`.
    package var isOnDemand: Bool
    /// Default 10 minutes.
    package var idleLimit: Duration

    /// A user's agent at its usual places.
    package init(
        scope: AgentScope = .user, overrides: PlaceOverrides = PlaceOverrides(),
        isOnDemand: Bool = false, idleLimit: Duration = .seconds(600)
    ) {
        self.scope = scope
        self.overrides = overrides
        self.isOnDemand = isOnDemand
        self.idleLimit = idleLimit
    }
}

/// The exit codes that agent and command line share.
package enum ExitCode {
    /// All is well.
    package static let success: Int32 = 0
    /// It failed; for `status`: degraded.
    package static let failure: Int32 = 1
    /// No agent is running.
    package static let notRunning: Int32 = 3
    /// EX_USAGE.
    package static let usage: Int32 = 64
    /// EX_CONFIG.
    package static let configuration: Int32 = 78
}
