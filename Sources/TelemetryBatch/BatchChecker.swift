import ByteCoding

/// One pass over a batch's sections, with what later sections may refer to.
struct BatchChecker: ~Escapable {
    var reader: ByteReader
    var layout = BatchLayout()
    var summary: BatchSummary
    /// A bit for each string entry that is bytes, made at the first such entry.
    private var binaryEntries: [UInt64] = []
    /// The kind of each metric, for the points that refer to it.
    private var metricKinds: [UInt8] = []
    private var valueCount = 0
    private var unfolded = UnfoldedBytes()

    @_lifetime(copy reader)
    init(_ reader: ByteReader, _ header: BatchHeader) {
        self.reader = reader
        summary = BatchSummary(header: header)
    }

    mutating func checkSections() throws(BatchError) {
        var previous: UInt8 = 0
        while !reader.isAtEnd {
            let start = reader.position
            let kind = try reader.uint8("section kind")
            if kind <= previous { throw BatchError(.badSection, at: start, "section kind") }
            previous = kind
            let outer = reader.enter(try reader.length("section length"))
            switch kind {
            case SectionKind.strings: try checkStrings()
            case SectionKind.traces: try checkTraces()
            case SectionKind.resource: try checkResource()
            case SectionKind.scopes: try checkScopes()
            case SectionKind.metrics: try checkMetrics()
            case SectionKind.bounds: try checkBounds()
            case SectionKind.records: try checkRecords()
            default: break
            }
            reader.leave(to: outer)
        }
        let found = summary.spans + summary.logs + summary.points + summary.others
        if found != summary.header.recordCount {
            throw BatchError(.countMismatch, at: 4, "record count")
        }
    }

    // MARK: Tables

    private mutating func section(_ count: Int) -> BatchLayout.Section {
        BatchLayout.Section(start: reader.position, end: reader.end, count: count)
    }

    private mutating func checkStrings() throws(BatchError) {
        let count = try reader.count(BatchLimits.stringsMax, "string count")
        layout.strings = section(count)
        // An entry takes a byte at least.
        unfolded.strings.reserveCapacity(min(count, reader.remaining))
        for index in 0..<count {
            let start = reader.position
            let field = try reader.varint("string length")
            let length = field >> 1
            if length > BatchLimits.stringBytesMax {
                throw BatchError(.limitExceeded, at: start, "string length")
            }
            let content = reader.position
            try reader.pass(Int(length), "string")
            unfolded.strings.append(UInt32(truncatingIfNeeded: length))
            if field & 1 != 0 {
                if binaryEntries.isEmpty {
                    binaryEntries = [UInt64](repeating: 0, count: (count + 63) / 64)
                }
                binaryEntries[index >> 6] |= 1 << UInt64(index & 63)
            } else if !isUTF8(reader.bytes.extracting(content..<reader.position)) {
                throw BatchError(.badText, at: content, "string")
            }
        }
    }

    private mutating func checkTraces() throws(BatchError) {
        let count = try reader.count(BatchLimits.tracesMax, "trace count")
        layout.traces = section(count)
        if reader.remaining < count * 16 {
            throw BatchError(.truncated, at: reader.position, "trace ids")
        }
        summary.traceIDs.reserveCapacity(count)
        for _ in 0..<count { summary.traceIDs.append(try reader.id128("trace id")) }
    }

    private mutating func checkResource() throws(BatchError) {
        layout.resource = section(1)
        let start = reader.position
        try checkText("resource schema URL")
        _ = try reader.word("resource dropped attributes")
        try checkAttributes("resource attributes")
        try checkContainer(since: 0, at: start, "resource")
    }

    private mutating func checkScopes() throws(BatchError) {
        let count = try reader.count(BatchLimits.scopesMax, "scope count")
        layout.scopes = section(count)
        for _ in 0..<count {
            let outer = reader.enter(try reader.length("scope length"))
            let start = reader.position
            let before = unfolded.total
            try checkText("scope name")
            try checkText("scope version")
            try checkText("scope schema URL")
            _ = try reader.word("scope dropped attributes")
            try checkAttributes("scope attributes")
            try checkContainer(since: before, at: start, "scope")
            unfolded.scopes.append(unfolded.total - before)
            reader.leave(to: outer)
        }
    }

    private mutating func checkMetrics() throws(BatchError) {
        let count = try reader.count(BatchLimits.metricsMax, "metric count")
        layout.metrics = section(count)
        for _ in 0..<count {
            let outer = reader.enter(try reader.length("metric length"))
            let start = reader.position
            let flags = try reader.varint("metric flags")
            guard let kind = MetricKind(rawValue: UInt8(flags & 7)), flags >> 3 & 3 != 3 else {
                throw BatchError(.badValue, at: start, "metric flags")
            }
            metricKinds.append(kind.rawValue)
            let before = unfolded.total
            try checkText("metric name")
            try checkText("metric description")
            try checkText("metric unit")
            let scope = try checkIndex(layout.scopes.count, "metric scope")
            if flags & MetricBit.metadata != 0 { try checkAttributes("metric metadata") }
            try checkContainer(since: before, at: start, "metric")
            unfolded.take(scope: scope)
            unfolded.metrics.append(unfolded.total - before)
            reader.leave(to: outer)
        }
    }

    /// What is written again and again has a limit of its own.
    private func checkContainer(
        since before: Int, at start: Int, _ what: StaticString
    ) throws(BatchError) {
        if unfolded.total - before > BatchLimits.unfoldedContainerBytesMax {
            throw BatchError(.limitExceeded, at: start, what)
        }
    }

