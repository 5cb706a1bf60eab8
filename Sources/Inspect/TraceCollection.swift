import ByteCoding
import Meaning
import SegmentLog
import TelemetryBatch

/// The records of the traces that an id may mean.
package struct TraceCollection {
    private let query: IDQuery
    private let selection: RecordSelection
    private var byTrace: [TraceID: [StoredRecord]] = [:]
    /// Records of one trace that are held at most.
    package static let recordsMax = 100_000

    /// Whether some records of a trace were left out: there are too many.
    package private(set) var isCut = false

    /// Collects what `query` may mean.
    package init(_ query: IDQuery) {
        self.query = query
        var filter = RecordFilter()
        filter.trace = query
        selection = RecordSelection(filter)
    }

    /// What to read: segments that certainly have nothing are passed over.
    package var filter: RecordFilter {
        var filter = RecordFilter()
        filter.trace = query
        return filter
    }

    /// Takes the wanted records of an entry.
    package mutating func add(_ entry: StoredEntry) {
        let batch = entry.batch
        // The batch's table of traces decides, before any record is decoded.
        guard (0..<batch.traceCount).contains(where: { query.matches(batch.traceID($0 + 1).hex) })
        else { return }
        for record in selection.records(of: entry) {
            guard let id = record.traceID else { continue }
            guard byTrace[id, default: []].count < Self.recordsMax else {
                isCut = true
                continue
            }
            byTrace[id, default: []].append(record)
        }
    }

    /// Which trace is meant.
    package var resolution: IDQuery.Resolution { query.resolve(byTrace.keys.map(\.hex)) }

    /// The records of a trace, in the log's order.
    package func records(of id: String) -> [StoredRecord] {
        ID128(hex: id).flatMap { byTrace[$0] } ?? []
    }
}

/// A trace as people see it: a headline and a waterfall.
package struct TraceScreen: Sendable {
    private let id: String
    private let records: [StoredRecord]
    private let style: Style
    private let times: TimeText

    /// A screen of one trace's records.
    package init(id: String, records: [StoredRecord], style: Style, times: TimeText) {
        self.id = id
        self.records = records
        self.style = style
        self.times = times
    }

    /// The lines, without newlines. All text in them is safe for a terminal.
    package func lines() -> [String] {
        let tree = TraceTree(records.compactMap(Self.node))
        return [headline(tree)] + Waterfall(tree, style: style).lines()
    }

    private func headline(_ tree: TraceTree) -> String {
        var services: [String] = []
        var spans = 0
        var errors = 0
        for record in records {
            if case .span = record.record { spans += 1 }
            if record.meaning.status == .error { errors += 1 }
            let service = record.batch.string(record.meaning.service).map(TerminalText.safe)
            if let service, !services.contains(service) { services.append(service) }
        }
        var parts = ["\(spans) span" + (spans == 1 ? "" : "s")]
        if records.count > spans { parts.append("\(records.count - spans) events") }
        if errors > 0 { parts.append(style.paint("\(errors) failed", .bad)) }
        parts.append(TextFormat.duration(nanoseconds: tree.duration))
        parts.append("at \(times.short(tree.start))")
        parts += services.prefix(3)
        return style.paint("trace \(id)", .strong) + "\n  " + parts.joined(separator: " · ")
    }

    private static func node(_ record: StoredRecord) -> TraceNode? {
        var node = TraceNode()
        let meaning = record.meaning
        switch record.record {
        case .span(let span):
            node.kind = .span
            node.id = span.spanID.rawValue
            node.parent = span.parent.rawValue
            node.duration = span.durationNanoseconds
        case .log(let log):
            node.kind = .event
            node.parent = log.span.rawValue
        case .point, .unknown: return nil
        }
        node.start = record.time
        node.mark = StatusMark(meaning.status)
        node.producer = record.entry.envelope.producer.hex
        node.label = label(record)
        return node
    }

    /// `tool shell`, or a span's own name; why it failed.
    private static func label(_ record: StoredRecord) -> String {
        let meaning = record.meaning
        let batch = record.batch
        var text = meaning.operation?.noun.description ?? batch.string(meaning.name) ?? ""
        if meaning.operation != nil, let subject = batch.string(meaning.subject) {
            text += " " + subject
        }
        if meaning.status == .error || meaning.status == .denied,
            let why = batch.string(meaning.errorType)
        {
            text += " (\(why))"
        }
        return TerminalText.safe(text)
    }
}
