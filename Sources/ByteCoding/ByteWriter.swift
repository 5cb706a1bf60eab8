/// A growable buffer of little-endian fields and varints.
///
/// Owns its memory and keeps it over `removeAll()`, so that a writer in its steady state does not
/// allocate. The unsafe pointer is sound because it is private to this type, every write first
/// makes room (`reserve`), and the type cannot be copied.
@usableFromInline
package struct ByteWriter: ~Copyable, @unchecked Sendable {
    // @unchecked: the pointer has one owner, and moves with it.
    @usableFromInline var base: UnsafeMutableRawPointer
    /// The number of bytes written.
    @usableFromInline package private(set) var count: Int
    /// The number of bytes that fit without an allocation.
    @usableFromInline package private(set) var capacity: Int

    /// An empty writer with room for `capacity` bytes.
    package init(capacity: Int = 256) {
        self.capacity = max(capacity, 16)
        base = .allocate(byteCount: self.capacity, alignment: 16)
        count = 0
    }

    @inlinable
    deinit {
        base.deallocate()
    }

    /// Makes room for `extra` more bytes.
    @inlinable @inline(__always)
    package mutating func reserve(_ extra: Int) {
        if extra > capacity - count { grow(extra) }
    }

    @usableFromInline @inline(never)
    mutating func grow(_ extra: Int) {
        let larger = max(capacity * 2, count + extra)
        let moved = UnsafeMutableRawPointer.allocate(byteCount: larger, alignment: 16)
        moved.copyMemory(from: base, byteCount: count)
        base.deallocate()
        base = moved
        capacity = larger
    }

    /// Forgets the content and keeps the memory.
    @inlinable
    package mutating func removeAll() { count = 0 }

    /// Cuts the content to its first `length` bytes. Traps if there are fewer.
    @inlinable
    package mutating func truncate(to length: Int) {
        precondition(length >= 0 && length <= count)
        count = length
    }

    @inlinable @inline(__always)
    mutating func store<Field: FixedWidthInteger & BitwiseCopyable>(_ value: Field) {
        let size = MemoryLayout<Field>.size
        reserve(size)
        base.storeBytes(of: value.littleEndian, toByteOffset: count, as: Field.self)
        count &+= size
    }

    /// Writes at most `limit` bytes through a cursor, with one check for all of them.
    @inlinable @inline(__always)
    package mutating func write(upTo limit: Int, _ body: (inout WriteCursor) -> Void) {
        reserve(limit)
        var cursor = WriteCursor(place: base + count)
        body(&cursor)
        count = cursor.place - base
        assert(count <= capacity, "a cursor ran past its limit")
    }

    /// A cursor at the end, for a writer that checks its own room: see `lastPlace`. What it writes
    /// counts after `settle`; until then this writer must not be written to.
    @inlinable @inline(__always)
    package var cursorAtEnd: WriteCursor { WriteCursor(place: base + count) }

    /// The last place where that many bytes fit.
    @inlinable @inline(__always)
    package func lastPlace(for size: Int) -> UnsafeMutableRawPointer { base + (capacity - size) }

    /// Counts what a cursor has written. Traps if it is not behind the end, within the memory.
    @inlinable @inline(__always)
    package mutating func settle(_ cursor: borrowing WriteCursor) {
        let end = cursor.place - base
        precondition(end >= count && end <= capacity, "a cursor of another writer")
        count = end
    }

    /// Writes one byte.
    @inlinable @inline(__always)
    package mutating func write(uint8 value: UInt8) { store(value) }

    /// Writes a little-endian 16-bit integer.
    @inlinable @inline(__always)
    package mutating func write(uint16 value: UInt16) { store(value) }

    /// Writes a little-endian 32-bit integer.
    @inlinable @inline(__always)
    package mutating func write(uint32 value: UInt32) { store(value) }

    /// Writes a little-endian 64-bit integer.
    @inlinable @inline(__always)
    package mutating func write(uint64 value: UInt64) { store(value) }

    /// Writes a word's bytes, the most significant first: an opaque id.
    @inlinable @inline(__always)
    package mutating func write(bigEndian value: UInt64) { store(value.byteSwapped) }

    /// Writes a binary64, little-endian.
    @inlinable @inline(__always)
    package mutating func write(double value: Double) { store(value.bitPattern) }

    /// Writes sixteen opaque bytes.
    @inlinable @inline(__always)
    package mutating func write(id value: ID128) {
        store(value.high.byteSwapped)
        store(value.low.byteSwapped)
    }

    /// Writes an unsigned LEB128 in its shortest form.
    @inlinable @inline(__always)
    package mutating func write(varint value: UInt64) {
        reserve(10)
        var rest = value
        while rest >= 0x80 {
            base.storeBytes(
                of: UInt8(truncatingIfNeeded: rest) | 0x80, toByteOffset: count, as: UInt8.self)
            count &+= 1
            rest &>>= 7
        }
        base.storeBytes(
            of: UInt8(truncatingIfNeeded: rest), toByteOffset: count, as: UInt8.self)
        count &+= 1
    }

    /// Writes a signed integer in zigzag form.
    @inlinable @inline(__always)
    package mutating func write(zigzag value: Int64) {
        write(varint: UInt64(bitPattern: (value &<< 1) ^ (value &>> 63)))
    }

    /// Writes bytes as they are.
    @inlinable @inline(__always)
    package mutating func write(bytes: RawSpan) {
        bytes.withUnsafeBytes { write(buffer: $0) }
    }

    /// Writes bytes as they are.
    @inlinable @inline(__always)
    package mutating func write(buffer: UnsafeRawBufferPointer) {
        reserve(buffer.count)
        if let source = buffer.baseAddress {
            (base + count).copyMemory(from: source, byteCount: buffer.count)
        }
        count &+= buffer.count
    }

    /// Writes bytes as they are.
    @inlinable @inline(__always)
    package mutating func write(bytes: [UInt8]) {
        bytes.withUnsafeBytes { write(buffer: $0) }
    }

    /// Writes a text's UTF-8 without a length.
    @inlinable @inline(__always)
    package mutating func write(utf8 text: String) {
        var text = text
        text.withUTF8 { write(buffer: UnsafeRawBufferPointer($0)) }
    }

    /// Writes zero bytes.
    @inlinable @inline(__always)
    package mutating func write(zeros number: Int) {
        reserve(number)
        (base + count).initializeMemory(as: UInt8.self, repeating: 0, count: number)
        count &+= number
    }

    /// Replaces the byte at a position already written. Traps elsewhere.
    @inlinable
    package mutating func patch(uint8 value: UInt8, at position: Int) {
        precondition(position >= 0 && position < count)
        base.storeBytes(of: value, toByteOffset: position, as: UInt8.self)
    }

    /// Replaces two bytes at a position already written. Traps elsewhere.
    @inlinable
    package mutating func patch(uint16 value: UInt16, at position: Int) {
        precondition(position >= 0 && position <= count - 2)
        base.storeBytes(of: value.littleEndian, toByteOffset: position, as: UInt16.self)
    }

    /// Replaces four bytes at a position already written. Traps elsewhere.
    @inlinable
    package mutating func patch(uint32 value: UInt32, at position: Int) {
        precondition(position >= 0 && position <= count - 4)
        base.storeBytes(of: value.littleEndian, toByteOffset: position, as: UInt32.self)
    }

    /// Replaces eight bytes at a position already written. Traps elsewhere.
    @inlinable
    package mutating func patch(uint64 value: UInt64, at position: Int) {
        precondition(position >= 0 && position <= count - 8)
        base.storeBytes(of: value.littleEndian, toByteOffset: position, as: UInt64.self)
    }

    /// Replaces the `size` bytes at `position` by the shortest varint of `value`; what follows
    /// moves. Traps if they are not written yet.
    @inlinable @inline(__always)
    package mutating func patch(varint value: UInt64, at position: Int, size: Int) {
        precondition(position >= 0 && size >= 0 && position <= count - size)
        if size == 1 && value < 0x80 {
            base.storeBytes(
                of: UInt8(truncatingIfNeeded: value), toByteOffset: position, as: UInt8.self)
        } else {
            replace(varint: value, at: position, size: size)
        }
    }

    @usableFromInline @inline(never)
    mutating func replace(varint value: UInt64, at position: Int, size: Int) {
        let needed = ByteWriter.size(varint: value)
        reserve(max(needed - size, 0))
        let tail = count - position - size
        if needed != size {
            // memmove: the ranges overlap.
            (base + position + needed).copyMemory(from: base + position + size, byteCount: tail)
        }
        let end = position + needed + tail
        count = position
        write(varint: value)
        count = end
    }

    /// The number of bytes of a varint's shortest form.
    @inlinable
    package static func size(varint value: UInt64) -> Int {
        (63 - (value | 1).leadingZeroBitCount) / 7 + 1
    }

    /// What is written.
    @inlinable
    package var span: RawSpan {
        @_lifetime(borrow self)
        get {
            let written = RawSpan(_unsafeStart: base, byteCount: count)
            return unsafe _overrideLifetime(written, borrowing: self)
        }
    }

    /// Where a written byte stands. Valid until the next write; reading stays within `count`.
    @inlinable
    package func pointer(at position: Int) -> UnsafeRawPointer { UnsafeRawPointer(base + position) }

    /// A copy of what is written.
    package var bytes: [UInt8] {
        [UInt8](UnsafeRawBufferPointer(start: base, count: count))
    }

    /// Calls `body` with what is written; the buffer is valid only during the call.
    @inlinable
    package func withUnsafeBytes<Result, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try body(UnsafeRawBufferPointer(start: base, count: count))
    }
}

