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
        RunOptions(choice: places.choice, onDemand: onDemand).run()
    }
}

/// What `run` was given, in the usual forms without the parser: its dynamic casts look through every
/// conformance of the program, and an agent would keep those pages for its whole life. Help, mistakes, text
/// that is not UTF-8 and everything unusual are the parser's.
struct RunOptions {
    /// Which agent to be, and its places.
    var choice = PlaceChoice()
    /// End when nobody has needed the agent for ten minutes.
    var onDemand = false

    /// As the parser has them.
    init(choice: PlaceChoice, onDemand: Bool) {
        self.choice = choice
        self.onDemand = onDemand
    }

    /// The words after `run`; nil if they are to be read by the parser.
    init?(words: some Sequence<String>) {
        var rest = words.makeIterator()
        var given: Set<String> = []
        while let word = rest.next() {
            switch word {
            case "--on-demand": onDemand = true
            case "--user": choice.user = true
            case "--system": choice.system = true
            case "--socket", "--control-socket", "--state-dir", "--config":
                // Given twice, or no path that could be one: the parser knows what to say.
                let isSocket = word.hasSuffix("socket")
                guard given.insert(word).inserted, let path = rest.next(), !path.isEmpty,
                    !path.hasPrefix("-"), !isSocket || UnixSocket.pathProblem(path) == nil
                else { return nil }
                override(word, path)
            default: return nil
            }
        }
        if choice.user, choice.system { return nil }
    }

    private mutating func override(_ option: String, _ path: String) {
        switch option {
        case "--socket": choice.overrides.ingestSocket = path
        case "--control-socket": choice.overrides.controlSocket = path
        case "--state-dir": choice.overrides.stateDirectory = path
        default: choice.overrides.configurationFile = path
        }
    }

    /// Is the agent.
    func run() -> Never {
        let options = AgentOptions(
            scope: choice.system ? .system : .user, overrides: choice.overrides,
            isOnDemand: onDemand)
        ThisProcess.exitNow(AgentProgram(options).runBlocking())
    }
}
