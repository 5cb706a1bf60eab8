package import Meaning

/// The kinds of entries, each with a text in the catalog (contrib/systemd/codex-telemetry.catalog).
package enum EntryKind: UInt8, CaseIterable, Sendable {
    case turn
    case apiRequest
    case tool
    case command
    case file
    case approval
    case attachmentCleanup
    /// A span that is none of the operations.
    case span
    /// A log event that is none of the operations.
    case event
    /// A summary of metric points.
    case metrics
    /// An error that belongs to none of the operations.
    case error

    /// `MESSAGE_ID`. Never changes, and is never used for anything else.
    package var messageID: StaticString {
        switch self {
        case .turn: "6020e9b6e1b84b55bcebd87d949bcccc"
        case .apiRequest: "ebb9e6efb0c4416c8f1d11131ebfcc7c"
        case .tool: "c9b85e82b9864615aa6f2e773ed3d878"
        case .command: "7f45cb28dbd64385b6be604bdcabc957"
        case .file: "2f42df4716d541d0824e2a0c564ac828"
        case .approval: "b01db264ef2d40479e3fed8b5b28f55a"
        case .attachmentCleanup: "19635885dde24a2e946a57a110e7e40c"
        case .span: "dbf70eeb89284cb8ba26aeb88d9025c2"
        case .event: "165076f9c6b947a8b328551d9750495b"
        case .metrics: "8b652485ffc743408772f0996316e148"
        case .error: "60409764c06f4df2bd9cbd5cb4b9f4d1"
        }
    }

    /// The kind's name in the catalog's comments.
    package var catalogName: String {
        switch self {
        case .turn: "turn"
        case .apiRequest: "api_request"
        case .tool: "tool"
        case .command: "command"
        case .file: "file"
        case .approval: "approval"
        case .attachmentCleanup: "attachment.cleanup"
        case .span: "span"
        case .event: "event"
        case .metrics: "metrics"
        case .error: "error"
        }
    }

    /// The kind of a record's entry.
    package init(_ meaning: RecordMeaning) {
        switch meaning.operation {
        case .turn: self = .turn
        case .apiRequest: self = .apiRequest
        case .tool: self = .tool
        case .command: self = .command
        case .file: self = .file
        case .approval: self = .approval
        case .attachmentCleanup: self = .attachmentCleanup
        case nil:
            switch meaning.signal {
            case _ where meaning.status == .error: self = .error
            case .span: self = .span
            case .event: self = .event
            case .metrics: self = .metrics
            }
        }
    }
}
