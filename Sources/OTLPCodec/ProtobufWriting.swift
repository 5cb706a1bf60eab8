import ByteCoding

// Messages are written forwards, their lengths afterwards: room for a length of the expected size is left
// before a message, and only where the guess was wrong its bytes are moved. So each is written once, every
// length in its shortest form.
extension ByteWriter {
    /// Begins a field that is a message whose length takes `room` bytes. Returns where the length goes.
    @inline(__always)
    mutating func open(_ tag: UInt8, room: Int = 1) -> Int {
        write(upTo: 11) { cursor in
            cursor.write(uint8: tag)
            for _ in 0..<room { cursor.write(uint8: 0) }
        }
        return count &- room
    }

    /// Ends the message whose length stands at a place.
    @inline(__always)
    mutating func close(_ place: Int, room: Int = 1) {
        patch(varint: UInt64(truncatingIfNeeded: count &- place &- room), at: place, size: room)
    }

    /// Writes a varint, unless it is 0.
    @inline(__always)
    mutating func field(_ tag: UInt8, varint value: UInt64) {
        if value == 0 { return }
        write(upTo: 11) {
            $0.write(uint8: tag)
            $0.write(varint: value)
        }
    }

    /// Writes eight bytes, unless they are 0.
    @inline(__always)
    mutating func field(_ tag: UInt8, fixed64 value: UInt64) {
        if value != 0 { explicitField(tag, fixed64: value) }
    }

    /// Writes eight bytes.
    @inline(__always)
    mutating func explicitField(_ tag: UInt8, fixed64 value: UInt64) {
        write(upTo: 9) {
            $0.write(uint8: tag)
            $0.write(bigEndian: value.byteSwapped)
        }
    }

    /// Writes a double, unless it is 0; −0 is not.
    @inline(__always)
    mutating func field(_ tag: UInt8, double value: Double) {
        field(tag, fixed64: value.bitPattern)
    }

    /// Writes a double that may not be there.
    @inline(__always)
    mutating func field(_ tag: UInt8, optional value: Double?) {
        if let value { explicitField(tag, fixed64: value.bitPattern) }
    }

    /// Writes a span's id, unless it is none.
    @inline(__always)
    mutating func field(_ tag: UInt8, spanID id: UInt64) {
        if id == 0 { return }
        write(upTo: 10) {
            $0.write(uint8: tag)
            $0.write(uint8: 8)
            $0.write(bigEndian: id)
        }
    }

    /// Writes a trace's id, unless it is none.
    @inline(__always)
    mutating func field(_ tag: UInt8, traceID id: ID128) {
        if id.isZero { return }
        write(upTo: 18) {
            $0.write(uint8: tag)
            $0.write(uint8: 16)
            $0.write(bigEndian: id.high)
            $0.write(bigEndian: id.low)
        }
    }

    /// Writes bytes with their length, unless there are none.
    @inline(__always)
    mutating func field(_ tag: UInt8, bytes: RawSpan) {
        if !bytes.isEmpty { explicitField(tag, bytes: bytes) }
    }

    /// Writes bytes with their length.
    @inline(__always)
    mutating func explicitField(_ tag: UInt8, bytes: RawSpan) {
        write(upTo: 11) {
            $0.write(uint8: tag)
            $0.write(varint: UInt64(truncatingIfNeeded: bytes.byteCount))
        }
        write(bytes: bytes)
    }

    /// Writes a text, unless it is empty.
    mutating func field(_ tag: UInt8, text: String) {
        if text.isEmpty { return }
        write(uint8: tag)
        write(varint: UInt64(text.utf8.count))
        write(utf8: text)
    }
}
