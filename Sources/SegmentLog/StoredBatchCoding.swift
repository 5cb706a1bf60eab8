package import ByteCoding

extension StoredBatch {
    /// The entry's bytes, envelope and payload, as they stand in the log (without padding): what the
    /// control socket streams.
    package func encodeEntry(into writer: inout ByteWriter) {
        envelope.encode(into: &writer)
        writer.write(bytes: payload)
    }

    /// Reads what `encodeEntry` wrote; nil if the bytes are no entry.
    package init?(entry bytes: [UInt8]) {
        let span = bytes.span.bytes
        var reader = ByteReader(span)
        do {
            // An envelope names its own offset (segment-log.md, Entry).
            try reader.skip(24)
            let offset = LogOffset(rawValue: try reader.readUInt64())
            guard let envelope = Envelope.decode(span, at: offset, nonce: nil),
                envelope.envelopeBytes + envelope.payloadBytes == bytes.count
            else { return nil }
            self.init(envelope: envelope, payload: Array(bytes[envelope.envelopeBytes...]))
            guard crc32c(payload.span.bytes) == envelope.payloadCRC else { return nil }
        } catch { return nil }
    }
}
