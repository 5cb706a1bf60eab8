/// What a coding agent does that people ask about (DESIGN.md, "What a coding agent emits").
package enum Operation: UInt8, CaseIterable, Sendable {
    /// From a request of the user to the answer.
    case turn
    /// A call of a model's interface.
    case apiRequest
    /// A tool call.
    case tool
    /// A command that ran, or was kept from running.
    case command
    /// A file that was read or changed.
    case file
    /// From prompt to answer.
    case approval
    /// The removal of staged attachments.
    case attachmentCleanup

    /// The operation's name, which is also the name of its spans: `codex.tool`.
    package var name: StaticString {
        switch self {
        case .turn: "codex.turn"
        case .apiRequest: "codex.api_request"
        case .tool: "codex.tool"
        case .command: "codex.command"
        case .file: "codex.file"
        case .approval: "codex.approval"
        case .attachmentCleanup: "codex.attachment.cleanup"
        }
    }

    /// The word that begins its sentence.
    package var noun: StaticString {
        switch self {
        case .turn: "turn"
        case .apiRequest: "api request"
        case .tool: "tool"
        case .command: "command"
        case .file: "file"
        case .approval: "approval"
        case .attachmentCleanup: "attachment cleanup"
        }
    }

    /// The operation that a person means by `tool`, `codex.tool` or `api-request`, or nil.
    package init?(userText: String) {
        let wanted = userText.lowercased().map { $0 == "-" || $0 == " " ? "_" : $0 }
        let text = String(wanted)
        guard
            let found = Operation.allCases.first(where: {
                let name = $0.name.description
                return text == name || text == name.dropFirst("codex.".count)
            })
        else { return nil }
        self = found
    }
}

/// How something ended.
package enum OperationStatus: UInt8, CaseIterable, Sendable {
    /// Nothing says how.
    case unset
    /// As it should.
    case ok
    /// It failed.
    case error
    /// Somebody, or a rule, said no.
    case denied
    /// It was given up before it ended.
    case cancelled

    /// `ok`, `error`, `denied`, `cancelled` or `unset`.
    package var name: StaticString {
        switch self {
        case .unset: "unset"
        case .ok: "ok"
        case .error: "error"
        case .denied: "denied"
        case .cancelled: "cancelled"
        }
    }
}

/// The signal that a record belongs to.
package enum Signal: UInt8, CaseIterable, Sendable {
    /// A span.
    case span
    /// A log event.
    case event
    /// A metric point.
    case metrics

    /// `span`, `event` or `metrics`: the value of `CODEX_RECORD`.
    package var name: StaticString {
        switch self {
        case .span: "span"
        case .event: "event"
        case .metrics: "metrics"
        }
    }
}

/// What kind of program asked: `codex.originator.class`.
package enum OriginatorClass: UInt8, CaseIterable, Sendable {
    /// A command line program.
    case cli
    /// A program that uses one of the SDKs.
    case sdk
    /// An editor.
    case ide
    /// Anything else, or unknown.
    case other

    /// `cli`, `sdk`, `ide` or `other`.
    package var name: StaticString {
        switch self {
        case .cli: "cli"
        case .sdk: "sdk"
        case .ide: "ide"
        case .other: "other"
        }
    }
}

/// syslog(3) priorities that entries have.
package enum Priority: UInt8, Sendable {
    /// It failed.
    case error = 3
    /// It was denied, or had to be retried.
    case warning = 4
    /// It is worth reading.
    case info = 6
    /// It is a part of something else.
    case debug = 7
}
