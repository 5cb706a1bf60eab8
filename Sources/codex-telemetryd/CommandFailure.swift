import SystemIO

/// How a command ends when it could not do what it was asked.
struct CommandFailure: Error {
    /// The codes that scripts may rely on.
    enum Code: Int32 {
        /// It failed; for `status`: degraded.
        case failed = 1
        /// No agent answers.
        case notRunning = 3
        /// It was called wrongly (`EX_USAGE`).
        case usage = 64
        /// The configuration is wrong (`EX_CONFIG`).
        case configuration = 78
    }

    /// The exit code.
    let code: Code
    /// What happened, where, and what to do next.
    let sentence: String

    /// A failure with its sentence.
    init(_ code: Code, _ sentence: String) {
        self.code = code
        self.sentence = sentence
    }
}
