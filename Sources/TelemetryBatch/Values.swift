/// An attribute's value or a log event's body, as OTLP's `AnyValue`.
package enum Value: Sendable {
    /// Nothing set.
    case none
    /// A text.
    case string(TextRef)
    /// A truth value.
    case bool(Bool)
    /// A signed integer.
    case int(Int64)
    /// A binary64.
    case double(Double)
    /// Arbitrary bytes.
    case bytes(BytesRef)
    /// Values in order.
    case array(ValueList)
    /// Keys and values in order; keys may repeat.
    case map(AttributeList)
}

/// Keys and values in their order; keys may repeat.
package struct AttributeList: Sequence, Sendable {
    let batch: Batch
    /// Where they stand in the batch.
    package let place: ListPlace

    /// The number of entries.
    package var count: Int { place.count }

    /// Whether there are none.
    package var isEmpty: Bool { place.count == 0 }

    /// The first entry onwards.
    package func makeIterator() -> Iterator {
        Iterator(batch: batch, left: place.count, reader: .init(batch.bytes, at: place.start))
    }

    /// Visits entries in order.
    package struct Iterator: IteratorProtocol {
        let batch: Batch
        var left: Int
        var reader: TrustedReader

        /// The next entry.
        package mutating func next() -> (key: TextRef, value: Value)? {
            if left == 0 { return nil }
            left -= 1
            let key = reader.text()
            return (key, Value(&reader, batch))
        }
    }
}

/// The values of an array.
package struct ValueList: Sequence, Sendable {
    let batch: Batch
    let place: ListPlace

    /// The number of values.
    package var count: Int { place.count }

    /// The first value onwards.
    package func makeIterator() -> Iterator {
        Iterator(batch: batch, left: place.count, reader: .init(batch.bytes, at: place.start))
    }

    /// Visits values in order.
    package struct Iterator: IteratorProtocol {
        let batch: Batch
        var left: Int
        var reader: TrustedReader

        /// The next value.
        package mutating func next() -> Value? {
            if left == 0 { return nil }
            left -= 1
            return Value(&reader, batch)
        }
    }
}

extension Value {
    init(_ reader: inout TrustedReader, _ batch: Batch) {
        switch reader.uint8() {
        case ValueTag.string: self = .string(reader.text())
        case ValueTag.no: self = .bool(false)
        case ValueTag.yes: self = .bool(true)
        case ValueTag.integer: self = .int(reader.zigzag())
        case ValueTag.double: self = .double(reader.double())
        case ValueTag.bytes: self = .bytes(BytesRef(index: reader.word()))
        case ValueTag.array:
            let place = ListPlace(count: reader.int(), start: reader.position)
            for _ in 0..<place.count { reader.skipValue() }
            self = .array(ValueList(batch: batch, place: place))
        case ValueTag.map:
            self = .map(AttributeList(batch: batch, place: reader.skipAttributes()))
        default: self = .none
        }
    }
}

/// Doubles in place: explicit histogram bounds.
package struct DoubleList: RandomAccessCollection, Sendable {
    let batch: Batch
    let place: ListPlace

    /// 0.
    package var startIndex: Int { 0 }
    /// The number of doubles.
    package var endIndex: Int { place.count }

    /// The double at an index. Traps outside.
    package subscript(index: Int) -> Double {
        precondition(index >= 0 && index < place.count)
        var reader = TrustedReader(batch.bytes, at: place.start + index * 8)
        return reader.double()
    }
}

/// A histogram's bucket counts; runs of zeros are stored short.
package struct BucketList: Sequence, Sendable {
    let batch: Batch
    let place: ListPlace

    /// The number of buckets, zeros included.
    package var count: Int { place.count }

    /// The first bucket onwards.
    package func makeIterator() -> Iterator {
        Iterator(left: place.count, zeros: 0, reader: .init(batch.bytes, at: place.start))
    }

    /// Visits bucket counts in order.
    package struct Iterator: IteratorProtocol {
        var left: Int
        var zeros: Int
        var reader: TrustedReader

        /// The next bucket's count.
        package mutating func next() -> UInt64? {
            if left == 0 { return nil }
            left -= 1
            if zeros > 0 {
                zeros -= 1
                return 0
            }
            let count = reader.varint()
            if count == 0 { zeros = reader.int() }
            return count
        }
    }
}
