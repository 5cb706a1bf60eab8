import Agent
import ArgumentParser
import ByteCoding
import TelemetryBatch

/// `version`: the program, and the formats that it speaks.
struct Version: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Print the version of the program and of its formats.")

    @Flag(help: "One JSON object.") var json = false

    func run() throws {
        let protocolVersion = Int(BatchHeader.version)
        guard json else {
            Output.line("codex-telemetryd \(AgentVersion.program)")
            Output.line("protocol \(protocolVersion), log format \(AgentVersion.format)")
            return
        }
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("schema")
        writer.integer(1)
        writer.key("version")
        writer.string(AgentVersion.program)
        writer.key("protocol")
        writer.integer(protocolVersion)
        writer.key("log_format")
        writer.integer(AgentVersion.format)
        writer.endObject()
        writer.newline()
        Output.json(writer.bytes)
    }
}
