package import ByteCoding

/// What became of a record.
package enum AppendResult: Sendable, Equatable {
    /// It is in the batch.
    case appended
    /// The batch has no room: finish it and write the record into the next one.
    case batchFull
    /// It passes a limit by itself and fits no batch.
    case refused
}

/// Writes batches in the reference encoding (contrib/protocol/batch.md).
///
/// Records are written straight into their place: `begin…`, the optional fields in the order of the
/// specification, `endRecord`. A field that is its default (zero, empty, none) should not be
/// written. Calls out of order trap: they are our own bug. A record that passes a limit leaves no
/// trace. The memory is kept from batch to batch: in the steady state nothing is allocated.
package struct BatchBuilder: ~Copyable, Sendable {
    /// The producer that the batches name.
    package var producer: ProducerID
    /// The size above which a batch takes no more records: at most the wire's limit.
    package var bytesMax: Int
    /// What the records' time differences count from.
    package private(set) var baseTime: UInt64 = 0
    /// The number of records in the batch.
    package private(set) var recordCount = 0

    var records: ByteWriter
    var strings: EntryTable
    var traces: EntryTable
    var scopes: EntryTable
    var metrics: EntryTable
    var boundsTable: EntryTable
    var resource: ByteWriter
    /// Where scopes and metrics are written before they are looked up.
    var scratch: ByteWriter
    var record = OpenRecord()
    /// Where known texts stand, by their numbers.
    var knownPlaces: [KnownPlace] = []
    /// Whether a resource, scope or metric is being written in pieces, and where `records` is meanwhile.
    var isEntryOpen = false
    /// Keeps the last values alive, so that equal bits mean equal text.
    var lastValues: [String] = []
    var lastTrace = TraceID.zero
    var lastTraceIndex = 0
    var valueCount = 0
    /// What the tables held after the last record: where an undone record goes back to.
    var committedStrings = 0
    var committedStringBytes = 0
    var committedTraces = 0
    var committedValues = 0
    /// Bytes of long texts, buckets and bounds, as often as they were asked for: a batch that repeats them is full before a reader refuses it
    /// for what it refers to.
    var longTexts = 0
    var committedLongTexts = 0
    /// Who keeps references and does not ask again keeps those of shorter texts only.
    package static let longTextBytes = 128
    /// The bytes of the batch that its records do not change.
    var tableBytes = 0

    /// A builder of a producer's batches. `isHostile`: others choose the texts and ids.
    package init(
        producer: ProducerID, bytesMax: Int = BatchLimits.batchBytesMax, isHostile: Bool = false
    ) {
        self.producer = producer
        self.bytesMax = min(bytesMax, BatchLimits.batchBytesMax)
        var secret = SystemRandomNumberGenerator()
        let keys = isHostile ? HashKeys(random: &secret) : HashKeys()
        records = ByteWriter(capacity: 4_096)
        strings = EntryTable(.string, slots: 256, keys: keys)
        traces = EntryTable(.nothing, keys: keys)
        scopes = EntryTable(.length, keys: keys)
        metrics = EntryTable(.length, keys: keys)
        boundsTable = EntryTable(.doubles, keys: keys)
        resource = ByteWriter()
        scratch = ByteWriter()
        countTables()
    }

    /// Whether the batch has no records.
    package var isEmpty: Bool { recordCount == 0 }

    /// At most how many bytes the batch would have.
    package var byteCount: Int { bytes }

    /// The same for this module: a getter that crosses modules is given a copy of all of a noncopyable
    /// self.
    @inline(__always)
    var bytes: Int {
        tableBytes &+ records.count &+ strings.bytes.count &+ traces.bytes.count
    }

    /// Begins a batch: forgets the last one, sets the base time (best: the first record's start)
    /// and writes the resource.
    package mutating func begin(baseTime: UInt64, resource: Resource = Resource()) {
        reset()
        self.baseTime = baseTime
        if resource == Resource() { return }
        self.resource.write(varint: UInt64(ref(resource.schemaURL).index))
        self.resource.write(varint: UInt64(resource.droppedAttributes))
        swap(&self.resource, &scratch)
        writeAttributes(resource.attributes)
        swap(&self.resource, &scratch)
        precondition(!record.failed, "a resource that passes a limit")
        commitTables()
        countTables()
    }

    /// Counts what scopes, metrics, bounds and the resource take, and the header and what stands
    /// before the sections' entries: 1 + 4 + 3 bytes at most.
    mutating func countTables() {
        tableBytes =
            BatchHeader.byteCount + 7 * 8 + scopes.bytes.count + metrics.bytes.count
            + boundsTable.bytes.count + resource.count
    }

    @inline(__always)
    mutating func commitTables() {
        committedStrings = strings.count
        committedStringBytes = strings.bytes.count
        committedTraces = traces.count
        committedValues = valueCount
        committedLongTexts = longTexts
    }

    /// Forgets the batch and keeps the memory. Known texts, scopes and metrics must be interned
    /// again.
    package mutating func reset() {
        records.removeAll()
        strings.removeAll()
        traces.removeAll()
        scopes.removeAll()
        metrics.removeAll()
        boundsTable.removeAll()
        resource.removeAll()
        scratch.removeAll()
        record = OpenRecord()
        isEntryOpen = false
        recordCount = 0
        valueCount = 0
        longTexts = 0
        lastTrace = .zero
        lastTraceIndex = 0
        commitTables()
        countTables()
    }

    /// Writes the batch behind what `output` holds. The builder keeps its content until `reset`
    /// or `begin`.
    package func finish(
        sequence: UInt64, samplingThreshold: UInt64 = 0, dropped: DroppedCounts = DroppedCounts(),
        into output: inout ByteWriter
    ) {
        precondition(!record.isOpen, "a record is open")
        output.reserve(byteCount)
        let header = BatchHeader(
            recordCount: UInt32(recordCount), producer: producer, sequence: sequence,
            baseTime: baseTime, samplingThreshold: samplingThreshold, dropped: dropped)
        header.write(to: &output)
        BatchBuilder.write(strings, SectionKind.strings, &output)
        BatchBuilder.write(traces, SectionKind.traces, &output)
        if resource.count > 0 {
            output.write(uint8: SectionKind.resource)
            output.write(varint: UInt64(resource.count))
            output.write(bytes: resource.span)
        }
        BatchBuilder.write(scopes, SectionKind.scopes, &output)
        BatchBuilder.write(metrics, SectionKind.metrics, &output)
        BatchBuilder.write(boundsTable, SectionKind.bounds, &output)
        if records.count > 0 {
            output.write(uint8: SectionKind.records)
            output.write(varint: UInt64(records.count))
            output.write(bytes: records.span)
        }
    }

    /// The batch in an array of its own.
    package func finish(
        sequence: UInt64, samplingThreshold: UInt64 = 0, dropped: DroppedCounts = DroppedCounts()
    ) -> [UInt8] {
        var output = ByteWriter(capacity: byteCount)
        finish(
            sequence: sequence, samplingThreshold: samplingThreshold, dropped: dropped,
            into: &output)
        return output.bytes
    }

    private static func write(
        _ table: borrowing EntryTable, _ kind: UInt8, _ output: inout ByteWriter
    ) {
        if table.count == 0 { return }
        output.write(uint8: kind)
        let size = ByteWriter.size(varint: UInt64(table.count)) + table.bytes.count
        output.write(varint: UInt64(size))
        output.write(varint: UInt64(table.count))
        output.write(bytes: table.bytes.span)
    }

    // MARK: The end of a record

    /// Ends the open record; undoes it if it passed a limit or the batch has no room for it.
    @discardableResult
    package mutating func endRecord() -> AppendResult { finishRecord() }

    @inline(__always)
    mutating func finishRecord() -> AppendResult {
        precondition(record.isOpen, "no record is open")
        closeParts()
        if record.bits != record.writtenBits {
            records.patch(
                varint: record.bits, at: record.start + 2,
                size: ByteWriter.size(varint: record.writtenBits))
        }
        let length = records.count &- record.start &- 2
        records.patch(
            varint: UInt64(truncatingIfNeeded: length), at: record.start &+ 1, size: 1)
        let isFull =
            bytes > bytesMax || recordCount == BatchLimits.recordsMax
            || strings.count > BatchLimits.stringsMax || traces.count > BatchLimits.tracesMax
            || valueCount > BatchLimits.valuesMax
            || longTexts > BatchLimits.unfoldedBytesMax / 2
        if record.failed || isFull {
            let result: AppendResult =
                record.failed || recordCount == 0 ? .refused : .batchFull
            abandonRecord()
            return result
        }
        recordCount &+= 1
        record.isOpen = false
        commitTables()
        return .appended
    }

    /// Undoes the open record and all references made since the last one. Scopes, metrics and
    /// bounds that were interned for it stay.
    package mutating func abandonRecord() {
        if record.isOpen { records.truncate(to: record.start) }
        strings.removeAll(after: committedStrings, bytes: committedStringBytes)
        traces.removeAll(after: committedTraces, bytes: committedTraces * 16)
        valueCount = committedValues
        longTexts = committedLongTexts
        lastTrace = .zero
        lastTraceIndex = 0
        record = OpenRecord()
    }

    /// Takes note of a record that is about to be written at the end.
    @inline(__always)
    mutating func openRecord(_ bits: UInt64, attributes: UInt64, scope: Int, time: UInt64) {
        precondition(!record.isOpen, "a record is open")
        record.isOpen = true
        record.start = records.count
        record.bits = bits
        record.writtenBits = bits
        record.attributesBit = attributes
        record.scope = scope
        record.time = time
        record.stage = 0
    }

    /// Opens a record and writes its type, a length to be patched, and the flags known so far.
    mutating func beginRecord(
        _ type: UInt8, bits: UInt64, attributes: UInt64, scope: Int, time: UInt64
    ) {
        openRecord(bits, attributes: attributes, scope: scope, time: time)
        records.write(upTo: 12) {
            $0.write(uint8: type)
            $0.write(uint8: 0)
            $0.write(varint: bits)
        }
    }

    /// Closes the attributes, writes the scope behind them, closes events, links or exemplars.
    @inline(__always)
    mutating func closeParts() {
        if record.list.isOpen { closeAttributes() }
        if record.scope != 0 {
            records.write(varint: UInt64(record.scope))
            record.scope = 0
        }
        if record.parts.isOpen { closeList() }
    }

    /// Goes on to a later optional field of the record.
    mutating func advance(to stage: UInt8, bit: UInt64) {
        precondition(record.isOpen && stage > record.stage, "a field out of order")
        closeParts()
        record.stage = stage
        record.bits |= bit
    }

    /// Begins an event, link or exemplar: the list of them, if it is the first.
    mutating func beginPart(stage: UInt8, bit: UInt64) {
        precondition(record.nestedStart < 0, "an event, link or exemplar is open")
        if record.stage != stage {
            advance(to: stage, bit: bit)
            record.parts.start = records.count
            records.write(uint8: 0)
        }
        record.parts.count += 1
        record.nestedStart = records.count
        record.nestedBits = 0
        records.write(uint8: 0)
    }

    /// Ends it: its flags are known now.
    mutating func endPart(bits: UInt8) {
        if record.list.isOpen { closeAttributes() }
        precondition(record.nestedStart >= 0, "no event, link or exemplar is open")
        records.patch(uint8: record.nestedBits | bits, at: record.nestedStart)
        record.nestedStart = -1
    }

    mutating func closeList() {
        precondition(record.nestedStart < 0, "an event, link or exemplar is open")
        records.patch(varint: UInt64(record.parts.count), at: record.parts.start, size: 1)
        if record.parts.count > BatchLimits.eventsMax { record.failed = true }
        record.parts = OpenList()
    }
}

