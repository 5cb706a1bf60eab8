import Agent
import ArgumentParser
import Places
import SystemIO

/// `run`: be the agent.
struct Run: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run the agent in the foreground.",
        discussion: "Usually systemd's socket units, or a command that needs an agent, start it.")

    @Flag(help: "End when nobody has needed the agent for ten minutes.") var onDemand = false
    @OptionGroup(title: "Which agent") var places: PlaceOptions

    func run() throws {
        let scope: AgentScope = places.system ? .system : .user
        let options = AgentOptions(
            scope: scope, overrides: places.choice.overrides, isOnDemand: onDemand)
        ThisProcess.exitNow(AgentProgram(options).runBlocking())
    }
}
