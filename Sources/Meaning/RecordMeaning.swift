package import TelemetryBatch

/// A short text of a meaning: a batch's own, or ours. Valid with the batch that it was read from.
package enum MeaningText: Sendable {
    /// Nothing said.
    case none
    /// In the batch's string table. A peer's: escape it before it reaches a terminal.
    case text(TextRef)
    /// A number where others send a text.
    case integer(Int64)
    /// Ours.
    case fixed(StaticString)

    /// Whether nothing is said.
    package var isNone: Bool {
        switch self {
        case .none: true
        case .text(let ref): ref.isNone
        case .integer, .fixed: false
        }
    }
}

/// What a record means, whatever dialect reported it.
package struct RecordMeaning: Sendable {
    /// The record's place in the batch, from 0.
    package var index = 0
    /// Span, event or metric point.
    package var signal: Signal
    /// Which of a coding agent's operations it is; nil: none.
    package var operation: Operation?
    /// How it ended.
    package var status = OperationStatus.unset
    /// `PRIORITY`.
    package var priority = Priority.info
    /// The span's, event's or metric's name.
    package var name = MeaningText.none
    /// What the operation was about: the tool, the model, the program, what was done to the file.
    package var subject = MeaningText.none
    /// Why it failed.
    package var errorType = MeaningText.none
    /// The session.
    package var session = MeaningText.none
    /// Who asked, as it was sent.
    package var originator = MeaningText.none
    /// What kind of program asked.
    package var originatorClass = OriginatorClass.other
    /// The service.
    package var service = MeaningText.none
    /// How long it took; nil: not said.
    package var durationNanoseconds: UInt64?
    /// When it began or happened, nanoseconds since 1970; 0: not said.
    package var time: UInt64 = 0
    /// Whether it succeeded or failed only after it was sent again.
    package var isRetried = false
    /// OpenTelemetry's severity number of a log event, 0 for none and for other signals.
    package var severity: UInt8 = 0

    init(signal: Signal) { self.signal = signal }

    /// Whether people ask about it: an operation, an error, or a refusal.
    package var isOperationOrError: Bool {
        operation != nil || status == .error || status == .denied
    }
}

extension Batch {
    /// Appends a meaning's text as it is: a peer's bytes may be among them.
    package func append(_ text: MeaningText, into bytes: inout [UInt8]) {
        switch text {
        case .none: break
        case .text(let ref): bytes.append(contentsOf: utf8(ref))
        case .integer(let value): TextFormat.decimal(value, into: &bytes)
        case .fixed(let fixed): TextFormat.fixed(fixed, into: &bytes)
        }
    }

    /// Appends a meaning's text, made fit for a terminal.
    package func appendPrintable(_ text: MeaningText, into bytes: inout [UInt8]) {
        if case .text(let ref) = text {
            PrintableText.append(utf8(ref), into: &bytes)
        } else {
            append(text, into: &bytes)
        }
    }

    /// A meaning's text as a string; nil for nothing. A peer's: escape it before it reaches a terminal.
    package func string(_ text: MeaningText) -> String? {
        if text.isNone { return nil }
        return TextFormat.text { append(text, into: &$0) }
    }
}
