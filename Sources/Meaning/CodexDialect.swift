extension Dialect {
    /// What the real Codex CLI sends over OTLP (measured with 0.163).
    ///
    /// One record for each operation: of the spans and log events that tell of the same thing the one that knows
    /// most. Its `codex.api_request` is named as ours.
    package static let codex = Dialect(
        name: "Codex CLI",
        names: [
            NameRule("session_task.turn", [.span], .turn),
            NameRule("codex.websocket_request", [.event], .apiRequest),
            NameRule("codex.tool_result", [.event], .tool),
            NameRule("codex.tool_decision", [.event], .approval),
            NameRule("unified_exec.exec_command", [.span], .command),
        ],
        attributes: [
            AttributeRule("conversation.id", .session),
            // Twice on a span: the session, and before it the number of the thread that ran it.
            AttributeRule("thread.id", .sessionText),
            AttributeRule("model", .model),
            AttributeRule("tool_name", .tool),
            AttributeRule("decision", .decision),
            AttributeRule("source", .decisionSource),
            AttributeRule("success", .success),
            // From 0.
            AttributeRule("attempt", .resends),
            AttributeRule("http.response.status_code", .httpStatus),
            AttributeRule("error.message", .errorMessage),
        ])
}
