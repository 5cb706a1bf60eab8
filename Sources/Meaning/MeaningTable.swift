/// What an attribute says about a record, whatever its key is in a dialect.
package enum AttributeRole: UInt8, CaseIterable, Sendable {
    /// The session.
    case session
    /// Who asked, as it was sent.
    case originator
    /// What kind of program asked.
    case originatorClass
    /// The service.
    case service
    /// Why it failed.
    case errorType
    /// How it ended, said outright.
    case status
    /// How long it took, in milliseconds, where the record has no duration itself.
    case durationMilliseconds
    /// The tool.
    case tool
    /// The model.
    case model
    /// The program that was run.
    case command
    /// What was done to a file.
    case fileOperation
    /// The answer to a question for approval.
    case decision
    /// How often it was sent again: more than 0 means retried.
    case resends
    /// The number of the attempt, from 1.
    case attempt
    /// The name of a log event.
    case eventName
    /// The session where it is a text: the key is also that of a thread's number.
    case sessionText
    /// `true` or `false`: how it ended.
    case success
    /// The status of an answer over HTTP.
    case httpStatus
    /// What went wrong, in words: of a log event that nothing else says anything of.
    case errorMessage
    /// Who decided on an approval.
    case decisionSource
}

/// A key and what it says. Of several keys for one role in the same place the first in the table counts.
package struct AttributeRule: Sendable {
    /// The attribute's key.
    package let key: String
    /// What it says.
    package let role: AttributeRole

    /// Both given.
    package init(_ key: String, _ role: AttributeRole) {
        self.key = key
        self.role = role
    }
}

/// A name of spans or log events and the operation that it is.
package struct NameRule: Sendable {
    /// The span's or event's name.
    package let name: String
    /// The signals in which it means this.
    package let signals: [Signal]
    /// The operation.
    package let operation: Operation

    /// All given.
    package init(_ name: String, _ signals: [Signal], _ operation: Operation) {
        self.name = name
        self.signals = signals
        self.operation = operation
    }
}

/// The names of one family of programs.
package struct Dialect: Sendable {
    /// For people.
    package let name: String
    /// Names that are operations.
    package let names: [NameRule]
    /// Keys that mean something.
    package let attributes: [AttributeRule]

    /// All given.
    package init(name: String, names: [NameRule], attributes: [AttributeRule]) {
        self.name = name
        self.names = names
        self.attributes = attributes
    }
}

/// All that decides what a record means. One table for every dialect: a further one is a further row in
/// `dialects`, before or behind the others by precedence, and a higher `version`.
package struct MeaningTable: Sendable {
    /// Raised with every change: rollups that were made by another version are marked so.
    package let version: Int
    /// By falling precedence.
    package let dialects: [Dialect]

    let operations: [Signal: [ArraySlice<UInt8>: Operation]]
    let roles: [ArraySlice<UInt8>: RankedRole]

    struct RankedRole: Sendable {
        let role: AttributeRole
        /// Lower counts more.
        let rank: UInt8
    }

    /// A table of dialects; there are at most 255 keys.
    package init(version: Int, dialects: [Dialect]) {
        self.version = version
        self.dialects = dialects
        var operations: [Signal: [ArraySlice<UInt8>: Operation]] = [:]
        var roles: [ArraySlice<UInt8>: RankedRole] = [:]
        var rank: UInt8 = 0
        for dialect in dialects {
            for rule in dialect.names {
                for signal in rule.signals {
                    let name = ArraySlice(rule.name.utf8)
                    if operations[signal]?[name] == nil {
                        operations[signal, default: [:]][name] = rule.operation
                    }
                }
            }
            for rule in dialect.attributes {
                rank += 1
                let key = ArraySlice(rule.key.utf8)
                if roles[key] == nil { roles[key] = RankedRole(role: rule.role, rank: rank) }
            }
        }
        self.operations = operations
        self.roles = roles
    }

    /// The table of this version of the program.
    package static let current = MeaningTable(
        version: 2, dialects: [.own, .codex, .openTelemetry])
}

extension Dialect {
    /// What our own clients send (DESIGN.md, "What a coding agent emits").
    package static let own = Dialect(
        name: "codex-telemetry",
        names: Operation.allCases.map { NameRule($0.name.description, [.span, .event], $0) },
        attributes: [
            AttributeRule("session.id", .session),
            AttributeRule("originator", .originator),
            AttributeRule("codex.originator.class", .originatorClass),
            AttributeRule("error.type", .errorType),
            AttributeRule("codex.status", .status),
            AttributeRule("duration_ms", .durationMilliseconds),
            AttributeRule("codex.tool.name", .tool),
            AttributeRule("codex.command.name", .command),
            AttributeRule("codex.command", .command),
            AttributeRule("codex.file.operation", .fileOperation),
            AttributeRule("codex.approval.decision", .decision),
            AttributeRule("codex.attempt", .attempt),
        ])

    /// OpenTelemetry's semantic conventions, GenAI included.
    package static let openTelemetry = Dialect(
        name: "OpenTelemetry",
        names: [],
        attributes: [
            AttributeRule("service.name", .service),
            AttributeRule("gen_ai.conversation.id", .session),
            AttributeRule("gen_ai.tool.name", .tool),
            AttributeRule("gen_ai.request.model", .model),
            AttributeRule("gen_ai.response.model", .model),
            AttributeRule("process.executable.name", .command),
            AttributeRule("process.command", .command),
            AttributeRule("http.request.resend_count", .resends),
            AttributeRule("event.name", .eventName),
            AttributeRule("exception.type", .errorType),
        ])
}
