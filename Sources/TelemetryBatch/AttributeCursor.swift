public import ByteCoding

/// Where the next attribute of a builder's open record goes, lent to the caller: an attribute is then a
/// few inlined stores, not a call into this module.
///
/// While it is lent, nothing else may write into the record: `BatchBuilder.park` takes it back first.
/// Sound: it writes only within the memory that `lend` has made sure of (each attribute checks for its
/// largest form), and that memory moves only when the builder's own writer grows, which is after a `park`.
@usableFromInline
package struct AttributeCursor: ~Copyable, @unchecked Sendable {
    // @unchecked: used by the one that has the builder, with which it moves.
    @usableFromInline var writer: WriteCursor
    /// The last place where an attribute may begin: one of the largest form still fits there.
    @usableFromInline var last: UnsafeMutableRawPointer
    /// The attributes in the list, those before the loan included.
    @usableFromInline package internal(set) var count = 0
    /// At most how many bytes the batch had after its last record.
    package internal(set) var batchBytes = 0

    /// A key and a reference or an integer, 10 bytes each at most, and a tag.
    static let attributeBytesMax = 21

    // Addresses that are never written to: an attribute at `nowhere` is past `closed`.
    private static var nowhere: UnsafeMutableRawPointer { UnsafeMutableRawPointer(bitPattern: 16)! }
    private static var closed: UnsafeMutableRawPointer { UnsafeMutableRawPointer(bitPattern: 8)! }

    /// A cursor that is not lent: it takes no attribute.
    package init() {
        writer = WriteCursor(place: AttributeCursor.nowhere)
        last = AttributeCursor.closed
    }

    /// Whether it is lent.
    @inline(__always)
    var isLent: Bool { last != AttributeCursor.closed }

    @inline(__always)
    mutating func open(_ records: borrowing ByteWriter, count: Int) {
        writer = records.cursorAtEnd
        last = records.lastPlace(for: AttributeCursor.attributeBytesMax)
        self.count = count
    }

    @inline(__always)
    mutating func close() {
        writer = WriteCursor(place: AttributeCursor.nowhere)
        last = AttributeCursor.closed
    }

    /// Appends an attribute with a text. False, and nothing written, if it is not lent or has no room.
    @inlinable @inline(__always)
    package mutating func append(_ key: TextRef, _ value: TextRef) -> Bool {
        guard writer.place <= last else { return false }
        writer.write(varint: UInt64(key.index))
        writer.write(uint8: ValueTag.string)
        writer.write(varint: UInt64(value.index))
        count &+= 1
        return true
    }

    /// Appends an attribute with a signed integer, likewise.
    @inlinable @inline(__always)
    package mutating func append(_ key: TextRef, _ value: Int64) -> Bool {
        guard writer.place <= last else { return false }
        writer.write(varint: UInt64(key.index))
        writer.write(uint8: ValueTag.integer)
        writer.write(zigzag: value)
        count &+= 1
        return true
    }

    /// Appends an attribute with a binary64, likewise.
    @inlinable @inline(__always)
    package mutating func append(_ key: TextRef, _ value: Double) -> Bool {
        guard writer.place <= last else { return false }
        writer.write(varint: UInt64(key.index))
        writer.write(uint8: ValueTag.double)
        writer.write(double: value)
        count &+= 1
        return true
    }

    /// Appends an attribute with a truth value, likewise.
    @inlinable @inline(__always)
    package mutating func append(_ key: TextRef, _ value: Bool) -> Bool {
        guard writer.place <= last else { return false }
        writer.write(varint: UInt64(key.index))
        writer.write(uint8: value ? ValueTag.yes : ValueTag.no)
        count &+= 1
        return true
    }
}

// Loans of the place where attributes go.
extension BatchBuilder {
    /// What a loan has room for at first: more is another call.
    private static let lentBytes = 448

    /// Begins a span and lends the place of its attributes: `beginSpan` and `lend` in one call.
    package mutating func beginSpan(
        name: TextRef, kind: SpanKind, status: SpanStatus, trace: TraceID, span: SpanID,
        parent: SpanID, start: UInt64, duration: UInt64, lending cursor: inout AttributeCursor
    ) {
        // Most spans have attributes: their flag is written at once, and mended if there are none.
        writeSpan(
            name: name, kind: kind, status: status, trace: trace, span: span, parent: parent,
            start: start, duration: duration, scope: 0, isListOpen: true,
            room: 65 + BatchBuilder.lentBytes)
        cursor.open(records, count: 0)
    }

    /// Lends the place of the open record's next attribute, with room for some.
    package mutating func lend(to cursor: inout AttributeCursor) {
        park(&cursor)
        precondition(record.nestedStart < 0, "an event, link or exemplar is open")
        if !record.list.isOpen { openAttributes() }
        records.reserve(BatchBuilder.lentBytes)
        cursor.open(records, count: record.list.count)
    }

    /// Takes back what is lent: what was written counts, and other fields may follow.
    @inline(__always)
    package mutating func park(_ cursor: inout AttributeCursor) {
        guard cursor.isLent else { return }
        precondition(record.isOpen && record.list.isOpen, "a cursor of no record")
        records.settle(cursor.writer)
        valueCount &+= cursor.count &- record.list.count
        record.list.count = cursor.count
        if cursor.count == 0 { undoAttributes() }
        cursor.close()
    }

    /// Ends the open record after taking back what is lent.
    package mutating func endRecord(_ cursor: inout AttributeCursor) -> AppendResult {
        park(&cursor)
        let result = finishRecord()
        cursor.batchBytes = bytes
        return result
    }

    /// A list without attributes is not written.
    @inline(__always)
    private mutating func undoAttributes() {
        records.truncate(to: record.list.start)
        record.bits &= ~record.attributesBit
        record.list.start = -1
    }
}
