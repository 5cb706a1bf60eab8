import ByteCoding
package import Export
package import Meaning
import SegmentLog
package import TelemetryBatch

/// Turns records into journal entries (DESIGN.md, "Journald"), bytes to bytes: no string is made for a
/// field whose value a batch has as text.
package struct EntryEncoder: Sendable {
    /// journald drops entries with more than 1,024 fields without a word.
    package static let attributesMax = 900
    /// A value that is larger is cut: a hostile batch could repeat one string until memory is full.
    static let valueBytesMax = 1 << 20
    /// Attributes that come after this much of an entry are left out and counted in it.
    static let entryBytesMax = 8 << 20

    private var fields = FieldEncoder()
    private let logID: [UInt8]
    private let isRoot: Bool
    /// `CODEX_PEER_PID` and so on: the same for all of a batch.
    private var batchFields: [UInt8] = []
    private var offsetText: [UInt8] = []
    private var names = AttributeNames()

    /// An encoder for the entries of one log. journald honours `OBJECT_PID` of root alone.
    package init(logID: String, isRoot: Bool) {
        self.logID = [UInt8](logID.utf8)
        self.isRoot = isRoot
    }

    /// Bytes of the entries that are encoded and not taken.
    package var byteCount: Int { fields.bytes.count }

    /// Takes the bytes of all entries encoded so far.
    package mutating func take() -> [UInt8] { fields.take() }

    /// Cuts the bytes back to `count`: an entry that is not to be sent after all.
    package mutating func truncate(to count: Int) { fields.truncate(to: count) }

    /// Prepares for the records of a batch.
    package mutating func begin(_ export: ExportBatch) {
        names.begin(strings: export.batch.stringCount)
        var common = FieldEncoder()
        common.field("SYSLOG_IDENTIFIER=", "codex-telemetry")
        common.field("CODEX_LOG_ID=") { [logID] in $0.append(contentsOf: logID) }
        if let pid = export.peer.pid {
            common.field("CODEX_PEER_PID=") { TextFormat.decimal(UInt64(pid), into: &$0) }
            if isRoot {
                common.field("OBJECT_PID=") { TextFormat.decimal(UInt64(pid), into: &$0) }
            }
        }
        if let uid = export.peer.uid {
            common.field("CODEX_PEER_UID=") { TextFormat.decimal(UInt64(uid), into: &$0) }
        }
        batchFields = common.bytes
        offsetText.removeAll(keepingCapacity: true)
        TextFormat.decimal(UInt64(export.offset.segment), into: &offsetText)
        offsetText.append(UInt8(ascii: ":"))
        TextFormat.decimal(UInt64(export.offset.position), into: &offsetText)
        offsetText.append(UInt8(ascii: "."))
    }

    /// Appends a record's entry; where it is in the bytes.
    package mutating func encode(
        _ record: Record, _ meaning: RecordMeaning, in batch: Batch
    ) -> Range<Int> {
        let start = fields.bytes.count
        fields.field("MESSAGE=") { batch.appendSentence(meaning, into: &$0) }
        fields.field("PRIORITY=") { $0.append(0x30 + meaning.priority.rawValue) }
        fields.field("MESSAGE_ID=", EntryKind(meaning).messageID)
        fields.append(batchFields)
        fields.field("CODEX_OFFSET=") { [offsetText] in
            $0.append(contentsOf: offsetText)
            TextFormat.decimal(UInt64(meaning.index), into: &$0)
        }
        encode(meaning, batch)
        switch record {
        case .span(let span): encode(span, batch)
        case .log(let log): encode(log, batch)
        case .point(let point): encode(point.attributes, batch, from: start)
        case .unknown: break
        }
        switch record {
        case .span(let span): encode(span.attributes, batch, from: start)
        case .log(let log): encode(log.attributes, batch, from: start)
        case .point, .unknown: break
        }
        return start..<fields.bytes.count
    }

    /// Appends the entry of a service's metric points in one interval; where it is in the bytes.
    mutating func encode(_ summary: MetricSummaries.Summary, seconds: UInt64) -> Range<Int> {
        let start = fields.bytes.count
        let fold = summary.fold
        let names = fold.metrics.keys.sorted()
        fields.field("MESSAGE=") { bytes in
            bytes.append(contentsOf: "metrics: ".utf8)
            TextFormat.decimal(fold.points, into: &bytes)
            bytes.append(contentsOf: " points of ".utf8)
            TextFormat.decimal(UInt64(names.count), into: &bytes)
            bytes.append(contentsOf: " metrics in ".utf8)
            TextFormat.duration(nanoseconds: seconds &* 1_000_000_000, into: &bytes)
            bytes.append(contentsOf: " · ".utf8)
            PrintableText.append(summary.service.utf8, into: &bytes)
        }
        fields.field("PRIORITY=", "6")
        fields.field("MESSAGE_ID=", EntryKind.metrics.messageID)
        fields.field("SYSLOG_IDENTIFIER=", "codex-telemetry")
        fields.field("CODEX_LOG_ID=") { [logID] in $0.append(contentsOf: logID) }
        fields.field("CODEX_OFFSET=") { fold.id.append(into: &$0) }
        fields.field("CODEX_RECORD=", Signal.metrics.name)
        fields.field("CODEX_NAME=", "metrics")
        fields.field("CODEX_SERVICE=", untrusted: ArraySlice(summary.service.utf8))
        fields.field("CODEX_STATUS=", OperationStatus.unset.name)
        fields.field("CODEX_METRIC_POINTS=") { TextFormat.decimal(fold.points, into: &$0) }
        fields.field("CODEX_METRICS=") { bytes in
            var json = JSONWriter()
            json.beginObject()
            for name in names {
                guard let metric = fold.metrics[name] else { continue }
                json.key(name)
                json.beginObject()
                json.key("points")
                json.integer(metric.points)
                if metric.hasSum {
                    json.key("sum")
                    json.double(metric.sum)
                }
                if metric.hasLast {
                    json.key("last")
                    json.double(metric.last)
                }
                json.endObject()
            }
            json.endObject()
            bytes.append(contentsOf: json.bytes)
        }
        return start..<fields.bytes.count
    }

    /// Appends an entry that stands for no record: once it is visible, so is all that was sent before it.
    mutating func encodeBarrier(_ nonce: UInt64) -> Range<Int> {
        let start = fields.bytes.count
        fields.field("MESSAGE=", "journald exporter: looks whether its entries arrived")
        fields.field("PRIORITY=", "6")
        fields.field("SYSLOG_IDENTIFIER=", "codex-telemetryd")
        fields.field("CODEX_LOG_ID=") { [logID] in $0.append(contentsOf: logID) }
        fields.field("CODEX_BARRIER=") { TextFormat.decimal(nonce, into: &$0) }
        return start..<fields.bytes.count
    }

    private mutating func encode(_ meaning: RecordMeaning, _ batch: Batch) {
        fields.field("CODEX_RECORD=", meaning.signal.name)
        field("CODEX_NAME=", meaning.name, batch)
        if let operation = meaning.operation { fields.field("CODEX_OPERATION=", operation.name) }
        if meaning.service.isNone {
            fields.field("CODEX_SERVICE=", "unknown_service")
        } else {
            field("CODEX_SERVICE=", meaning.service, batch)
        }
        if !meaning.originator.isNone { field("CODEX_ORIGINATOR=", meaning.originator, batch) }
        if !meaning.session.isNone { field("CODEX_SESSION_ID=", meaning.session, batch) }
        fields.field("CODEX_STATUS=", meaning.status.name)
        if !meaning.errorType.isNone { field("CODEX_ERROR_TYPE=", meaning.errorType, batch) }
        if let duration = meaning.durationNanoseconds {
            fields.field("CODEX_DURATION_MS=") {
                TextFormat.milliseconds(nanoseconds: duration, into: &$0)
            }
        }
        if meaning.time > 0 {
            fields.field("CODEX_START_TIME=") {
                TextFormat.timestamp(nanoseconds: meaning.time, into: &$0)
            }
        }
    }

    private mutating func encode(_ span: SpanView, _ batch: Batch) {
        fields.field("CODEX_SPAN_KIND=", span.kind.fieldValue)
        encode(trace: span.traceID, span: span.spanID)
        if !span.parent.isZero {
            fields.field("CODEX_PARENT_SPAN_ID=") {
                TextFormat.hexadecimal(span.parent.rawValue, into: &$0)
            }
        }
        if !span.statusMessage.isNone {
            fields.field(
                "CODEX_STATUS_MESSAGE=", untrusted: batch.utf8(span.statusMessage))
        }
    }

    private mutating func encode(_ log: LogView, _ batch: Batch) {
        encode(trace: log.traceID, span: log.span)
        if let body = log.body {
            encode(name: ArraySlice("CODEX_BODY".utf8), body, batch)
        }
    }

    private mutating func encode(trace: TraceID, span: SpanID) {
        if !trace.isZero {
            fields.field("CODEX_TRACE_ID=") {
                TextFormat.hexadecimal(trace.high, into: &$0)
                TextFormat.hexadecimal(trace.low, into: &$0)
            }
        }
        if !span.isZero {
            fields.field("CODEX_SPAN_ID=") {
                TextFormat.hexadecimal(span.rawValue, into: &$0)
            }
        }
    }

    private mutating func encode(_ attributes: AttributeList, _ batch: Batch, from start: Int) {
        if attributes.isEmpty { return }
        names.beginEntry()
        var left = attributes.count
        var written = 0
        for (key, value) in attributes {
            if written == Self.attributesMax || fields.bytes.count - start > Self.entryBytesMax {
                break
            }
            encode(name: names.name(of: key, in: batch), value, batch)
            written += 1
            left -= 1
        }
        if left > 0 {
            fields.field("CODEX_ATTRIBUTES_DROPPED=") {
                TextFormat.decimal(UInt64(left), into: &$0)
            }
        }
    }

    private mutating func encode(name: ArraySlice<UInt8>, _ value: Value, _ batch: Batch) {
        switch value {
        case .none: fields.field(name: name) { _ in }
        case .string(let ref): fields.field(name: name, untrusted: batch.utf8(ref))
        case .bool(let flag):
            fields.field(name: name) { TextFormat.fixed(flag ? "true" : "false", into: &$0) }
        case .int(let number):
            fields.field(name: name) { TextFormat.decimal(number, into: &$0) }
        case .double(let number):
            fields.field(name: name) { $0.append(contentsOf: number.description.utf8) }
        case .bytes(let ref):
            fields.field(name: name) { Base64.append(batch.data(ref), into: &$0) }
        case .array, .map:
            var json = JSONWriter()
            ValueJSON.append(value, batch, bytesMax: Self.valueBytesMax, into: &json)
            fields.field(name: name) { $0.append(contentsOf: json.bytes) }
        }
    }

    private mutating func field(
        _ nameAndEquals: StaticString, _ text: MeaningText, _ batch: Batch
    ) {
        if case .text(let ref) = text {
            fields.field(nameAndEquals, untrusted: batch.utf8(ref))
        } else {
            fields.field(nameAndEquals) { batch.append(text, into: &$0) }
        }
    }
}

