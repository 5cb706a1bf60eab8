internal import Logging
internal import Synchronization
internal import SystemIO

/// The configuration in force, and what is wrong with the file if something is: the old configuration
/// stays until a right one comes.
package final class ConfigurationState: Sendable {
    private struct State {
        var reading = ConfigReading.builtIn
        var problems: [ConfigProblem] = []
    }

    /// The file; it need not exist.
    package let file: String
    /// Guards the reading; held for a copy only.
    private let state = Mutex(State())

    /// The built-in default, until `load`.
    package init(file: String) {
        self.file = file
    }

    /// What is in force.
    package var reading: ConfigReading { state.withLock { $0.reading } }
    /// What is in force.
    package var config: AgentConfig { reading.config }
    /// What is wrong with the file as it was last read; empty if nothing is.
    package var problems: [ConfigProblem] { state.withLock { $0.problems } }

    /// Reads the file. A right one is in force from now on; with a wrong one the old stays.
    package func load() throws(ConfigProblems) {
        do {
            let fresh = try Self.read(file)
            state.withLock { $0 = State(reading: fresh) }
        } catch {
            state.withLock { $0.problems = error.problems }
            throw error
        }
    }

    /// Reads a file without putting it in force. A file that does not exist adds nothing.
    package static func read(_ file: String) throws(ConfigProblems) -> ConfigReading {
        let bytes: [UInt8]
        do {
            bytes = try Files.read(file, limit: 1 << 20)
        } catch {
            if error.isNotFound { return .builtIn }
            let problem = ConfigProblem(file: file, line: 0, column: 0, message: "\(error)")
            throw ConfigProblems(problems: [problem])
        }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            let problem = ConfigProblem(file: file, line: 0, column: 0, message: "it is not UTF-8")
            throw ConfigProblems(problems: [problem])
        }
        return try ConfigReading(
            yaml: text, file: file, environment: { ThisProcess.environment($0) })
    }
}
