import ByteCoding
import Export
import TelemetryBatch

/// The metric points of one service in one interval, folded.
struct ServiceFold: Sendable, Equatable {
    /// More names than this are folded into one, `…`.
    static let namesMax = 128

    /// The points of one metric.
    struct Metric: Sendable, Equatable {
        var points: UInt64 = 0
        /// The sum of what the points add: deltas of sums, counts of delta histograms.
        var sum: Double = 0
        var hasSum = false
        /// The newest value of a gauge or of a cumulative sum.
        var last: Double = 0
        var hasLast = false

        mutating func merge(_ later: Metric) {
            points += later.points
            sum += later.sum
            hasSum = hasSum || later.hasSum
            if later.hasLast {
                last = later.last
                hasLast = true
            }
        }
    }

    /// The last point that was folded in: the name of the summary's entry.
    var id: EntryID
    var points: UInt64 = 0
    var metrics: [String: Metric] = [:]

    mutating func merge(_ later: ServiceFold) {
        id = later.id
        points += later.points
        for (name, metric) in later.metrics { add(name, metric) }
    }

    mutating func add(_ name: String, _ metric: Metric) {
        let known = metrics[name] != nil || metrics.count < Self.namesMax
        metrics[known ? name : "…", default: Metric()].merge(metric)
    }
}

extension ServiceFold.Metric {
    /// What one point contributes.
    init(_ point: PointView, _ metric: MetricView) {
        points = 1
        let adds = metric.temporality == .delta
        switch point.value {
        case .number(.int(let value)): take(Double(value), adds)
        case .number(.double(let value)): take(value, adds)
        case .number(.none): break
        case .histogram(let value): take(Double(value.count), adds)
        case .exponential(let value): take(Double(value.count), adds)
        case .summary(let value): take(Double(value.count), false)
        }
    }

    private mutating func take(_ value: Double, _ adds: Bool) {
        if adds {
            (sum, hasSum) = (value, true)
        } else {
            (last, hasLast) = (value, true)
        }
    }
}

/// The metric points of one interval by service.
struct MetricFold: Sendable, Equatable {
    /// More services than this are folded into one, `…`.
    static let servicesMax = 64

    /// Which interval since 1970.
    var interval: UInt64 = 0
    var services: [String: ServiceFold] = [:]

    var isEmpty: Bool { services.isEmpty }

    mutating func merge(_ later: MetricFold) {
        interval = later.interval
        for (service, fold) in later.services { add(service, fold) }
    }

    mutating func add(_ service: String, _ fold: ServiceFold) {
        let known = services[service] != nil || services.count < Self.servicesMax
        let key = known ? service : "…"
        if services[key] == nil { services[key] = fold } else { services[key]?.merge(fold) }
    }
}

/// Summaries of metric points: the fold as it is, and the fold as it was at the cursor, which is what a
/// checkpoint may save. Between them lie the changes of batches that are not settled yet.
struct MetricSummaries: Sendable {
    /// One service's interval, on its way to the journal.
    struct Summary: Sendable, Equatable {
        let service: String
        let fold: ServiceFold
    }

    private enum Change {
        case fold(MetricFold)
        case emitted([Summary])
    }

    private(set) var live = MetricFold()
    private var atCursor = MetricFold()
    /// Sent by the cursor, and not confirmed: a restart sends them again, unless they are there.
    private var unconfirmed: [Summary] = []
    private var confirmedEarly: Set<EntryID> = []
    private var changes: [(ticket: ExportLedger.Ticket, change: Change)] = []
    private var newest: ExportLedger.Ticket?

    /// Folds a batch's points, which all belong to `fold.interval`. What belongs to an earlier interval is
    /// emitted first.
    mutating func add(_ fold: MetricFold, _ ticket: ExportLedger.Ticket) -> [Summary] {
        newest = ticket
        let emitted = fold.interval == live.interval ? [] : emit()
        live.merge(fold)
        changes.append((ticket, .fold(fold)))
        return emitted
    }

