import ByteCoding
package import Meaning
package import SegmentLog
import TelemetryBatch

extension StatusMark {
    /// The mark of what a record means.
    package init(_ status: OperationStatus) {
        switch status {
        case .unset: self = .none
        case .ok: self = .ok
        case .error: self = .error
        case .denied: self = .denied
        case .cancelled: self = .cancelled
        }
    }
}

/// A record as one line for people: time, the trace's last digits, how it ended, its sentence.
package struct RecordLine: Sendable {
    private let style: Style
    private let times: TimeText
    private let isCut: Bool

    /// - Parameter isCut: whether lines end at the style's width, for a terminal.
    package init(style: Style, times: TimeText, isCut: Bool) {
        self.style = style
        self.times = times
        self.isCut = isCut
    }

    /// The line, without a newline. Whatever the peer sent, nothing in it controls a terminal.
    package func text(_ record: StoredRecord) -> String {
        let meaning = record.meaning
        let mark = StatusMark(meaning.status)
        let time = times.short(record.time)
        let trace = record.traceID.map { String($0.hex.suffix(8)) } ?? "        "
        var sentence = TerminalText.safe(record.batch.sentence(meaning))
        if case .point(let point) = record.record {
            // Behind the name, with which the sentence of a metric begins.
            let end = sentence.firstRange(of: " · ")?.lowerBound ?? sentence.endIndex
            sentence.insert(contentsOf: Self.value(point, record.batch), at: end)
        }
        if isCut {
            let used = TerminalText.columns(time) + trace.utf8.count + 4
            sentence = TerminalText.cut(sentence, to: max(20, style.width - used))
        }
        let painted =
            switch mark {
            case .error: style.paint(sentence, .bad)
            case .denied: style.paint(sentence, .warning)
            default: sentence
            }
        return style.paint(time, .faint) + " " + style.paint(trace, .faint) + " "
            + style.paint(mark.text, mark.role) + " " + painted
    }

    /// ` = 12 {token}`: what a metric point says.
    private static func value(_ point: PointView, _ batch: Batch) -> String {
        let unit = batch.text(point.metric.unit)
        let shownUnit = unit.isEmpty || unit == "1" ? "" : " " + TerminalText.safe(unit)
        switch point.value {
        case .number(.none): return ""
        case .number(.int(let value)): return " = \(value)" + shownUnit
        case .number(.double(let value)): return " = \(value)" + shownUnit
        case .histogram(let histogram):
            return " = \(histogram.count) values" + sum(histogram.sum, shownUnit)
        case .exponential(let histogram):
            return " = \(histogram.count) values" + sum(histogram.sum, shownUnit)
        case .summary(let summary):
            return " = \(summary.count) values" + sum(summary.sum, shownUnit)
        }
    }

    private static func sum(_ sum: Double?, _ unit: String) -> String {
        sum.map { ", sum \($0)\(unit)" } ?? ""
    }
}

/// What stands between records when the log could not give some.
package enum GapLine {
    /// A sentence for standard error.
    package static func text(_ missed: MissedRange) -> String {
        let what =
            missed.count.map { "\($0.records) records in \($0.batches) batches" }
            ?? "an unknown number of records"
        switch missed.cause {
        case .expired: return "\(what) were deleted by retention before they could be shown"
        case .damaged: return "\(what) could not be read: the log is damaged there"
        case .removed: return "\(what) are gone: somebody removed their file from the log"
        }
    }

    /// A sentence for standard error.
    package static func text(_ damaged: DamagedRange) -> String { "damaged: \(damaged)" }
}
