import ArgumentParser
import Control
import Places

/// `config`: what is configured, and where each value came from.
struct Config: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show, check or reload the configuration.",
        subcommands: [ConfigShow.self, ConfigCheck.self, ConfigReload.self],
        defaultSubcommand: ConfigShow.self)
}

/// `config reload`: the running agent reads its file again.
struct ConfigReload: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "reload",
        abstract: "Ask the agent to read its configuration again; a bad file changes nothing.")

    @OptionGroup var places: PlaceOptions

    func run() throws {
        let agent = try places.choice.answering()
        do throws(ControlError) {
            var client = try ControlClient(path: agent.controlSocket)
            Output.line(try client.reload())
        } catch {
            throw error.failure
        }
    }
}
