import Agent
import ArgumentParser
import ByteCoding
import Inspect
import Places

/// `config show`, or bare `config`: the result of the file on top of the built-in default.
struct ConfigShow: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Print every value and where it came from.",
        discussion: "Reads the file as an agent would now; a running agent may still have an older "
            + "one in force until 'config reload'.")

    @Flag(help: "One JSON object a value.") var json = false
    @OptionGroup var places: PlaceOptions

    func run() throws {
        let agent = places.choice.candidates.first ?? places.choice.ownAgent
        let reading = try ConfigFile.read(agent.configurationFile, mustExist: places.config != nil)
        let entries = reading.config.entries(origins: reading.origins)
        guard json else {
            let widest = entries.map { $0.key.utf8.count + $0.value.utf8.count + 2 }.max() ?? 0
            for entry in entries {
                let left = TerminalText.fitted("\(entry.key): \(entry.value)", to: widest)
                Output.line(left + "  " + Output.style.paint("# \(entry.origin)", .faint))
            }
            return
        }
        for entry in entries {
            var writer = JSONWriter()
            writer.beginObject()
            writer.key("schema")
            writer.integer(1)
            for (key, value) in [
                ("key", entry.key), ("value", entry.value), ("origin", entry.origin),
            ] {
                writer.key(key)
                writer.string(value)
            }
            writer.endObject()
            writer.newline()
            Output.json(writer.bytes)
        }
    }
}

/// `config check FILE`: what is wrong with a file, before an agent reads it.
struct ConfigCheck: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Check a configuration file; ends with 78 if something is wrong with it.")

    @Argument(help: "The file.") var file: String

    func run() throws {
        try PlaceOptions.refuseRepaired(file)
        let reading = try ConfigFile.read(file, mustExist: true, testingFiles: true)
        let count = reading.warnings.count
        let words =
            switch count {
            case 0: "as it should be"
            case 1: "as it should be, with a warning"
            default: "as it should be, with \(count) warnings"
            }
        Output.line("\(TerminalText.safe(file)): \(words)")
    }
}

/// A configuration file, read as the agent reads it.
private enum ConfigFile {
    static func read(
        _ path: String, mustExist: Bool, testingFiles: Bool = false
    ) throws(CommandFailure) -> ConfigReading {
        do throws(ConfigProblems) {
            let reading = try ConfigurationState.read(
                path, mustExist: mustExist, testingFiles: testingFiles)
            for warning in reading.warnings {
                Output.complain("warning: \(TerminalText.safe("\(warning)"))")
            }
            return reading
        } catch {
            throw CommandFailure(.configuration, error.description)
        }
    }
}