    /// Emits what is folded.
    mutating func emit() -> [Summary] {
        let summaries = live.services.map { Summary(service: $0.key, fold: $0.value) }
            .sorted { $0.service < $1.service }
        live.services = [:]
        guard !summaries.isEmpty else { return [] }
        if let newest {
            changes.append((newest, .emitted(summaries)))
        } else {
            apply(.emitted(summaries))
        }
        return summaries
    }

    /// A summary's entry is in the journal.
    mutating func confirmed(_ id: EntryID) {
        let before = unconfirmed.count
        unconfirmed.removeAll { $0.fold.id == id }
        if unconfirmed.count == before { confirmedEarly.insert(id) }
    }

    /// Applies the changes of all batches up to `ticket`.
    mutating func advance(upTo ticket: ExportLedger.Ticket?) {
        guard let ticket else { return }
        let count = changes.prefix { $0.ticket <= ticket }.count
        for (_, change) in changes.prefix(count) { apply(change) }
        changes.removeFirst(count)
    }

    private mutating func apply(_ change: Change) {
        switch change {
        case .fold(let fold): atCursor.merge(fold)
        case .emitted(let summaries):
            atCursor.services = [:]
            for summary in summaries where confirmedEarly.remove(summary.fold.id) == nil {
                unconfirmed.append(summary)
            }
        }
    }
}

// MARK: In the checkpoint

extension MetricSummaries {
    /// Appends the state at the cursor.
    func encode(into writer: inout ByteWriter) {
        writer.write(varint: atCursor.interval)
        writer.write(varint: UInt64(atCursor.services.count))
        for (service, fold) in atCursor.services { Self.encode(service, fold, &writer) }
        writer.write(varint: UInt64(unconfirmed.count))
        for summary in unconfirmed { Self.encode(summary.service, summary.fold, &writer) }
    }

    /// Reads the state of a checkpoint; the summaries that are to be sent again.
    mutating func decode(_ reader: inout ByteReader) throws(ByteError) -> [Summary] {
        var fold = MetricFold()
        fold.interval = try reader.readVarint()
        for _ in 0..<(try reader.readVarint()) {
            let (service, read) = try Self.decode(&reader)
            fold.services[service] = read
        }
        var summaries: [Summary] = []
        for _ in 0..<(try reader.readVarint()) {
            let (service, read) = try Self.decode(&reader)
            summaries.append(Summary(service: service, fold: read))
        }
        live = fold
        atCursor = fold
        unconfirmed = summaries
        return summaries
    }

    private static func encode(
        _ service: String, _ fold: ServiceFold, _ writer: inout ByteWriter
    ) {
        encode(service, &writer)
        writer.write(varint: fold.id.offset)
        writer.write(varint: UInt64(fold.id.index))
        writer.write(varint: fold.points)
        writer.write(varint: UInt64(fold.metrics.count))
        for (name, metric) in fold.metrics {
            encode(name, &writer)
            writer.write(varint: metric.points)
            writer.write(uint8: (metric.hasSum ? 1 : 0) | (metric.hasLast ? 2 : 0))
            writer.write(double: metric.sum)
            writer.write(double: metric.last)
        }
    }

    private static func decode(
        _ reader: inout ByteReader
    ) throws(ByteError) -> (String, ServiceFold) {
        let service = try text(&reader)
        let offset = try reader.readVarint()
        let index = UInt32(truncatingIfNeeded: try reader.readVarint())
        var fold = ServiceFold(id: EntryID(offset: offset, index: index))
        fold.points = try reader.readVarint()
        for _ in 0..<(try reader.readVarint()) {
            let name = try text(&reader)
            var metric = ServiceFold.Metric()
            metric.points = try reader.readVarint()
            let flags = try reader.readUInt8()
            metric.hasSum = flags & 1 != 0
            metric.hasLast = flags & 2 != 0
            metric.sum = try reader.readDouble()
            metric.last = try reader.readDouble()
            fold.metrics[name] = metric
        }
        return (service, fold)
    }

    private static func encode(_ text: String, _ writer: inout ByteWriter) {
        writer.write(varint: UInt64(text.utf8.count))
        writer.write(utf8: text)
    }

    private static func text(_ reader: inout ByteReader) throws(ByteError) -> String {
        let count = Int(truncatingIfNeeded: try reader.readVarint())
        let span = try reader.readSpan(count)
        return span.withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
    }
}