/// What the builder knows of the record that it writes.
struct OpenRecord: BitwiseCopyable, Sendable {
    var isOpen = false
    /// Whether a limit was passed.
    var failed = false
    /// Which optional field may come next, so that calls out of order are found.
    var stage: UInt8 = 0
    var attributesBit: UInt64 = 0
    var start = 0
    var bits: UInt64 = 0
    var writtenBits: UInt64 = 0
    var scope = 0
    /// The time that nested times count from.
    var time: UInt64 = 0
    var list = OpenList()
    var parts = OpenList()
    /// Where the open event's, link's or exemplar's flags stand; −1 if none is open.
    var nestedStart = -1
    var nestedBits: UInt8 = 0

    init() {}
}

/// A counted list whose count is patched when it ends.
struct OpenList: BitwiseCopyable, Sendable {
    /// Where the count stands; −1 if no list is open.
    var start = -1
    var count = 0

    var isOpen: Bool { start >= 0 }

    init() {}
}

/// Where a known text stands in the open batch, and the text that it last was the key of.
///
/// Most keys have the same value again and again (session, model). Two `String`s with equal bits
/// are equal as long as one of them is kept alive: `BatchBuilder.lastValues` does.
struct KnownPlace: BitwiseCopyable, Sendable {
    /// `epoch << 32 | index`.
    var place: UInt64 = 0
    /// The same of the last value.
    var valuePlace: UInt64 = 0
    /// The bits of the last value's `String`.
    var value: (UInt64, UInt64) = (0, 0)
    /// How often in a row the value was another; a key whose value always changes is left alone.
    var misses = 0

    static let missesMax = 8
    /// Longer values are not kept alive.
    static let valueBytesMax = 128
}
