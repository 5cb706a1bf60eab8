import ArgumentParser
import CodexSetup
import Inspect
import SystemIO

/// `setup`: makes other programs send to the agent.
struct Setup: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Make other programs send to the agent.", subcommands: [SetupCodex.self])
}

/// `setup codex`: the table `[otel]` of Codex's `config.toml`.
struct SetupCodex: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "codex",
        abstract: "Make Codex send its telemetry to this host's agent.",
        discussion: """
            Shows what would change in ~/.codex/config.toml ($CODEX_HOME/config.toml): the three exporters \
            of its table [otel], and nothing else. --yes writes it, and keeps the file as it was beside it. \
            For one run without touching a file: exec --codex -- codex …
            """)

    @Flag(help: "Write it.") var yes = false
    @Flag(help: "Take it back, whatever else has changed in the file since.") var undo = false
    @OptionGroup(title: "Which agent") var places: PlaceOptions

    func run() throws {
        guard let file = CodexFile.ofThisUser else {
            throw CommandFailure(.failed, "neither CODEX_HOME nor HOME is set")
        }
        try file.refuseUnfit()
        if undo { try takeBack(file) } else { try setUp(file) }
    }

    private func setUp(_ file: CodexFile) throws(CommandFailure) {
        let current = try file.read()
        let (base, problem) = endpoint()
        let wanted: [UInt8]
        let hadOther: Bool
        do throws(CodexConfiguration.Refusal) {
            let configuration = try CodexConfiguration(current ?? [])
            wanted = try configuration.sending(to: base)
            hadOther = configuration.hasExporter
        } catch {
            throw CommandFailure(.configuration, "\(file.path):\(error.line): \(error.what)")
        }
        let change = LineDifference(from: current ?? [], to: wanted)
        if change.isEmpty {
            Output.line("\(TerminalText.safe(file.path)) is as it should be")
        } else {
            show(change, file)
            if hadOther {
                Output.line(
                    "What Codex sent elsewhere goes to the agent now: to pass it on, give the agent an "
                        + "exporter (otlp_http).")
            }
            if yes {
                try write(wanted, over: current, of: file)
            } else {
                Output.line("Nothing was written: --yes does.")
            }
        }
        if let problem {
            Output.complain("Codex sends to \(base), where no agent listens now: \(problem)")
        }
    }

    /// Where the agent takes OTLP, or would by default, and what is wrong with that.
    private func endpoint() -> (base: String, problem: String?) {
        switch OTLPPlace.find(places.choice, isStarting: false) {
        case .base(let base): (base, nil)
        case .none(let why): ("http://127.0.0.1:4318", why)
        }
    }

    private func write(_ wanted: [UInt8], over current: [UInt8]?, of file: CodexFile)
        throws(CommandFailure)
    {
        let original = try self.original(of: file, now: current)
        let isFirst = try file.after.read() == nil
        do throws(CommandFailure) {
            if let original {
                try file.before.write(original, knowing: try file.before.read(), model: file)
            } else {
                try file.before.remove()
            }
            try file.after.write(wanted, knowing: try file.after.read(), model: file)
            try file.write(wanted, knowing: current)
        } catch {
            // Of a file that was not written there is nothing to take back.
            if isFirst {
                try file.before.remove()
                try file.after.remove()
            }
            throw error
        }
        Output.line("wrote \(TerminalText.safe(file.path))")
        if original != nil {
            Output.line("as it was: \(TerminalText.safe(file.before.path))")
        }
        Output.line("To take it back: \(Output.programName) setup codex --undo --yes")
    }

    /// The file without what an earlier set-up put into it; nil: there was none.
    private func original(of file: CodexFile, now current: [UInt8]?) throws(CommandFailure)
        -> [UInt8]?
    {
        guard let current, let written = try file.after.read() else { return current }
        let before = try file.before.read()
        if current == written { return before }
        return LineDifference(from: before ?? [], to: written).undone(in: current) ?? current
    }

    private func takeBack(_ file: CodexFile) throws(CommandFailure) {
        guard let written = try file.after.read() else {
            throw CommandFailure(
                .failed, "nothing to take back: \(file.path) was not written by setup codex")
        }
        let before = try file.before.read()
        let current = try file.read() ?? []
        let made = LineDifference(from: before ?? [], to: written)
        let restored = current == written ? before ?? [] : made.undone(in: current)
        guard let restored else {
            let kept = before == nil ? "" : "; the file as it was: \(file.before.path)"
            throw CommandFailure(
                .failed,
                "\(file.path) was changed since, where setup codex had changed it: edit [otel] "
                    + "yourself\(kept)")
        }
        show(LineDifference(from: current, to: restored), file)
        guard yes else {
            Output.line("Nothing was written: --yes does.")
            return
        }
        if before == nil, restored.isEmpty {
            try file.remove()
        } else {
            try file.write(restored, knowing: current)
        }
        try file.before.remove()
        try file.after.remove()
        Output.line("wrote \(TerminalText.safe(file.path))")
    }

    private func show(_ change: LineDifference, _ file: CodexFile) {
        let lines = ["--- \(file.path)", "+++ \(file.path)"] + change.unified
        // Off a terminal it is a patch, byte for byte.
        for line in lines { Output.line(Output.isTerminal ? TerminalText.safe(line) : line) }
    }
}