/// Writes without checks within what `ByteWriter.write(upTo:)` has made room for, or up to
/// `ByteWriter.lastPlace(for:)`.
///
/// Sound only there: the caller's limit must be the sum of the largest forms of what it writes
/// (10 bytes for a varint). A debug build asserts it, and `settle` checks.
@usableFromInline
package struct WriteCursor: ~Copyable {
    /// Where the next byte goes.
    @usableFromInline package internal(set) var place: UnsafeMutableRawPointer

    /// A cursor at a place.
    @inlinable @inline(__always)
    package init(place: UnsafeMutableRawPointer) { self.place = place }

    /// Writes one byte.
    @inlinable @inline(__always)
    package mutating func write(uint8 value: UInt8) {
        place.storeBytes(of: value, as: UInt8.self)
        place += 1
    }

    /// Writes a word's bytes, the most significant first.
    @inlinable @inline(__always)
    package mutating func write(bigEndian value: UInt64) {
        place.storeBytes(of: value.bigEndian, as: UInt64.self)
        place += 8
    }

    /// Writes a binary64, little-endian.
    @inlinable @inline(__always)
    package mutating func write(double value: Double) {
        place.storeBytes(of: value.bitPattern.littleEndian, as: UInt64.self)
        place += 8
    }

    /// Writes an unsigned LEB128 in its shortest form.
    @inlinable @inline(__always)
    package mutating func write(varint value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            place.storeBytes(of: UInt8(truncatingIfNeeded: rest) | 0x80, as: UInt8.self)
            place += 1
            rest &>>= 7
        }
        place.storeBytes(of: UInt8(truncatingIfNeeded: rest), as: UInt8.self)
        place += 1
    }

    /// Writes a signed integer in zigzag form.
    @inlinable @inline(__always)
    package mutating func write(zigzag value: Int64) {
        write(varint: UInt64(bitPattern: (value &<< 1) ^ (value &>> 63)))
    }
}
