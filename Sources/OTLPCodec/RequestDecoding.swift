import ByteCoding
import TelemetryBatch

/// `ResourceSpans` and its sisters: what must be known before their records are read. Their schema's URL
/// stands behind the records.
struct ResourceFields {
    /// All of it.
    var content: Range<Int>
    var resource = 0..<0
    var schema = 0..<0
}

/// A resource by its bytes: equal ones are one.
private struct ResourceKey: Hashable {
    let resource: [UInt8]
    let schema: [UInt8]

    init(_ fields: ResourceFields, _ bytes: RawSpan) {
        resource = ResourceKey.copy(bytes.extracting(fields.resource))
        schema = ResourceKey.copy(bytes.extracting(fields.schema))
    }

    private static func copy(_ bytes: RawSpan) -> [UInt8] { bytes.withUnsafeBytes { Array($0) } }
}

extension OTLPSignal {
    var request: Message {
        switch self {
        case .traces: .traceRequest
        case .logs: .logsRequest
        case .metrics: .metricsRequest
        }
    }

    var resource: Message {
        switch self {
        case .traces: .resourceSpans
        case .logs: .resourceLogs
        case .metrics: .resourceMetrics
        }
    }

    var scope: Message {
        switch self {
        case .traces: .scopeSpans
        case .logs: .scopeLogs
        case .metrics: .scopeMetrics
        }
    }
}

// Requests, resources and scopes, which are alike for all signals.
extension OTLPDecoder {
    /// Finds the request's resources; stops behind the limit.
    mutating func findResources(
        _ bytes: RawSpan, _ signal: OTLPSignal
    ) throws(ByteError) -> [ResourceFields] {
        var resources: [ResourceFields] = []
        var reader = ByteReader(bytes)
        while !reader.isAtEnd, resources.count <= OTLP.resourcesMax {
            let tag = try reader.readVarint()
            if tag == 0x0A {
                resources.append(try findResource(bytes, try reader.readRange(), signal))
            } else {
                try skipUnknown(tag, signal.request, &reader)
            }
        }
        return resources
    }

    private mutating func findResource(
        _ bytes: RawSpan, _ content: Range<Int>, _ signal: OTLPSignal
    ) throws(ByteError) -> ResourceFields {
        var found = ResourceFields(content: content)
        var reader = ByteReader(bytes, in: content)
        while !reader.isAtEnd {
            let tag = try reader.readVarint()
            switch tag {
            case 0x0A: try replace(&found.resource, tag, signal.resource, &reader)
            case 0x12: _ = try reader.readRange()
            case 0x1A: found.schema = try reader.readRange()
            default: try skipUnknown(tag, signal.resource, &reader)
            }
        }
        return found
    }

    /// Reads the place of a message that stands once; of several the last counts, and the others are
    /// counted.
    mutating func replace(
        _ place: inout Range<Int>, _ tag: UInt64, _ message: Message, _ reader: inout ByteReader
    ) throws(ByteError) {
        if !place.isEmpty { result.unknownFields.note(message, number: tag >> 3) }
        place = try reader.readRange()
    }

    /// Decodes the records, those of equal resources one after the other.
    mutating func decode(
        _ resources: [ResourceFields], _ bytes: RawSpan, _ signal: OTLPSignal
    ) throws(ByteError) {
        for group in groups(resources, bytes) {
            flush()
            work.resource = resources[group[0]].resource
            let isOwn = ownMark?.isIn(bytes.extracting(work.resource)) ?? false
            work.isResourceRefused = isOwn
            work.refusal = isOwn ? .loop : .container
            work.resourceSchema = resources[group[0]].schema
            for index in group {
                var reader = ByteReader(bytes, in: resources[index].content)
                while !reader.isAtEnd {
                    let tag = try reader.readVarint()
                    if tag == 0x12 {
                        try decodeScope(bytes, try reader.readRange(), signal)
                    } else {
                        try reader.skipField(tag)
                    }
                }
            }
        }
    }

