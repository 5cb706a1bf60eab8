import ArgumentParser
import Control
import Inspect
import Places

/// `status`: what the agent says of itself.
struct Status: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show the agent's state: intake, log, exporters, and whether the counts balance.",
        discussion: "Ends with 0 if all is well, 1 if the agent is degraded, 3 if none is running.")

    @Flag(help: "One JSON object.") var json = false
    @OptionGroup var places: PlaceOptions

    func run() throws {
        let agent = try places.choice.answering()
        let status: AgentStatus
        do throws(ControlError) {
            var client = try ControlClient(path: agent.controlSocket)
            status = try client.status()
        } catch {
            throw error.failure
        }
        if json {
            Output.json(try status.json())
            Output.json([0x0A])
        } else {
            for line in StatusScreen(status, style: Output.style).lines() { Output.line(line) }
        }
        guard status.agent.state == "running" else {
            Output.flush()
            throw ExitCode(CommandFailure.Code.failed.rawValue)
        }
    }
}
