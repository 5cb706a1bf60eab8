package import ByteCoding
package import TelemetryBatch

/// Writes batches as an export request, record by record and without an object for one.
///
/// Each batch becomes a `ResourceSpans` (or its sister) with a `ScopeSpans` for every run of records of
/// one scope. Keeps its memory from request to request.
package struct OTLPEncoder: ~Copyable, Sendable {
    /// What the request carries: records of other signals are passed over.
    package let signal: OTLPSignal
    /// Whether spans named `codex.…` get the attribute `duration_ms` if they have none.
    package let addsDurations: Bool
    /// The number of records in the request.
    package internal(set) var recordCount = 0
    /// Added to every resource, nil for none.
    package let mark: HopMark?
    var output = ByteWriter(capacity: 4_096)

    /// An encoder with an empty request.
    package init(signal: OTLPSignal, addsDurations: Bool = true, mark: HopMark? = nil) {
        self.signal = signal
        self.mark = mark
        self.addsDurations = addsDurations
    }

    /// The request in protobuf.
    package var protobuf: RawSpan {
        @_lifetime(borrow self)
        get { output.span }
    }

    /// The number of bytes of the request in protobuf.
    package var byteCount: Int { output.count }

    /// Forgets the request and keeps the memory.
    package mutating func removeAll() {
        output.removeAll()
        recordCount = 0
    }

    /// Appends the records of this signal whose places in the batch are in a range. Returns how many those
    /// are; if there are none nothing is written.
    @discardableResult
    package mutating func append(_ batch: Batch, records: Range<Int> = 0..<Int.max) -> Int {
        append(batch, ranges: CollectionOfOne(records))
    }

    /// The same of ranges that rise and are apart. The resource is written once, a scope once in each run of its records:
    /// whoever leaves out every other record does not make more of a batch than there was.
    @discardableResult
    package mutating func append(
        _ batch: Batch, ranges: some RandomAccessCollection<Range<Int>>
    ) -> Int {
        var ranges = ranges[...]
        let payload = batch.bytes
        let bytes = payload.span.bytes
        var request = BatchEncoding(batch: batch, addsDurations: addsDurations)
        let start = output.count
        let room = ByteWriter.size(varint: UInt64(payload.count) * 4)
        let place = output.open(0x0A, room: room)
        request.scopeRoom = room
        output.writeResource(batch.resource, batch, bytes, mark)
        for place in batch.places {
            while let range = ranges.first, range.upperBound <= place.index {
                ranges = ranges.dropFirst()
            }
            guard let range = ranges.first else { break }
            if place.index < range.lowerBound { continue }
            switch signal {
            case .traces:
                if place.isSpan {
                    request.write(batch.fields(ofSpanAt: place), bytes, to: &output)
                }
            case .logs:
                if place.isLog { request.write(batch.log(at: place), bytes, to: &output) }
            case .metrics:
                if place.isPoint { request.write(batch.point(at: place), bytes, to: &output) }
            }
        }
        if request.records == 0 {
            output.truncate(to: start)
            return 0
        }
        request.closeMetric(&output, bytes)
        request.closeScope(&output, bytes)
        let schema = batch.resource.schemaURL
        output.field(0x1A, bytes: bytes.extracting(batch.range(schema)))
        output.close(place, room: room)
        recordCount += request.records
        return request.records
    }
}

/// The place in a batch that is being encoded.
struct BatchEncoding {
    let batch: Batch
    let addsDurations: Bool
    /// The reference of `duration_ms` in the batch, if it has the text.
    private(set) var durationKey: TextRef?
    var records = 0
    /// The size of a length that a scope's records are expected to have.
    var scopeRoom = 1
    /// The scope and the metric that are open, and where their lengths go.
    var scope: Int?
    var scopePlace = 0
    var metric: MetricView?
    var metricPlace = 0
    var dataPlace = 0

    init(batch: Batch, addsDurations: Bool) {
        self.batch = batch
        self.addsDurations = addsDurations
        if addsDurations { durationKey = batch.ref(of: "duration_ms") }
    }

    /// Sees to it that the records' scope is open.
    @inline(__always)
    mutating func open(scope index: Int, _ bytes: RawSpan, _ output: inout ByteWriter) {
        if scope != index { change(scope: index, bytes, &output) }
        records &+= 1
    }

    @inline(never)
    private mutating func change(scope index: Int, _ bytes: RawSpan, _ output: inout ByteWriter) {
        closeScope(&output, bytes)
        scope = index
        scopePlace = output.open(0x12, room: scopeRoom)
        if index != 0 { output.writeScope(batch.scope(index), batch, bytes) }
    }

    mutating func closeScope(_ output: inout ByteWriter, _ bytes: RawSpan) {
        guard let scope else { return }
        if scope != 0 {
            let schema = batch.scope(scope).schemaURL
            output.field(0x1A, bytes: bytes.extracting(batch.range(schema)))
        }
        output.close(scopePlace, room: scopeRoom)
        self.scope = nil
    }
}

extension ByteWriter {
    fileprivate mutating func writeResource(
        _ resource: ResourceView, _ batch: Batch, _ bytes: RawSpan, _ mark: HopMark?
    ) {
        if mark == nil, resource.attributes.isEmpty, resource.droppedAttributes == 0 { return }
        let place = open(0x0A, room: 2)
        if let mark {
            writeAttributes(resource.attributes, behind: mark, batch, bytes)
        } else {
            writeAttributes(0x0A, resource.attributes, batch, bytes)
        }
        field(0x10, varint: UInt64(resource.droppedAttributes))
        close(place, room: 2)
    }

    private mutating func writeAttributes(
        _ list: AttributeList, behind mark: HopMark, _ batch: Batch, _ bytes: RawSpan
    ) {
        let before = batch.string(HopMark.key, in: list)
        guard let value = mark.value(behind: before) else {
            return writeAttributes(0x0A, list, batch, bytes)
        }
        let replaced = before == nil ? nil : batch.ref(of: HopMark.key)
        writeAttributes(0x0A, list, batch, bytes, except: replaced)
        let place = open(0x0A)
        explicitField(0x0A, bytes: Array(HopMark.key.utf8).span.bytes)
        let inner = open(0x12)
        explicitField(0x0A, bytes: Array(value.utf8).span.bytes)
        close(inner)
        close(place)
    }

    fileprivate mutating func writeScope(_ scope: ScopeView, _ batch: Batch, _ bytes: RawSpan) {
        let place = open(0x0A)
        field(0x0A, bytes: bytes.extracting(batch.range(scope.name)))
        field(0x12, bytes: bytes.extracting(batch.range(scope.version)))
        writeAttributes(0x1A, scope.attributes, batch, bytes)
        field(0x20, varint: UInt64(scope.droppedAttributes))
        close(place)
    }
}

extension OTLPEncoder {
    /// Writes the request as JSON behind what a writer holds.
    package borrowing func writeJSON(to writer: inout JSONWriter) {
        output.writeJSON(as: signal.request, to: &writer)
    }

    /// The request in an array of its own.
    package borrowing func bytes(_ encoding: OTLPEncoding) -> [UInt8] {
        if encoding == .protobuf { return output.bytes }
        var writer = JSONWriter()
        writeJSON(to: &writer)
        return writer.bytes
    }
}
