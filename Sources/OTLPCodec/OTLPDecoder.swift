import ByteCoding
package import TelemetryBatch

/// Turns requests into batches, in one pass over the bytes and without an object for a record.
///
/// Takes hostile bytes: what is nested, long or numerous is checked before it is followed, and memory is
/// bounded by a small multiple of the request. Keeps its memory from request to request. Each record is
/// written where it will stand; records of equal resources go into one batch, until it is full.
package struct OTLPDecoder: ~Copyable, Sendable {
    var builder: BatchBuilder
    var result = DecodedRequest()
    var work = Work()
    /// Keys and values of the last sixteen attributes of the last record of its sort, of sixteen sorts: records
    /// of one name and with as many attributes most often have the same keys, and many of the same values.
    var recentTexts = InlineArray<512, RecentText>(repeating: RecentText())
    private var json = JSONTranscoder()
    /// Buckets, bounds and quantiles of the point that is read.
    var numbers = PointNumbers()

    /// Bytes of JSON's other form that are kept for the next request.
    private static let keptBytesMax = 1_048_576

    /// What is known of the place in the request.
    struct Work: Sendable {
        /// The next batch's sequence.
        var sequence: UInt64 = 1
        /// Whether the builder has a batch, and what of the request it has in it.
        var isOpen = false
        var scopeIndex: Int?
        var metricIndex: Int?
        /// Whether the resource, scope or metric passes a limit, and its records are left out.
        var isRefused = false
        var isResourceRefused = false
        /// Why it is.
        var refusal = RejectionReason.container
        var isScopeRefused = false
        /// What the next record belongs to, as places in the bytes.
        var resource = 0..<0
        var resourceSchema = 0..<0
        var scope = 0..<0
        var scopeSchema = 0..<0
        var metric = MetricFields()
        /// The place of the newest record in the bytes.
        var position = 0
        /// The records seen so far, those left out included.
        var records: UInt64 = 0
        /// The open batch's earliest and latest time, 0 if none.
        var earliest: UInt64 = 0
        var latest: UInt64 = 0
        var spans: UInt32 = 0
        var logs: UInt32 = 0
        var points: UInt32 = 0
        /// Why the record that is being written cannot be, if it cannot.
        var reason = RejectionReason.limit
    }

    /// What all batches of a request may cost.
    private let requestBytesMax: Int
    /// Of this agent: records whose resource has it went out here and came back.
    let ownMark: HopMark?

    /// A decoder. `bytesMax`: the size above which a batch takes no more records; `requestBytesMax`: what all
    /// batches of a request may cost. Records with `ownMark` are left out.
    package init(
        bytesMax: Int = BatchLimits.batchBytesMax,
        requestBytesMax: Int = OTLP.requestBatchBytesMax, ownMark: HopMark? = nil
    ) {
        self.ownMark = ownMark
        self.requestBytesMax = requestBytesMax
        builder = BatchBuilder(producer: .zero, bytesMax: bytesMax, isHostile: true)
    }

    /// Decodes a request. The batches name `producer` and are numbered from `sequence`; neither may be 0.
    /// Throws if the bytes are not a request at all: then nothing of it is taken.
    package mutating func decode(
        _ bytes: RawSpan, signal: OTLPSignal, encoding: OTLPEncoding, producer: ProducerID,
        sequence: UInt64
    ) throws(OTLPError) -> DecodedRequest {
        precondition(!producer.isZero && sequence > 0, "a batch without producer or sequence")
        if encoding == .protobuf {
            return try decode(bytes, signal, producer, sequence)
        }
        do throws(TranscodingError) {
            try json.transcode(bytes, as: signal.request)
        } catch {
            throw OTLPError(error)
        }
        // The writer is lent to the pass over it.
        var writer = ByteWriter(capacity: 16)
        swap(&writer, &json.output)
        defer {
            // A large request is rare: its memory is not kept for the next.
            if writer.capacity <= OTLPDecoder.keptBytesMax { swap(&writer, &json.output) }
        }
        var decoded = try decode(writer.span, signal, producer, sequence)
        decoded.rejections.add(json.rejections)
        decoded.unknownFields.add(json.unknownFields)
        decoded.repairedTexts += json.repairedTexts
        return decoded
    }

    private mutating func decode(
        _ bytes: RawSpan, _ signal: OTLPSignal, _ producer: ProducerID, _ sequence: UInt64
    ) throws(OTLPError) -> DecodedRequest {
        builder.reset()
        builder.producer = producer
        result = DecodedRequest()
        work = Work()
        work.sequence = sequence
        do throws(ByteError) {
            let resources = try findResources(bytes, signal)
            if resources.count <= OTLP.resourcesMax {
                try decode(resources, bytes, signal)
            } else {
                result.overflow = OTLPError(
                    "more than \(OTLP.resourcesMax) resources",
                    at: resources[OTLP.resourcesMax].content.lowerBound, isTooLarge: true)
            }
        } catch {
            throw OTLPError(error)
        }
        flush()
        if let overflow = result.overflow {
            result = DecodedRequest()
            throw overflow
        }
        let decoded = result
        result = DecodedRequest()
        return decoded
    }

    // MARK: Batches

    /// Finishes the open batch, if it has records.
    mutating func flush() {
        defer { work.isOpen = false }
        guard work.isOpen, !builder.isEmpty else { return }
        let payload = builder.finish(sequence: work.sequence)
        var summary = BatchSummary(
            header: BatchHeader(
                recordCount: UInt32(builder.recordCount), producer: builder.producer,
                sequence: work.sequence, baseTime: builder.baseTime))
        summary.spans = work.spans
        summary.logs = work.logs
        summary.points = work.points
        summary.earliest = work.earliest
        summary.latest = work.latest
        summary.traceIDs = builder.traceIDs()
        result.byteCount += payload.count + OTLP.batchCost
        guard result.byteCount <= requestBytesMax else {
            result.overflow = OTLPError(
                "more than \(requestBytesMax) bytes as batches", at: work.position,
                isTooLarge: true)
            result.batches = []
            return
        }
        result.accepted += UInt64(builder.recordCount)
        result.batches.append(DecodedBatch(payload: payload, summary: summary))
        work.sequence += 1
    }

    /// Sees to it that the batch has the resource and the scope of the next record. False if they pass a
    /// limit.
    mutating func prepare(_ bytes: RawSpan, time: UInt64) throws(ByteError) -> Bool {
        if work.isRefused { return false }
        if !work.isOpen {
            builder.begin(baseTime: time)
            work.isOpen = true
            work.scopeIndex = nil
            work.metricIndex = nil
            (work.earliest, work.latest) = (0, 0)
            (work.spans, work.logs, work.points) = (0, 0, 0)
            if try !writeResource(bytes) {
                work.isOpen = false
                work.isResourceRefused = true
                work.isRefused = true
                return false
            }
        }
        if work.scopeIndex != nil { return true }
        work.scopeIndex = try writeScope(bytes)
        if work.scopeIndex != nil { return true }
        if builder.isEmpty {
            work.isScopeRefused = true
            work.isRefused = true
            return false
        }
        // The table may be full.
        flush()
        return try prepare(bytes, time: time)
    }

    /// Ends the open record. True if it must be written again, into the next batch.
    mutating func endRecord() -> Bool {
        switch builder.endRecord() {
        case .appended: return false
        case .batchFull:
            flush()
            return true
        case .refused:
            reject(work.reason)
            // What it left in the tables must not crowd out the next.
            if builder.isEmpty, builder.byteCount > builder.bytesMax / 2 { work.isOpen = false }
            return false
        }
    }

    mutating func reject(_ reason: RejectionReason) {
        result.rejections.note(reason, record: work.records)
    }

    /// Widens the open batch's time range; 0 means that no time was given.
    @inline(__always)
    mutating func note(time: UInt64) {
        if time == 0 { return }
        if time < work.earliest || work.earliest == 0 { work.earliest = time }
        if time > work.latest { work.latest = time }
    }
}
