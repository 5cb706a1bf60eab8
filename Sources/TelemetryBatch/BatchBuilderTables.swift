import ByteCoding

// References into the tables: found or added.
extension BatchBuilder {
    /// The reference of a known text.
    package mutating func ref(_ known: KnownText) -> TextRef { find(known) }

    /// The reference of a text.
    package mutating func ref(_ text: String) -> TextRef { find(text) }

    /// The reference of a text given as UTF-8; repaired with U+FFFD if it is not.
    package mutating func ref(utf8 text: UnsafeRawBufferPointer) -> TextRef {
        isUTF8(text.bytes) ? find(valid: text) : find(String(decoding: text, as: UTF8.self))
    }

    /// The reference of a text given as UTF-8; nil, and nothing added, if it is not. `recent` is what
    /// stood in the same place the last time: most often it is the same again, or another value of it.
    package mutating func ref(checking text: RawSpan, recent: inout RecentText) -> TextRef? {
        text.withUnsafeBytes { text in
            if text.count == recent.count, recent.epoch == strings.epoch,
                ShortBytes.areEqual(strings.bytes.pointer(at: recent.start), text)
            {
                return TextRef(index: recent.index)
            }
            return lookUp(text, &recent)
        }
    }

    @inline(never)
    private mutating func lookUp(
        _ text: UnsafeRawBufferPointer, _ recent: inout RecentText
    ) -> TextRef? {
        if text.isEmpty { return TextRef.none }
        // What is in the table was checked when it was added.
        var slot = strings.find(text)
        if slot.index == 0 {
            guard isUTF8(text.bytes) else { return nil }
            let added = find(valid: text)
            if added.isNone { return added }
            slot.index = UInt64(added.index)
            slot.start = UInt32(truncatingIfNeeded: strings.bytes.count &- text.count)
        }
        recent.start = Int(slot.start)
        recent.count = text.count
        recent.epoch = strings.epoch
        recent.index = UInt32(truncatingIfNeeded: slot.index)
        return TextRef(index: recent.index)
    }

    @inline(__always)
    mutating func find(_ known: KnownText) -> TextRef {
        if known.id < knownPlaces.count {
            let place = knownPlaces[known.id].place
            if place &>> 32 == strings.epoch {
                return TextRef(index: UInt32(truncatingIfNeeded: place))
            }
        }
        return place(known)
    }

    @inline(never)
    private mutating func place(_ known: KnownText) -> TextRef {
        let found = find(valid: known.utf8)
        if known.id < KnownText.idsMax {
            if known.id >= knownPlaces.count {
                let missing = known.id + 16 - knownPlaces.count
                knownPlaces.append(contentsOf: repeatElement(KnownPlace(), count: missing))
                lastValues.append(contentsOf: repeatElement("", count: missing))
            }
            knownPlaces[known.id].place = strings.epoch << 32 | UInt64(found.index)
        }
        return found
    }

    /// The reference of a known key's value, which is most often what it was the last time.
    @inline(__always)
    mutating func find(_ text: String, of key: KnownText) -> TextRef {
        if key.id < knownPlaces.count {
            let bits = unsafeBitCast(text, to: (UInt64, UInt64).self)
            let known = knownPlaces[key.id]
            if known.value == bits, known.valuePlace &>> 32 == strings.epoch {
                return TextRef(index: UInt32(truncatingIfNeeded: known.valuePlace))
            }
        }
        return remember(text, of: key)
    }

    @inline(never)
    private mutating func remember(_ text: String, of key: KnownText) -> TextRef {
        let found = find(text)
        guard key.id < knownPlaces.count, !found.isNone else { return found }
        var known = knownPlaces[key.id]
        let bits = unsafeBitCast(text, to: (UInt64, UInt64).self)
        if known.value == bits {
            known.misses = 0
        } else {
            known.misses += 1
            if known.misses > KnownPlace.missesMax { return found }
            if text.utf8.count > KnownPlace.valueBytesMax { return found }
            lastValues[key.id] = text
            known.value = bits
        }
        known.valuePlace = strings.epoch << 32 | UInt64(found.index)
        knownPlaces[key.id] = known
        return found
    }

    @inline(__always)
    mutating func find(_ text: String) -> TextRef {
        let found = text.utf8.withContiguousStorageIfAvailable {
            find(valid: UnsafeRawBufferPointer($0))
        }
        return found ?? copy(text)
    }

    /// For a text that is not stored as UTF-8, which does not happen on Linux.
    @inline(never)
    private mutating func copy(_ text: String) -> TextRef {
        Array(text.utf8).withUnsafeBytes { find(valid: $0) }
    }

    @inline(__always)
    private mutating func find(valid text: UnsafeRawBufferPointer) -> TextRef {
        if text.count &- 1 >= BatchLimits.stringBytesMax {
            record.failed = true
            return .none
        }
        if text.isEmpty { return .none }
        if text.count >= BatchBuilder.longTextBytes { longTexts &+= text.count }
        return TextRef(index: UInt32(truncatingIfNeeded: strings.index(of: text)))
    }

