import ByteCoding

/// The first frame of a connection (wire.md, "hello").
package struct Hello: Equatable, Sendable {
    /// `CXTL`.
    package static let magic: [UInt8] = [0x43, 0x58, 0x54, 0x4C]
    static let fixedBytes = 40

    /// The client's producer id. Not zero.
    package var producer: ProducerID
    /// The sequence that the client will send next.
    package var nextSequence: UInt64
    /// Whether the client reads answers; if not the agent sends none, ever.
    package var readsAnswers: Bool
    /// What the client says of itself, in order: `client.name`, `client.version`, `environment`.
    package var properties: [Property]

    /// A key and its value.
    package struct Property: Equatable, Sendable {
        /// At most 64 bytes.
        package var key: String
        /// At most 1,024 bytes.
        package var value: String

        /// A property.
        package init(key: String, value: String) {
            self.key = key
            self.value = value
        }
    }

    /// A hello to send.
    package init(
        producer: ProducerID, nextSequence: UInt64 = 1, readsAnswers: Bool = false,
        properties: [Property] = []
    ) {
        self.producer = producer
        self.nextSequence = nextSequence
        self.readsAnswers = readsAnswers
        self.properties = properties
    }

    /// Reads a body. Every error of a hello is fatal to its connection.
    package init(decoding body: RawSpan) throws(BatchError) {
        var reader = ByteReader(body)
        for expected in Hello.magic where try reader.uint8("hello magic") != expected {
            throw BatchError(.badMagic, at: 0, "hello magic")
        }
        if try reader.uint16("hello version") != 0 {
            throw BatchError(.unsupportedVersion, at: 4, "hello version")
        }
        let fixed = Int(try reader.uint16("hello fixed bytes"))
        if fixed < Hello.fixedBytes { throw BatchError(.badValue, at: 6, "hello fixed bytes") }
        if fixed > body.byteCount { throw BatchError(.truncated, at: 6, "hello fixed bytes") }
        producer = try reader.id128("hello producer id")
        if producer.isZero { throw BatchError(.badValue, at: 8, "hello producer id") }
        nextSequence = try reader.uint64("hello sequence")
        readsAnswers = try reader.uint32("hello flags") & 1 != 0
        try reader.pass(fixed - 36, "hello fixed bytes")
        let count = try reader.count(WireLimits.helloKeysMax, "hello keys")
        properties = []
        for _ in 0..<count {
            let key = try reader.text(WireLimits.helloKeyBytesMax, "hello key")
            let value = try reader.text(WireLimits.helloValueBytesMax, "hello value")
            properties.append(Property(key: key, value: value))
        }
    }

    /// The whole frame.
    package var frame: Frame {
        var writer = ByteWriter()
        writer.write(bytes: Hello.magic)
        writer.write(uint16: 0)
        writer.write(uint16: UInt16(Hello.fixedBytes))
        writer.write(id: producer)
        writer.write(uint64: nextSequence)
        writer.write(uint32: readsAnswers ? 1 : 0)
        writer.write(uint32: 0)
        writer.write(varint: UInt64(properties.count))
        for property in properties {
            writer.write(varint: UInt64(property.key.utf8.count))
            writer.write(utf8: property.key)
            writer.write(varint: UInt64(property.value.utf8.count))
            writer.write(utf8: property.value)
        }
        return Frame(type: .hello, body: writer.bytes)
    }
}
