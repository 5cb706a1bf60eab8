import ByteCoding
import TelemetryBatch

// Numbers in lists.
extension ByteReader {
    /// Reads fixed-width integers, packed or one. False if they are more than a batch may hold.
    mutating func appendWords(
        to words: inout [UInt64], _ tag: UInt64
    ) throws(ByteError) -> Bool {
        if tag & 7 == WireType.fixed64 {
            words.append(try readUInt64())
        } else {
            let outer = try enterField()
            defer { leave(to: outer) }
            if remaining / 8 > BatchLimits.bucketsMax { return false }
            while !isAtEnd { words.append(try readUInt64()) }
        }
        if words.count <= BatchLimits.bucketsMax { return true }
        words.removeAll(keepingCapacity: true)
        return false
    }

    /// Reads doubles, packed or one. False if they are more than a batch may hold.
    mutating func appendDoubles(
        to doubles: inout [Double], _ tag: UInt64
    ) throws(ByteError) -> Bool {
        if tag & 7 == WireType.fixed64 {
            doubles.append(try readDouble())
        } else {
            let outer = try enterField()
            defer { leave(to: outer) }
            if remaining / 8 > BatchLimits.boundsInOneMax { return false }
            while !isAtEnd { doubles.append(try readDouble()) }
        }
        if doubles.count <= BatchLimits.boundsInOneMax { return true }
        doubles.removeAll(keepingCapacity: true)
        return false
    }
}

// What stands in lists within points.
extension OTLPDecoder {
    /// Reads one side of an exponential histogram.
    mutating func readSide(
        _ offset: inout Int32?, isNegative: Bool, _ isTooLong: inout Bool,
        _ reader: inout ByteReader
    ) throws(ByteError) {
        if offset == nil { offset = 0 }
        var counts: [UInt64] = []
        takeCounts(&counts, isNegative)
        defer { takeCounts(&counts, isNegative) }
        let outer = try reader.enterField()
        while !reader.isAtEnd {
            let tag = try reader.readVarint()
            switch tag {
            case 0x08: offset = Int32(truncatingIfNeeded: try reader.readZigzag())
            case 0x10: counts.append(try reader.readVarint())
            case 0x12:
                let list = try reader.enterField()
                while !reader.isAtEnd, counts.count <= BatchLimits.bucketsMax {
                    counts.append(try reader.readVarint())
                }
                reader.leave(to: list)
            default: try skipUnknown(tag, .buckets, &reader)
            }
            if counts.count > BatchLimits.bucketsMax {
                isTooLong = true
                counts.removeAll(keepingCapacity: true)
            }
        }
        reader.leave(to: outer)
    }

    private mutating func takeCounts(_ counts: inout [UInt64], _ isNegative: Bool) {
        if isNegative {
            swap(&counts, &numbers.negativeCounts)
        } else {
            swap(&counts, &numbers.counts)
        }
    }

    /// Reads the `ValueAtQuantile` that the reader is confined to.
    mutating func readQuantile(_ reader: inout ByteReader) throws(ByteError) {
        var entry = (quantile: 0.0, value: 0.0)
        while !reader.isAtEnd {
            let tag = try reader.readVarint()
            switch tag {
            case 0x09: entry.quantile = try reader.readDouble()
            case 0x11: entry.value = try reader.readDouble()
            default: try skipUnknown(tag, .quantile, &reader)
            }
        }
        numbers.quantiles.append(entry)
    }

    mutating func writeExemplars(
        _ run: FieldRun, _ tag: UInt64, end: Int, _ bytes: RawSpan
    ) throws(ByteError) {
        if run.count > BatchLimits.exemplarsMax { return builder.refuse() }
        var left = run.count
        var reader = ByteReader(bytes, in: run.start..<end)
        while left > 0 {
            let found = try reader.readVarint()
            if found != tag {
                try reader.skipField(found)
                continue
            }
            left -= 1
            let outer = try reader.enterField()
            try writeExemplar(&reader)
            reader.leave(to: outer)
            if left & 31 == 0, builder.isOverfull() { return }
        }
    }

    private mutating func writeExemplar(_ reader: inout ByteReader) throws(ByteError) {
        var time: UInt64 = 0
        var value = NumberValue.none
        var trace = ReadID()
        var span = ReadID()
        var attributes = FieldRun()
        while !reader.isAtEnd {
            let start = reader.position
            let tag = try reader.readVarint()
            switch tag {
            case 0x11: time = try reader.readUInt64()
            case 0x19: value = .double(try reader.readDouble())
            case 0x31: value = .int(Int64(bitPattern: try reader.readUInt64()))
            case 0x22: span = try ReadID.span(&reader)
            case 0x2A: trace = try ReadID.trace(&reader)
            case 0x3A:
                attributes.note(start)
                _ = try reader.readRange()
            default: try skipUnknown(tag, .exemplar, &reader)
            }
        }
        if trace.isWrong || span.isWrong {
            work.reason = trace.isWrong ? .traceID : .spanID
            builder.refuse()
        }
        builder.beginExemplar(time: time)
        try writeAttributes(attributes, 0x3A, end: reader.end, reader.bytes)
        builder.endExemplar(
            value, trace: TraceID(high: trace.high, low: trace.low),
            span: SpanID(rawValue: span.low))
    }
}
