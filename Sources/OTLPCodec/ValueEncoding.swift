import ByteCoding
import TelemetryBatch

// Attributes and values.
extension ByteWriter {
    /// Writes a list's entries as `KeyValue` fields.
    mutating func writeAttributes(
        _ tag: UInt8, _ list: AttributeList, _ batch: Batch, _ bytes: RawSpan
    ) {
        writeAttributes(tag, in: list.place, batch, bytes)
    }

    /// The same of a list that stands at a place of the batch.
    mutating func writeAttributes(
        _ tag: UInt8, in list: ListPlace, _ batch: Batch, _ bytes: RawSpan
    ) {
        if list.isEmpty { return }
        var reader = ValueReader(list, in: bytes)
        for _ in 0..<list.count { writeKeyValue(tag, &reader, batch, bytes) }
    }

    /// The same without texts under one key.
    mutating func writeAttributes(
        _ tag: UInt8, _ list: AttributeList, _ batch: Batch, _ bytes: RawSpan,
        except key: TextRef?
    ) {
        guard let key else { return writeAttributes(tag, list, batch, bytes) }
        var reader = ValueReader(list.place, in: bytes)
        for (name, value) in list {
            var next = reader
            if name == key, case .string = value {
                _ = (next.key(), next.value())
            } else {
                writeKeyValue(tag, &next, batch, bytes)
            }
            reader = next
        }
    }

    @inline(__always)
    private mutating func writeKeyValue(
        _ tag: UInt8, _ reader: inout ValueReader, _ batch: Batch, _ bytes: RawSpan
    ) {
        let key = bytes.extracting(batch.range(reader.key()))
        let value = reader.value()
        switch value {
        case .string(let ref):
            let text = bytes.extracting(batch.range(ref))
            let length = text.byteCount
            let size = 1 &+ ByteWriter.size(varint: UInt64(length)) &+ length
            beginKeyValue(tag, key, valueBytes: size)
            explicitField(0x0A, bytes: text)
        case .bool(let value):
            beginKeyValue(tag, key, valueBytes: 2)
            write(uint8: 0x10)
            write(uint8: value ? 1 : 0)
        case .int(let value):
            let word = UInt64(bitPattern: value)
            beginKeyValue(tag, key, valueBytes: 1 &+ ByteWriter.size(varint: word))
            write(uint8: 0x18)
            write(varint: word)
        case .double(let value):
            beginKeyValue(tag, key, valueBytes: 9)
            explicitField(0x21, fixed64: value.bitPattern)
        case .none: beginKeyValue(tag, key, valueBytes: 0)
        case .bytes, .array, .map: writeLargeKeyValue(tag, key, value, &reader, batch, bytes)
        }
    }

    /// Writes all but the value's content, whose size is known.
    @inline(__always)
    mutating func beginKeyValue(_ tag: UInt8, _ key: RawSpan, valueBytes: Int) {
        let keyBytes = key.byteCount
        var size = 1 &+ ByteWriter.size(varint: UInt64(valueBytes)) &+ valueBytes
        if keyBytes > 0 {
            size &+= 1 &+ ByteWriter.size(varint: UInt64(keyBytes)) &+ keyBytes
        }
        write(upTo: 22) {
            $0.write(uint8: tag)
            $0.write(varint: UInt64(truncatingIfNeeded: size))
            if keyBytes > 0 {
                $0.write(uint8: 0x0A)
                $0.write(varint: UInt64(truncatingIfNeeded: keyBytes))
            }
        }
        write(bytes: key)
        write(upTo: 11) {
            $0.write(uint8: 0x12)
            $0.write(varint: UInt64(truncatingIfNeeded: valueBytes))
        }
    }

    @inline(never)
    private mutating func writeLargeKeyValue(
        _ tag: UInt8, _ key: RawSpan, _ value: PlainValue, _ reader: inout ValueReader,
        _ batch: Batch, _ bytes: RawSpan
    ) {
        let place = open(tag)
        field(0x0A, bytes: key)
        writeAnyValue(0x12, value, &reader, batch, bytes)
        close(place)
    }

    /// Writes a value as an `AnyValue` field. The validator has bounded its depth.
    mutating func writeAnyValue(
        _ tag: UInt8, _ value: PlainValue, _ reader: inout ValueReader, _ batch: Batch,
        _ bytes: RawSpan
    ) {
        let place = open(tag)
        switch value {
        case .none: break
        case .string(let ref): explicitField(0x0A, bytes: bytes.extracting(batch.range(ref)))
        case .bool(let value):
            write(uint8: 0x10)
            write(uint8: value ? 1 : 0)
        case .int(let value):
            write(uint8: 0x18)
            write(varint: UInt64(bitPattern: value))
        case .double(let value): explicitField(0x21, fixed64: value.bitPattern)
        case .bytes(let ref): explicitField(0x3A, bytes: bytes.extracting(batch.range(ref)))
        case .array(let count):
            let list = open(0x2A)
            for _ in 0..<count { writeAnyValue(0x0A, reader.value(), &reader, batch, bytes) }
            close(list)
        case .map(let count):
            let list = open(0x32)
            for _ in 0..<count { writeKeyValue(0x0A, &reader, batch, bytes) }
            close(list)
        }
        close(place)
    }
}
