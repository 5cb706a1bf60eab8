/// What a coding agent does: the names of its spans.
public struct CodexOperation: Sendable, Hashable {
    /// The span's name.
    public let name: AttributeKey

    /// The span's kind: `client` for requests to elsewhere.
    public let kind: SpanKind

    private init(_ name: StaticString, kind: SpanKind = .internal) {
        self.name = AttributeKey(name)
        self.kind = kind
    }

    /// One exchange: from the user's prompt to the agent's answer.
    public static let turn = CodexOperation("codex.turn")
    /// One request to a model's API.
    public static let apiRequest = CodexOperation("codex.api_request", kind: .client)
    /// One tool call.
    public static let tool = CodexOperation("codex.tool")
    /// One command: approval, run, result.
    public static let command = CodexOperation("codex.command")
    /// One operation on a file.
    public static let file = CodexOperation("codex.file")
    /// An approval: from the prompt to the answer.
    public static let approval = CodexOperation("codex.approval")
    /// The removal of staged attachments.
    public static let attachmentCleanup = CodexOperation("codex.attachment.cleanup")
}

/// Why an operation failed: the values of `error.type`.
public enum ErrorType: String, Sendable, CaseIterable {
    /// The connection failed.
    case transport
    /// No answer in time.
    case timeout
    /// The other side asked to slow down.
    case rateLimited = "rate_limited"
    /// Not authenticated or not authorised.
    case auth
    /// The request was wrong.
    case invalidRequest = "invalid_request"
    /// The other side failed.
    case serverError = "server_error"
    /// The user, or a policy, said no.
    case approvalDenied = "approval_denied"
    /// The sandbox said no.
    case sandboxDenied = "sandbox_denied"
    /// The tool failed.
    case toolFailed = "tool_failed"
    /// A command ended with another code than 0.
    case nonzeroExit = "nonzero_exit"
    /// A command was ended by a signal.
    case signal
    /// Somebody stopped it.
    case cancelled
    /// An attachment could not be staged or removed.
    case attachmentFailed = "attachment_failed"
    /// A fault of the program itself.
    case `internal`
}

/// A span's kind, as in OpenTelemetry.
public enum SpanKind: UInt8, Sendable {
    /// Not said.
    case unspecified = 0
    /// Work inside the process.
    case `internal` = 1
    /// The serving side of a request.
    case server = 2
    /// The asking side of a request.
    case client = 3
    /// The sending side of a message.
    case producer = 4
    /// The receiving side of a message.
    case consumer = 5
}

/// How a span ended.
public enum SpanStatus: UInt8, Sendable {
    /// Not said.
    case unset = 0
    /// Well.
    case ok = 1
    /// Not well; `error.type` says why.
    case error = 2
}

/// A log record's severity: the first of each of OpenTelemetry's ranges.
public enum Severity: UInt8, Sendable {
    /// Finer than debug.
    case trace = 1
    /// For developers.
    case debug = 5
    /// Normal.
    case info = 9
    /// Something to look at.
    case warn = 13
    /// A failure.
    case error = 17
    /// The end of the program.
    case fatal = 21
}
