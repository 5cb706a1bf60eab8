public import ByteCoding

// Attributes of the open record, or of its open event, link or exemplar.
extension BatchBuilder {
    /// Writes an attribute with a text.
    @inlinable
    package mutating func attribute(_ key: TextRef, _ value: TextRef) {
        beginAttribute(key)
        records.write(uint8: ValueTag.string)
        records.write(varint: UInt64(value.index))
    }

    /// Writes an attribute with a signed integer.
    @inlinable
    package mutating func attribute(_ key: TextRef, _ value: Int64) {
        beginAttribute(key)
        records.write(uint8: ValueTag.integer)
        records.write(zigzag: value)
    }

    /// Writes an attribute with a binary64.
    @inlinable
    package mutating func attribute(_ key: TextRef, _ value: Double) {
        beginAttribute(key)
        records.write(uint8: ValueTag.double)
        records.write(double: value)
    }

    /// Writes an attribute with a truth value.
    @inlinable
    package mutating func attribute(_ key: TextRef, _ value: Bool) {
        beginAttribute(key)
        records.write(uint8: value ? ValueTag.yes : ValueTag.no)
    }

    /// Writes an attribute with any value.
    package mutating func attribute(_ key: TextRef, _ value: AttributeValue) {
        beginAttribute(key)
        valueCount -= 1
        write(value, depth: 0)
    }

    /// Writes an attribute with a known key and a text.
    @inlinable
    package mutating func attribute(_ key: KnownText, _ value: String) {
        let key = ref(key)
        attribute(key, ref(value))
    }

    /// Writes an attribute with a known key and a known text.
    @inlinable
    package mutating func attribute(_ key: KnownText, _ value: KnownText) {
        let key = ref(key)
        attribute(key, ref(value))
    }

    /// Writes an attribute with a known key and a signed integer.
    @inlinable
    package mutating func attribute(_ key: KnownText, _ value: Int64) {
        attribute(ref(key), value)
    }

    /// Writes an attribute with a known key and a binary64.
    @inlinable
    package mutating func attribute(_ key: KnownText, _ value: Double) {
        attribute(ref(key), value)
    }

    /// Writes an attribute with a known key and a truth value.
    @inlinable
    package mutating func attribute(_ key: KnownText, _ value: Bool) {
        attribute(ref(key), value)
    }

    /// Writes an attribute.
    package mutating func attribute(_ attribute: Attribute) {
        self.attribute(ref(attribute.key), attribute.value)
    }

    @inlinable
    mutating func beginAttribute(_ key: TextRef) {
        if !record.list.isOpen { openAttributes() }
        record.list.count &+= 1
        valueCount &+= 1
        records.write(varint: UInt64(key.index))
    }

    @usableFromInline
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

    @usableFromInline
    mutating func closeAttributes() {
        records.patch(varint: UInt64(record.list.count), at: record.list.start, size: 1)
        if record.list.count > BatchLimits.attributesMax { record.failed = true }
        record.list = OpenList()
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