    /// Which resources are equal, in the order of the first of each.
    private func groups(_ resources: [ResourceFields], _ bytes: RawSpan) -> [[Int]] {
        if resources.count < 2 { return resources.indices.map { [$0] } }
        var known: [ResourceKey: Int] = [:]
        var groups: [[Int]] = []
        for index in resources.indices {
            let key = ResourceKey(resources[index], bytes)
            if let group = known[key] {
                groups[group].append(index)
            } else {
                known[key] = groups.count
                groups.append([index])
            }
        }
        return groups
    }

    private mutating func decodeScope(
        _ bytes: RawSpan, _ content: Range<Int>, _ signal: OTLPSignal
    ) throws(ByteError) {
        var scope = 0..<0
        var schema = 0..<0
        var records = FieldRun()
        var reader = ByteReader(bytes, in: content)
        while !reader.isAtEnd {
            let start = reader.position
            let tag = try reader.readVarint()
            switch tag {
            case 0x12:
                records.note(start)
                _ = try reader.readRange()
            case 0x0A: try replace(&scope, tag, signal.scope, &reader)
            case 0x1A: schema = try reader.readRange()
            default: try skipUnknown(tag, signal.scope, &reader)
            }
        }
        beginScope(scope, schema, bytes)
        reader = ByteReader(bytes, in: records.start..<content.upperBound)
        while records.count > 0, result.overflow == nil {
            work.position = reader.position
            let tag = try reader.readVarint()
            if tag != 0x12 {
                try reader.skipField(tag)
                continue
            }
            records.count -= 1
            let outer = try reader.enterField()
            switch signal {
            case .traces: try decodeSpan(&reader)
            case .logs: try decodeLog(&reader)
            case .metrics: try decodeMetric(&reader)
            }
            reader.leave(to: outer)
        }
    }

    /// Takes note of the scope that the next records have, unless it is the one that they had.
    private mutating func beginScope(
        _ scope: Range<Int>, _ schema: Range<Int>, _ bytes: RawSpan
    ) {
        work.scope = scope
        work.scopeSchema = schema
        work.scopeIndex = nil
        work.metricIndex = nil
        // A scope that was refused says nothing of the next; a resource that was, is again.
        work.isScopeRefused = false
        work.isRefused = work.isResourceRefused
    }

    // MARK: Entries of the tables

    mutating func writeResource(_ bytes: RawSpan) throws(ByteError) -> Bool {
        if work.resource.count > OTLP.containerBytesMax { return false }
        var dropped: UInt32 = 0
        var attributes = FieldRun()
        var reader = ByteReader(bytes, in: work.resource)
        while !reader.isAtEnd {
            let start = reader.position
            let tag = try reader.readVarint()
            switch tag {
            case 0x0A:
                attributes.note(start)
                _ = try reader.readRange()
            case 0x10: dropped = try reader.readWord()
            default: try skipUnknown(tag, .resource, &reader)
            }
        }
        builder.beginResource(
            schemaURL: text(work.resourceSchema, bytes), droppedAttributes: dropped)
        try writeAttributes(attributes, 0x0A, end: work.resource.upperBound, bytes)
        return builder.endResource()
    }

    mutating func writeScope(_ bytes: RawSpan) throws(ByteError) -> Int? {
        if work.scope.count > OTLP.containerBytesMax { return nil }
        var (name, version) = (0..<0, 0..<0)
        var dropped: UInt32 = 0
        var attributes = FieldRun()
        var reader = ByteReader(bytes, in: work.scope)
        while !reader.isAtEnd {
            let start = reader.position
            let tag = try reader.readVarint()
            switch tag {
            case 0x0A: name = try reader.readRange()
            case 0x12: version = try reader.readRange()
            case 0x1A:
                attributes.note(start)
                _ = try reader.readRange()
            case 0x20: dropped = try reader.readWord()
            default: try skipUnknown(tag, .scope, &reader)
            }
        }
        builder.beginScope(
            name: text(name, bytes), version: text(version, bytes),
            schemaURL: text(work.scopeSchema, bytes), droppedAttributes: dropped)
        try writeAttributes(attributes, 0x1A, end: work.scope.upperBound, bytes)
        return builder.endScope()
    }

    // MARK: Unknown fields

    @inline(never)
    mutating func skipUnknown(
        _ tag: UInt64, _ message: Message, _ reader: inout ByteReader
    ) throws(ByteError) {
        try reader.skipField(tag)
        result.unknownFields.note(message, number: tag >> 3)
    }
}
