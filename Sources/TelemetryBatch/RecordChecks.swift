import ByteCoding

// The bodies of records, field by field in the order of batch.md, "Records".
extension BatchChecker {
    mutating func checkSpan() throws(BatchError) {
        summary.spans += 1
        let start = reader.position
        let bits = try reader.varint("span flags")
        if bits & 7 > 5 || bits >> 3 & 3 == 3 {
            throw BatchError(.badValue, at: start, "span flags")
        }
        try checkIndex(layout.traces.count, "span trace")
        try reader.pass(8, "span id")
        try checkText("span name")
        let time = summary.header.baseTime &+ UInt64(bitPattern: try reader.zigzag("span start"))
        note(time)
        note(time &+ (try reader.varint("span duration")))
        if bits & SpanBit.parent != 0 { try reader.pass(8, "span parent") }
        if bits & SpanBit.attributes != 0 { try checkAttributes("span attributes") }
        if bits & SpanBit.scope != 0 { try checkScope("span scope") } else { leaveScope() }
        if bits >> 8 & 0x3F != 0 { try checkSpanRest(bits) }
    }

    private mutating func checkSpanRest(_ bits: UInt64) throws(BatchError) {
        if bits & SpanBit.statusMessage != 0 { try checkText("span status message") }
        if bits & SpanBit.traceState != 0 { try checkText("span trace state") }
        if bits & SpanBit.flags != 0 { _ = try reader.word("span W3C flags") }
        if bits & SpanBit.events != 0 {
            let count = try reader.count(BatchLimits.eventsMax, "span events")
            for _ in 0..<count { try checkEvent() }
        }
        if bits & SpanBit.links != 0 {
            let count = try reader.count(BatchLimits.eventsMax, "span links")
            for _ in 0..<count { try checkLink() }
        }
        if bits & SpanBit.dropped != 0 {
            _ = try reader.word("span dropped attributes")
            _ = try reader.word("span dropped events")
            _ = try reader.word("span dropped links")
        }
    }

    /// Flags of a nested structure, whose unknown bits are refused.
    private mutating func nestedBits(
        _ known: UInt64, _ what: StaticString
    ) throws(BatchError) -> UInt64 {
        let start = reader.position
        let bits = try reader.varint(what)
        if bits & ~known != 0 { throw BatchError(.badValue, at: start, what) }
        return bits
    }

    private mutating func checkEvent() throws(BatchError) {
        let bits = try nestedBits(EventBit.all, "event flags")
        _ = try reader.varint("event time")
        try checkText("event name")
        if bits & EventBit.attributes != 0 { try checkAttributes("event attributes") }
        if bits & EventBit.dropped != 0 { _ = try reader.word("event dropped attributes") }
    }

    private mutating func checkLink() throws(BatchError) {
        let bits = try nestedBits(LinkBit.all, "link flags")
        try checkIndex(layout.traces.count, "link trace")
        try reader.pass(8, "link span id")
        if bits & LinkBit.attributes != 0 { try checkAttributes("link attributes") }
        if bits & LinkBit.traceState != 0 { try checkText("link trace state") }
        if bits & LinkBit.flags != 0 { _ = try reader.word("link W3C flags") }
        if bits & LinkBit.dropped != 0 { _ = try reader.word("link dropped attributes") }
    }

    mutating func checkLog() throws(BatchError) {
        summary.logs += 1
        let base = summary.header.baseTime
        let bits = try reader.varint("log flags")
        var time: UInt64 = 0
        if bits & LogBit.time != 0 {
            time = base &+ UInt64(bitPattern: try reader.zigzag("log time"))
        }
        if bits & LogBit.trace != 0 { try checkIndex(layout.traces.count, "log trace") }
        if bits & LogBit.span != 0 { try reader.pass(8, "log span id") }
        if bits & LogBit.severity != 0 {
            let start = reader.position
            if try reader.varint("log severity") > 24 {
                throw BatchError(.badValue, at: start, "log severity")
            }
        }
        if bits & LogBit.eventName != 0 { try checkText("log event name") }
        if bits & LogBit.body != 0 { try checkValue(depth: 0) }
        if bits & LogBit.attributes != 0 { try checkAttributes("log attributes") }
        if bits & LogBit.scope != 0 { try checkScope("log scope") } else { leaveScope() }
        if bits & LogBit.observedTime != 0 {
            let observed = base &+ UInt64(bitPattern: try reader.zigzag("log observed time"))
            if time == 0 { time = observed }
        }
        note(time)
        if bits & LogBit.severityText != 0 { try checkText("log severity text") }
        if bits & LogBit.flags != 0 { _ = try reader.word("log W3C flags") }
        if bits & LogBit.dropped != 0 { _ = try reader.word("log dropped attributes") }
    }

