import ByteCoding

// Attributes of the open record, or of its open event, link or exemplar.
extension BatchBuilder {
    /// Writes an attribute with a text.
    package mutating func attribute(_ key: TextRef, _ value: TextRef) { write(key, value) }

    /// Writes an attribute with a signed integer.
    package mutating func attribute(_ key: TextRef, _ value: Int64) { write(key, value) }

    /// Writes an attribute with a binary64.
    package mutating func attribute(_ key: TextRef, _ value: Double) { write(key, value) }

    /// Writes an attribute with a truth value.
    package mutating func attribute(_ key: TextRef, _ value: Bool) { write(key, value) }

    /// Writes an attribute with any value.
    package mutating func attribute(_ key: TextRef, _ value: AttributeValue) {
        beginAttribute()
        records.write(varint: UInt64(key.index))
        valueCount -= 1
        write(value, depth: 0)
    }

    /// Writes an attribute with a known key and a text.
    package mutating func attribute(_ key: KnownText, _ value: String) {
        let name = find(key)
        write(name, find(value, of: key))
    }

    /// Writes an attribute with a known key and a known text.
    package mutating func attribute(_ key: KnownText, _ value: KnownText) {
        let key = find(key)
        write(key, find(value))
    }

    /// Writes an attribute with a known key and a signed integer.
    package mutating func attribute(_ key: KnownText, _ value: Int64) { write(find(key), value) }

    /// Writes an attribute with a known key and a binary64.
    package mutating func attribute(_ key: KnownText, _ value: Double) { write(find(key), value) }

    /// Writes an attribute with a known key and a truth value.
    package mutating func attribute(_ key: KnownText, _ value: Bool) { write(find(key), value) }

    /// Writes an attribute.
    package mutating func attribute(_ attribute: Attribute) {
        self.attribute(ref(attribute.key), attribute.value)
    }

    // The hot path: each is inlined into the callers above, so that a call crosses the module once.

    @inline(__always)
    private mutating func write(_ key: TextRef, _ value: TextRef) {
        beginAttribute()
        records.write(upTo: 21) {
            $0.write(varint: UInt64(key.index))
            $0.write(uint8: ValueTag.string)
            $0.write(varint: UInt64(value.index))
        }
    }

    @inline(__always)
    private mutating func write(_ key: TextRef, _ value: Int64) {
        beginAttribute()
        records.write(upTo: 21) {
            $0.write(varint: UInt64(key.index))
            $0.write(uint8: ValueTag.integer)
            $0.write(zigzag: value)
        }
    }

    @inline(__always)
    private mutating func write(_ key: TextRef, _ value: Double) {
        beginAttribute()
        records.write(upTo: 19) {
            $0.write(varint: UInt64(key.index))
            $0.write(uint8: ValueTag.double)
            $0.write(double: value)
        }
    }

    @inline(__always)
    private mutating func write(_ key: TextRef, _ value: Bool) {
        beginAttribute()
        records.write(upTo: 11) {
            $0.write(varint: UInt64(key.index))
            $0.write(uint8: value ? ValueTag.yes : ValueTag.no)
        }
    }

    @inline(__always)
    mutating func beginAttribute() {
        if !record.list.isOpen { openAttributes() }
        record.list.count &+= 1
        valueCount &+= 1
    }

    @inline(__always)
    mutating func openAttributes() {
        if record.nestedStart >= 0 {
            record.nestedBits |= 1
        } else {
            precondition(record.isOpen && record.stage <= 1, "an attribute out of order")
            record.stage = 1
            record.bits |= record.attributesBit
        }
        record.list.start = records.count
        record.list.count = 0
        records.write(uint8: 0)
    }

    @inline(__always)
    mutating func closeAttributes() {
        let count = UInt64(truncatingIfNeeded: record.list.count)
        records.patch(varint: count, at: record.list.start, size: 1)
        if count > BatchLimits.attributesMax { record.failed = true }
        record.list.start = -1
    }

    /// Writes a value where the writer stands. What is nested too deep fails the record.
    mutating func write(_ value: AttributeValue, depth: Int) {
        valueCount += 1
        switch value {
        case .none: records.write(uint8: ValueTag.none)
        case .string(let text):
            records.write(uint8: ValueTag.string)
            records.write(varint: UInt64(ref(text).index))
        case .bool(let value): records.write(uint8: value ? ValueTag.yes : ValueTag.no)
        case .int(let value):
            records.write(uint8: ValueTag.integer)
            records.write(zigzag: value)
        case .double(let value):
            records.write(uint8: ValueTag.double)
            records.write(double: value)
        case .bytes(let value):
            records.write(uint8: ValueTag.bytes)
            records.write(varint: UInt64(ref(bytes: value).index))
        case .array(let values):
            guard beginNested(ValueTag.array, values.count, depth) else { return }
            for value in values { write(value, depth: depth + 1) }
        case .map(let entries):
            guard beginNested(ValueTag.map, entries.count, depth) else { return }
            for entry in entries {
                records.write(varint: UInt64(ref(entry.key).index))
                write(entry.value, depth: depth + 1)
            }
        }
    }

    private mutating func beginNested(_ tag: UInt8, _ count: Int, _ depth: Int) -> Bool {
        if depth == BatchLimits.nestingMax || count > BatchLimits.attributesMax {
            record.failed = true
            records.write(uint8: ValueTag.none)
            return false
        }
        records.write(uint8: tag)
        records.write(varint: UInt64(count))
        return true
    }
}
