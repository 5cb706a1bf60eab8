/// The keys of what a coding agent reports. Model, tokens and tools follow OpenTelemetry's GenAI
/// conventions (semantic-conventions 1.37, `gen-ai`); those names still move, so they stand here once.
extension AttributeKey {
    /// Why an operation failed: an `ErrorType`.
    @inlinable public static var errorType: AttributeKey { "error.type" }
    /// The anonymous session.
    @inlinable public static var sessionID: AttributeKey { "session.id" }
    /// Who began the session: `codex_cli_rs`, an SDK, an IDE.
    @inlinable public static var originator: AttributeKey { "originator" }

    /// `chat`, `execute_tool`.
    @inlinable public static var genAIOperationName: AttributeKey { "gen_ai.operation.name" }
    /// `openai`.
    @inlinable public static var genAIProviderName: AttributeKey { "gen_ai.provider.name" }
    /// The model that was asked for.
    @inlinable public static var genAIRequestModel: AttributeKey { "gen_ai.request.model" }
    /// The model that answered.
    @inlinable public static var genAIResponseModel: AttributeKey { "gen_ai.response.model" }
    /// Tokens read.
    @inlinable public static var genAIInputTokens: AttributeKey { "gen_ai.usage.input_tokens" }
    /// Tokens written.
    @inlinable public static var genAIOutputTokens: AttributeKey { "gen_ai.usage.output_tokens" }
    /// Tokens read from a cache.
    @inlinable public static var genAICachedTokens: AttributeKey {
        "gen_ai.usage.cache_read.input_tokens"
    }
    /// A tool's name.
    @inlinable public static var genAIToolName: AttributeKey { "gen_ai.tool.name" }
    /// The id of one tool call.
    @inlinable public static var genAIToolCallID: AttributeKey { "gen_ai.tool.call.id" }
    /// The conversation.
    @inlinable public static var genAIConversationID: AttributeKey { "gen_ai.conversation.id" }

    /// The code of an HTTP answer.
    @inlinable public static var httpStatusCode: AttributeKey { "http.response.status_code" }
    /// How often a request was sent again.
    @inlinable public static var httpResendCount: AttributeKey { "http.request.resend_count" }
    /// A program's name, without its directory.
    @inlinable public static var processExecutableName: AttributeKey { "process.executable.name" }
    /// The number of a command's arguments, the program's name not counted.
    @inlinable public static var processArgumentCount: AttributeKey { "process.args_count" }
    /// The code that a command ended with.
    @inlinable public static var processExitCode: AttributeKey { "process.exit.code" }
    /// The signal that ended a command: `SIGTERM`.
    @inlinable public static var processExitSignal: AttributeKey { "process.exit.signal" }
    /// What was done to a file: `read`, `write`, `delete`.
    @inlinable public static var codexFileOperation: AttributeKey { "codex.file.operation" }
    /// Bytes read or written.
    @inlinable public static var codexFileBytes: AttributeKey { "codex.file.bytes" }
    /// An approval's answer: `approved`, `denied`, `timeout`.
    @inlinable public static var codexApprovalDecision: AttributeKey { "codex.approval.decision" }
    /// Attachments removed.
    @inlinable public static var codexAttachmentCount: AttributeKey { "codex.attachment.count" }
    /// Bytes of the attachments removed.
    @inlinable public static var codexAttachmentBytes: AttributeKey { "codex.attachment.bytes" }
}