    mutating func checkPoint(_ type: UInt8) throws(BatchError) {
        summary.points += 1
        let start = reader.position
        let bits = try reader.varint("point flags")
        let both = PointBit.integer | PointBit.double
        if type == RecordType.number, bits & both == both {
            throw BatchError(.badValue, at: start, "point flags")
        }
        let metricStart = reader.position
        let kind = try metricKind()
        let fits =
            switch type {
            case RecordType.number: kind == 1 || kind == 2
            case RecordType.histogram: kind == 3
            case RecordType.exponential: kind == 4
            default: kind == 5
            }
        if !fits { throw BatchError(.badValue, at: metricStart, "point's metric kind") }
        let difference = UInt64(bitPattern: try reader.zigzag("point time"))
        note(summary.header.baseTime &+ difference)
        try checkPointFixed(type)
        if bits & PointBit.startTime != 0 { _ = try reader.varint("point start time") }
        if bits & PointBit.attributes != 0 { try checkAttributes("point attributes") }
        if bits & PointBit.exemplars != 0 {
            let count = try reader.count(BatchLimits.exemplarsMax, "point exemplars")
            for _ in 0..<count { try checkExemplar() }
        }
        if bits & PointBit.flags != 0 { _ = try reader.word("point flags field") }
        try checkPointRest(type, bits)
    }

    private mutating func checkPointFixed(_ type: UInt8) throws(BatchError) {
        if type == RecordType.number { return }
        _ = try reader.varint("point count")
        switch type {
        case RecordType.histogram:
            try checkPointBounds()
            try checkBuckets()
        case RecordType.exponential:
            try checkInt32("point scale")
            _ = try reader.varint("point zero count")
        default:
            try reader.pass(8, "point sum")
            let count = try reader.count(BatchLimits.exemplarsMax, "point quantiles")
            try reader.pass(count * 16, "point quantiles")
        }
    }

    private mutating func checkPointRest(_ type: UInt8, _ bits: UInt64) throws(BatchError) {
        switch type {
        case RecordType.number:
            if bits & PointBit.integer != 0 { _ = try reader.varint("point integer") }
            if bits & PointBit.double != 0 { try reader.pass(8, "point double") }
        case RecordType.histogram, RecordType.exponential:
            if bits & PointBit.sum != 0 { try reader.pass(8, "point sum") }
            if bits & PointBit.min != 0 { try reader.pass(8, "point min") }
            if bits & PointBit.max != 0 { try reader.pass(8, "point max") }
            if type == RecordType.histogram { return }
            if bits & PointBit.zeroThreshold != 0 { try reader.pass(8, "point zero threshold") }
            if bits & PointBit.positive != 0 { try checkSide() }
            if bits & PointBit.negative != 0 { try checkSide() }
        default: break
        }
    }

    private mutating func checkSide() throws(BatchError) {
        try checkInt32("buckets offset")
        try checkBuckets()
    }

    private mutating func checkInt32(_ what: StaticString) throws(BatchError) {
        let start = reader.position
        if Int32(exactly: try reader.zigzag(what)) == nil {
            throw BatchError(.badValue, at: start, what)
        }
    }

    private mutating func checkBuckets() throws(BatchError) {
        var left = UInt64(try reader.count(BatchLimits.bucketsMax, "bucket count"))
        take(buckets: left)
        while left > 0 {
            let start = reader.position
            if try reader.varint("bucket") != 0 {
                left -= 1
                continue
            }
            let more = try reader.varint("bucket run")
            if more >= left { throw BatchError(.badValue, at: start, "bucket run") }
            left -= more + 1
        }
    }

    private mutating func checkExemplar() throws(BatchError) {
        let start = reader.position
        let bits = try nestedBits(ExemplarBit.all, "exemplar flags")
        let both = ExemplarBit.integer | ExemplarBit.double
        if bits & both == both { throw BatchError(.badValue, at: start, "exemplar flags") }
        _ = try reader.varint("exemplar time")
        if bits & ExemplarBit.attributes != 0 { try checkAttributes("exemplar attributes") }
        if bits & ExemplarBit.trace != 0 {
            try checkIndex(layout.traces.count, "exemplar trace")
        }
        if bits & ExemplarBit.span != 0 { try reader.pass(8, "exemplar span id") }
        if bits & ExemplarBit.integer != 0 { _ = try reader.varint("exemplar integer") }
        if bits & ExemplarBit.double != 0 { try reader.pass(8, "exemplar double") }
    }
}