extension SpanKind {
    fileprivate var fieldValue: StaticString {
        switch self {
        case .unspecified: "unspecified"
        case .internal: "internal"
        case .server: "server"
        case .client: "client"
        case .producer: "producer"
        case .consumer: "consumer"
        }
    }
}

/// The field names of a batch's attribute keys, each made once a batch.
struct AttributeNames: Sendable {
    private struct Known {
        let name: ArraySlice<UInt8>
        /// Equal for keys with equal names.
        let number: Int
    }

    private var known: [Known?] = []
    private var numbers: [ArraySlice<UInt8>: Int] = [:]
    /// Names that two keys of this batch share.
    private var shared: Set<Int> = []
    private var usedInEntry: [(number: Int, key: UInt32)] = []

    mutating func begin(strings: Int) {
        known = Array(repeating: nil, count: strings + 1)
        numbers.removeAll(keepingCapacity: true)
        shared.removeAll(keepingCapacity: true)
    }

    mutating func beginEntry() { usedInEntry.removeAll(keepingCapacity: true) }

    /// The name of a key in the entry that was begun: its own, unless another key before it has that.
    mutating func name(of key: TextRef, in batch: Batch) -> ArraySlice<UInt8> {
        let index = Int(key.index)
        let entry = known[index] ?? learn(key, batch)
        if shared.isEmpty {
            // A second key with the same name would have made it shared when it was learned, and all keys
            // of this entry before it were seen in this entry.
            usedInEntry.append((entry.number, key.index))
            return entry.name
        }
        if shared.contains(entry.number) {
            for used in usedInEntry where used.number == entry.number && used.key != key.index {
                return ArraySlice(AttributeFieldName.distinct(batch.utf8(key)))
            }
        }
        usedInEntry.append((entry.number, key.index))
        return entry.name
    }

    private mutating func learn(_ key: TextRef, _ batch: Batch) -> Known {
        let name = ArraySlice(AttributeFieldName.plain(batch.utf8(key)))
        let number: Int
        if let other = numbers[name] {
            number = other
            shared.insert(other)
        } else {
            number = numbers.count
            numbers[name] = number
        }
        let made = Known(name: name, number: number)
        known[Int(key.index)] = made
        return made
    }
}
