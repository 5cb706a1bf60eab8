import ByteCoding

// Values, and the entries of tables, in pieces: for a codec that reads them from a stream and makes no
// object of them.
extension BatchBuilder {
    // MARK: Values

    /// Begins an attribute. Its value must follow.
    package mutating func beginAttribute(_ key: TextRef) {
        beginAttribute()
        // The value counts itself.
        valueCount &-= 1
        records.write(varint: UInt64(key.index))
    }

    /// Begins the body of a log event. Its value must follow. Before the attributes.
    package mutating func beginBody() {
        precondition(record.isOpen && record.stage == 0, "a body out of order")
        record.bits |= LogBit.body
        record.stage = 1
    }

    /// The key of a map's next entry. Its value must follow.
    package mutating func key(_ key: TextRef) { records.write(varint: UInt64(key.index)) }

    /// A value that is nothing.
    package mutating func noValue() {
        valueCount &+= 1
        records.write(uint8: ValueTag.none)
    }

    /// A value that is a text.
    package mutating func value(_ text: TextRef) {
        valueCount &+= 1
        records.write(uint8: ValueTag.string)
        records.write(varint: UInt64(text.index))
    }

    /// A value that is bytes.
    package mutating func value(_ bytes: BytesRef) {
        valueCount &+= 1
        records.write(uint8: ValueTag.bytes)
        records.write(varint: UInt64(bytes.index))
    }

    /// A value that is a truth value.
    package mutating func value(_ value: Bool) {
        valueCount &+= 1
        records.write(uint8: value ? ValueTag.yes : ValueTag.no)
    }

    /// A value that is a signed integer.
    package mutating func value(_ value: Int64) {
        valueCount &+= 1
        records.write(uint8: ValueTag.integer)
        records.write(zigzag: value)
    }

    /// A value that is a binary64.
    package mutating func value(_ value: Double) {
        valueCount &+= 1
        records.write(uint8: ValueTag.double)
        records.write(double: value)
    }

    /// Begins a value that is an array or a map. Returns what `endValues` needs. The caller sees to
    /// `BatchLimits.nestingMax`.
    package mutating func beginValues(isMap: Bool) -> Int {
        valueCount &+= 1
        records.write(uint8: isMap ? ValueTag.map : ValueTag.array)
        records.write(uint8: 0)
        return records.count &- 1
    }

    /// Ends an array of so many values, or a map of so many entries.
    package mutating func endValues(_ place: Int, count: Int) {
        if count > BatchLimits.attributesMax { record.failed = true }
        records.patch(varint: UInt64(count), at: place, size: 1)
    }

    /// Refuses the open record or entry, whatever follows.
    package mutating func refuse() { record.failed = true }

    /// Whether nothing more needs to be written: the open record or entry is refused, or fits no
    /// batch or not this one.
    package mutating func isOverfull() -> Bool {
        record.failed || bytes > bytesMax || strings.count > BatchLimits.stringsMax
            || valueCount > BatchLimits.valuesMax
    }

    // MARK: Entries

    /// Begins the resource. Its attributes may follow, then `endResource`. After `begin`, before all else.
    package mutating func beginResource(schemaURL: TextRef, droppedAttributes: UInt32) {
        precondition(recordCount == 0 && resource.count == 0, "a second resource")
        openEntry()
        records.write(varint: UInt64(schemaURL.index))
        records.write(varint: UInt64(droppedAttributes))
        openEntryAttributes()
    }

    /// Ends the resource. False, and it is left out, if it passes a limit.
    package mutating func endResource() -> Bool {
        let fits = closeEntry()
        if fits {
            // No schema URL, nothing dropped, no attributes: not written.
            if scratch.count > 3 || scratch.bytes != [0, 0, 0] { swap(&resource, &scratch) }
            commitTables()
            countTables()
        } else {
            abandonRecord()
        }
        return fits
    }

    /// Begins a scope. Its attributes may follow, then `endScope`. Before the record that uses it.
    package mutating func beginScope(
        name: TextRef, version: TextRef, schemaURL: TextRef, droppedAttributes: UInt32
    ) {
        openEntry()
        records.write(varint: UInt64(name.index))
        records.write(varint: UInt64(version.index))
        records.write(varint: UInt64(schemaURL.index))
        records.write(varint: UInt64(droppedAttributes))
        openEntryAttributes()
    }

    /// The scope's index in this batch, 0 if it is empty; nil if the table or the batch is full or
    /// the scope passes a limit.
    package mutating func endScope() -> Int? {
        if !closeEntry() { return settleEntry(nil) }
        if scratch.count == 5, scratch.bytes == [0, 0, 0, 0, 0] { return 0 }
        return settleEntry(scopes.index(of: scratch, max: BatchLimits.scopesMax))
    }

    /// Begins a metric of a scope. If it has metadata they follow as attributes, then `endMetric`. Before
    /// the record that uses it.
    package mutating func beginMetric(
        kind: MetricKind, temporality: Temporality, isMonotonic: Bool, name: TextRef,
        description: TextRef, unit: TextRef, scope: Int, hasMetadata: Bool
    ) {
        precondition(scope >= 0 && scope <= scopes.count, "no such scope")
        openEntry()
        var flags = UInt64(kind.rawValue) | UInt64(temporality.rawValue) << 3
        if isMonotonic { flags |= MetricBit.monotonic }
        if hasMetadata { flags |= MetricBit.metadata }
        records.write(varint: flags)
        records.write(varint: UInt64(name.index))
        records.write(varint: UInt64(description.index))
        records.write(varint: UInt64(unit.index))
        records.write(varint: UInt64(scope))
        if hasMetadata { openEntryAttributes() }
    }

    /// The metric's index in this batch, or nil if the table or the batch is full or the metric passes
    /// a limit.
    package mutating func endMetric() -> Int? {
        if !closeEntry() { return settleEntry(nil) }
        return settleEntry(metrics.index(of: scratch, max: BatchLimits.metricsMax))
    }

    /// The batch's trace ids in the order of the table.
    package func traceIDs() -> [TraceID] {
        let bytes = traces.bytes.span
        return (0..<traces.count).map { TraceID(bytes: bytes.extracting(($0 * 16)...)) }
    }

    /// Turns the writers round, so that what writes attributes writes into `scratch`.
    private mutating func openEntry() {
        precondition(!record.isOpen && !isEntryOpen, "a record or entry is open")
        isEntryOpen = true
        scratch.removeAll()
        swap(&records, &scratch)
    }

    private mutating func openEntryAttributes() {
        record.list.start = records.count
        record.list.count = 0
        records.write(uint8: 0)
    }

    /// Turns them back. False if the entry is refused or has no room.
    private mutating func closeEntry() -> Bool {
        precondition(isEntryOpen, "no entry is open")
        if record.list.isOpen { closeAttributes() }
        swap(&records, &scratch)
        isEntryOpen = false
        return !record.failed && bytes + scratch.count <= bytesMax
            && strings.count <= BatchLimits.stringsMax && valueCount <= BatchLimits.valuesMax
    }
}
