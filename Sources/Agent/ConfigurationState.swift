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

    /// The file.
    package let file: String
    /// Whether somebody named it: then it must exist.
    private let isNamed: Bool
    /// Guards the reading; held for a copy only.
    private let state = Mutex(State())

    /// The built-in default, until `load`.
    package init(file: String, isNamed: Bool = false) {
        self.file = file
        self.isNamed = isNamed
    }

    /// What is in force.
    package var reading: ConfigReading { state.withLock { $0.reading } }
    /// What is in force.
    package var config: AgentConfig { reading.config }
    /// What is wrong with the file as it was last read; empty if nothing is.
    package var problems: [ConfigProblem] { state.withLock { $0.problems } }
    /// What the file that is in force says and does nothing, or something else than it may seem.
    package var warnings: [ConfigProblem] { reading.warnings }

    /// Reads the file. A right one is in force from now on; with a wrong one the old stays. Without `testingFiles`
    /// certificates may be wrong: who needs them says so, and tries again.
    package func load(testingFiles: Bool = true) throws(ConfigProblems) {
        do {
            let fresh = try Self.read(file, mustExist: isNamed, testingFiles: testingFiles)
            state.withLock { $0 = State(reading: fresh) }
        } catch {
            state.withLock { $0.problems = error.problems }
            throw error
        }
    }

    /// A file has at most so many bytes.
    private static let bytesMax = 1 << 20

    /// Reads a file without putting it in force. One that does not exist adds nothing, unless it must. `testingFiles`:
    /// whether certificates and keys that it names must be right, too.
    package static func read(
        _ file: String, mustExist: Bool, testingFiles: Bool = false
    ) throws(ConfigProblems) -> ConfigReading {
        var bytes: [UInt8] = []
        var kind = FileFacts.Kind.regular
        do throws(SystemError) {
            // Before it is opened: that alone may do something to a device.
            kind = try Files.facts(file).kind
            if kind == .regular || kind == .directory {
                bytes = try Files.read(file, limit: bytesMax)
            }
        } catch {
            if !error.isNotFound || mustExist {
                throw problem(file, "it cannot be read: \(error); \(remedy(error))")
            }
        }
        if let other = Self.other(kind) {
            throw problem(
                file,
                "it is a \(other), which is not read; name a file: an empty one adds nothing to the built-in default"
            )
        }
        if let problem = TextProblem(bytes) {
            throw ConfigProblems(problems: [problem.inFile(file)])
        }
        let text = String(decoding: bytes, as: UTF8.self)
        let reading = try ConfigReading(
            yaml: text, file: file, environment: { ThisProcess.environment($0) })
        let problems = testingFiles ? reading.fileProblems : []
        guard problems.isEmpty else { throw ConfigProblems(problems: problems) }
        return reading
    }

    /// What is neither a file nor a directory.
    private static func other(_ kind: FileFacts.Kind) -> String? {
        switch kind {
        case .regular, .directory, .symbolicLink: nil
        case .pipe: "FIFO"
        case .socket: "socket"
        case .device, .other: "device"
        }
    }

    private static func problem(_ file: String, _ message: String) -> ConfigProblems {
        ConfigProblems(
            problems: [ConfigProblem(file: file, line: 0, column: 0, message: message)])
    }

    private static func remedy(_ error: SystemError) -> String {
        if error.isNotFound { return "make it, or name another one with --config" }
        if error.isTooLarge { return "a configuration has 1 MiB at most" }
        if error.isDirectory { return "name the file in it" }
        return "it must be a file that user \(ThisProcess.euid) may read"
    }
}
