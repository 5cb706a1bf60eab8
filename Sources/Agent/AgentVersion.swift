/// The versions that `version` and `status` tell.
package enum AgentVersion {
    /// Of the program.
    package static let program = "0.1.0"
    /// Of wire, batch and log: version 0 may be broken deliberately.
    package static let format = 0
}