    private mutating func checkBounds() throws(BatchError) {
        let count = try reader.count(BatchLimits.boundsMax, "bounds count")
        layout.bounds = section(count)
        for _ in 0..<count {
            let bounds = try reader.count(BatchLimits.boundsInOneMax, "bounds in one")
            try reader.pass(bounds * 8, "bounds")
            unfolded.bounds.append(bounds * 8)
        }
    }

    // MARK: Records

    private mutating func checkRecords() throws(BatchError) {
        layout.records = section(0)
        var left = BatchLimits.recordsMax
        while !reader.isAtEnd {
            if left == 0 { throw BatchError(.limitExceeded, at: reader.position, "records") }
            left -= 1
            let type = try reader.uint8("record type")
            let outer = reader.enter(try reader.length("record length"))
            switch type {
            case RecordType.span: try checkSpan()
            case RecordType.log: try checkLog()
            case RecordType.number, RecordType.histogram, RecordType.exponential,
                RecordType.summary:
                try checkPoint(type)
            default: summary.others += 1
            }
            if unfolded.total > BatchLimits.unfoldedBytesMax {
                throw BatchError(.limitExceeded, at: reader.position, "what is referred to")
            }
            reader.leave(to: outer)
        }
    }

    /// Widens the batch's time range; 0 means that no time was given.
    @inline(__always)
    mutating func note(_ time: UInt64) {
        if time == 0 { return }
        if time < summary.earliest || summary.earliest == 0 { summary.earliest = time }
        if time > summary.latest { summary.latest = time }
    }

    // MARK: Fields

    @inline(__always) @discardableResult
    mutating func checkIndex(_ count: Int, _ what: StaticString) throws(BatchError) -> Int {
        let start = reader.position
        let index = try reader.varint(what)
        if index > UInt64(count) { throw BatchError(.badReference, at: start, what) }
        return Int(truncatingIfNeeded: index)
    }

    /// The scope that a record names.
    @inline(__always)
    mutating func checkScope(_ what: StaticString) throws(BatchError) {
        unfolded.enter(scope: try checkIndex(layout.scopes.count, what))
    }

    /// A record that has no scope.
    @inline(__always)
    mutating func leaveScope() { unfolded.enter(scope: 0) }

    mutating func checkPointBounds() throws(BatchError) {
        unfolded.take(bounds: try checkIndex(layout.bounds.count, "point bounds"))
    }

    mutating func take(buckets count: UInt64) { unfolded.take(buckets: count) }

    @inline(__always)
    mutating func checkText(_ what: StaticString) throws(BatchError) {
        let start = reader.position
        let index = try reader.varint(what)
        if index > UInt64(layout.strings.count) {
            throw BatchError(.badReference, at: start, what)
        }
        if !binaryEntries.isEmpty, isBinary(index) {
            throw BatchError(.badReference, at: start, what)
        }
        unfolded.take(string: Int(truncatingIfNeeded: index))
    }

    private func isBinary(_ index: UInt64) -> Bool {
        if index == 0 { return false }
        let entry = Int(index) - 1
        return binaryEntries[entry >> 6] >> UInt64(entry & 63) & 1 != 0
    }

    private mutating func checkBytes() throws(BatchError) {
        let start = reader.position
        let index = try reader.varint("bytes value")
        let isKnown = index <= UInt64(layout.strings.count)
        if !isKnown || index > 0 && (binaryEntries.isEmpty || !isBinary(index)) {
            throw BatchError(.badReference, at: start, "bytes value")
        }
        unfolded.take(string: Int(truncatingIfNeeded: index))
    }

    mutating func metricKind() throws(BatchError) -> UInt8 {
        let start = reader.position
        let index = try reader.varint("metric")
        if index == 0 || index > UInt64(metricKinds.count) {
            throw BatchError(.badReference, at: start, "metric")
        }
        unfolded.enter(metric: Int(index))
        return metricKinds[Int(index) - 1]
    }

    mutating func checkAttributes(_ what: StaticString) throws(BatchError) {
        let count = try reader.count(BatchLimits.attributesMax, what)
        for _ in 0..<count {
            try checkText("attribute key")
            try checkValue(depth: 0)
        }
    }

    @inline(__always)
    mutating func checkValue(depth: Int) throws(BatchError) {
        let start = reader.position
        valueCount += 1
        if valueCount > BatchLimits.valuesMax {
            throw BatchError(.limitExceeded, at: start, "values")
        }
        let tag = try reader.uint8("value tag")
        switch tag {
        case ValueTag.string: try checkText("string value")
        case ValueTag.integer: _ = try reader.varint("integer value")
        case ValueTag.double: try reader.pass(8, "double value")
        case ValueTag.none, ValueTag.no, ValueTag.yes: break
        case ValueTag.bytes: try checkBytes()
        case ValueTag.array, ValueTag.map:
            try checkNested(isMap: tag == ValueTag.map, depth: depth + 1, at: start)
        default: throw BatchError(.badValue, at: start, "value tag")
        }
    }

    private mutating func checkNested(
        isMap: Bool, depth: Int, at start: Int
    ) throws(BatchError) {
        if depth > BatchLimits.nestingMax {
            throw BatchError(.limitExceeded, at: start, "nesting")
        }
        let count = try reader.count(BatchLimits.attributesMax, "nested values")
        for _ in 0..<count {
            if isMap { try checkText("map key") }
            try checkValue(depth: depth)
        }
    }
}