    /// The reference of arbitrary bytes.
    package mutating func ref(bytes: [UInt8]) -> BytesRef { ref(bytes: bytes.span.bytes) }

    /// The reference of arbitrary bytes.
    package mutating func ref(bytes: RawSpan) -> BytesRef {
        if bytes.isEmpty { return BytesRef(index: 0) }
        if bytes.byteCount > BatchLimits.stringBytesMax {
            record.failed = true
            return BytesRef(index: 0)
        }
        if bytes.byteCount >= BatchBuilder.longTextBytes { longTexts &+= bytes.byteCount }
        return bytes.withUnsafeBytes {
            BytesRef(index: UInt32(strings.index(of: $0, binary: true)))
        }
    }

    /// The index of a trace id, 0 for the zero id.
    @inline(__always)
    package mutating func index(of trace: TraceID) -> Int {
        if trace == lastTrace { return lastTraceIndex }
        return lookUp(trace)
    }

    @inline(never)
    private mutating func lookUp(_ trace: TraceID) -> Int {
        if trace.isZero { return 0 }
        let found = withUnsafeBytes(of: (trace.high.bigEndian, trace.low.bigEndian)) {
            traces.index(of: $0)
        }
        lastTrace = trace
        lastTraceIndex = found
        return found
    }

    /// The index of a scope in this batch, or nil if the table is full or the scope passes a
    /// limit. Call it before the record that uses it begins.
    package mutating func index(of scope: Scope) -> Int? {
        precondition(!record.isOpen, "a record is open")
        scratch.removeAll()
        scratch.write(varint: UInt64(ref(scope.name).index))
        scratch.write(varint: UInt64(ref(scope.version).index))
        scratch.write(varint: UInt64(ref(scope.schemaURL).index))
        scratch.write(varint: UInt64(scope.droppedAttributes))
        writeAttributes(scope.attributes)
        return settleEntry(scopes.index(of: scratch, max: BatchLimits.scopesMax))
    }

    /// The index of a metric in this batch, or nil if the table is full or the metric passes a
    /// limit. Call it before the record that uses it begins.
    package mutating func index(of metric: Metric, scope: Int = 0) -> Int? {
        precondition(!record.isOpen, "a record is open")
        precondition(scope >= 0 && scope <= scopes.count, "no such scope")
        var flags = UInt64(metric.kind.rawValue) | UInt64(metric.temporality.rawValue) << 3
        if metric.isMonotonic { flags |= MetricBit.monotonic }
        if !metric.metadata.isEmpty { flags |= MetricBit.metadata }
        scratch.removeAll()
        scratch.write(varint: flags)
        scratch.write(varint: UInt64(ref(metric.name).index))
        scratch.write(varint: UInt64(ref(metric.description).index))
        scratch.write(varint: UInt64(ref(metric.unit).index))
        scratch.write(varint: UInt64(scope))
        if !metric.metadata.isEmpty { writeAttributes(metric.metadata) }
        return settleEntry(metrics.index(of: scratch, max: BatchLimits.metricsMax))
    }

    /// The index of histogram bounds in this batch, 0 for none, or nil if they pass a limit.
    package mutating func index(ofBounds bounds: [Double]) -> Int? {
        if bounds.isEmpty { return 0 }
        if bounds.count > BatchLimits.boundsInOneMax { return nil }
        scratch.removeAll()
        for bound in bounds { scratch.write(double: bound) }
        longTexts &+= bounds.count &* 8
        let found = boundsTable.index(of: scratch, max: BatchLimits.boundsMax)
        countTables()
        return found
    }

    /// Keeps what a table's entry brought with it, or undoes it if the entry cannot be.
    mutating func settleEntry(_ index: Int?) -> Int? {
        if let index, !record.failed {
            commitTables()
            countTables()
            return index
        }
        abandonRecord()
        return nil
    }

    /// Writes attributes into `scratch`: a resource's, a scope's, a metric's.
    mutating func writeAttributes(_ attributes: [Attribute]) {
        if attributes.count > BatchLimits.attributesMax { record.failed = true }
        scratch.write(varint: UInt64(attributes.count))
        for attribute in attributes {
            scratch.write(varint: UInt64(ref(attribute.key).index))
            writeScratch(attribute.value, depth: 0)
        }
    }

    private mutating func writeScratch(_ value: AttributeValue, depth: Int) {
        swap(&records, &scratch)
        write(value, depth: depth)
        swap(&records, &scratch)
    }
}

/// Where a text stands that was looked up before, as long as the table is the same.
package struct RecentText: BitwiseCopyable, Sendable {
    var start = 0
    var count = 0
    var epoch: UInt64 = 0
    var index: UInt32 = 0

    /// Nothing yet.
    package init() {}
}
