package import ByteCoding
import Synchronization

/// The kernel's word on who sent a batch; nil is unknown, never a guess.
package struct PeerIdentity: Sendable, Hashable {
    /// Effective uid.
    package var uid: UInt32?
    /// Effective gid.
    package var gid: UInt32?
    /// Process id.
    package var pid: UInt32?
    /// When that process started, in clock ticks since boot.
    package var startTicks: UInt64?

    /// What is known.
    package init(
        uid: UInt32? = nil, gid: UInt32? = nil, pid: UInt32? = nil, startTicks: UInt64? = nil
    ) {
        self.uid = uid
        self.gid = gid
        self.pid = pid
        self.startTicks = startTicks
    }

    /// Nothing is known.
    package static let unknown = PeerIdentity()
}

/// Which receiver took a batch.
package enum ReceiverKind: UInt8, Sendable, CaseIterable {
    /// The ingest socket.
    case socket = 1
    /// A spool file.
    case file = 2
    /// OTLP over HTTP.
    case otlpHTTP = 3
    /// OTLP over gRPC.
    case otlpGRPC = 4
    /// The agent itself.
    case agent = 5
}

/// What the agent says of a stored batch: the fixed part of an entry (segment-log.md, Entry).
package struct Envelope: Sendable, Equatable {
    /// Bytes of an envelope as we write it.
    package static let encodedBytes = 128
    /// Bytes of payload that an entry can have; a larger length is damage.
    package static let payloadBytesMax = 16 << 20

    /// Where it is.
    package var offset: LogOffset
    /// The segment's nonce.
    package var nonce: UInt64
    /// Bytes of the envelope itself.
    package var envelopeBytes = Envelope.encodedBytes
    /// Bytes of the batch.
    package var payloadBytes: Int
    /// CRC32C of the batch.
    package var payloadCRC: UInt32
    /// When it was received, nanoseconds since 1970.
    package var received: UInt64
    /// Who sent it.
    package var peer: PeerIdentity
    /// Number of the receiver that took it.
    package var receiver: UInt8
    /// Bit 0: rewritten by redaction.
    package var flags: UInt8
    /// Whose batch it is.
    package var producer: ID128
    /// Its sequence.
    package var sequence: UInt64
    /// Records in it.
    package var records: UInt32
    /// Of these spans.
    package var spans: UInt32
    /// Of these log events; the rest are metric points.
    package var logs: UInt32
    /// Earliest record time, 0 if none.
    package var earliest: UInt64
    /// Latest record time, 0 if none.
    package var latest: UInt64

    /// The receiver, nil for a number of a later version.
    package var receiverKind: ReceiverKind? { ReceiverKind(rawValue: receiver) }
    /// Bytes from this entry to the next.
    package var entryBytes: Int { Envelope.aligned(envelopeBytes + payloadBytes) }
    /// Where the next entry would begin.
    package var next: LogOffset { offset.advanced(by: entryBytes) }

    static func aligned(_ count: Int) -> Int { (count + 7) & ~7 }
}

extension Envelope {
    static let magic: UInt32 = 0x4554_5843  // "CXTE"
    static let version: UInt16 = 0

    /// Appends the encoded envelope.
    func encode(into writer: inout ByteWriter) {
        let start = writer.count
        writer.write(uint32: Envelope.magic)
        writer.write(uint16: Envelope.version)
        writer.write(uint16: UInt16(Envelope.encodedBytes))
        writer.write(uint32: UInt32(payloadBytes))
        writer.write(uint32: payloadCRC)
        writer.write(uint64: nonce)
        writer.write(uint64: offset.rawValue)
        writer.write(uint64: received)
        writer.write(uint64: peer.startTicks ?? 0)
        writer.write(uint32: peer.uid ?? .max)
        writer.write(uint32: peer.gid ?? .max)
        writer.write(uint32: peer.pid ?? 0)
        writer.write(uint8: receiver)
        writer.write(uint8: flags)
        writer.write(uint16: 0)
        writer.write(id: producer)
        writer.write(uint64: sequence)
        writer.write(uint32: records)
        writer.write(uint32: spans)
        writer.write(uint64: earliest)
        writer.write(uint64: latest)
        writer.write(uint32: logs)
        writer.write(uint64: 0)
        let crc = crc32c(writer.span.extracting(start..<writer.count))
        writer.write(uint32: crc)
    }

    /// Reads an envelope that must stand at `offset` with this nonce (any nonce if nil); nil if the bytes
    /// are anything else. `bytes` may hold more than the envelope.
    static func decode(_ bytes: RawSpan, at offset: LogOffset, nonce: UInt64?) -> Envelope? {
        guard bytes.byteCount >= encodedBytes else { return nil }
        var reader = ByteReader(bytes)
        do {
            guard try reader.readUInt32() == magic, try reader.readUInt16() == version else {
                return nil
            }
            let size = Int(try reader.readUInt16())
            guard size >= encodedBytes, size % 8 == 0, size <= bytes.byteCount else { return nil }
            let payloadBytes = Int(try reader.readUInt32())
            let payloadCRC = try reader.readUInt32()
            let foundNonce = try reader.readUInt64()
            let foundOffset = LogOffset(rawValue: try reader.readUInt64())
            guard foundOffset == offset, nonce == nil || foundNonce == nonce,
                payloadBytes <= payloadBytesMax
            else { return nil }
            var check = ByteReader(bytes, in: (size - 4)..<size)
            guard crc32c(bytes.extracting(0..<(size - 4))) == (try check.readUInt32()) else {
                return nil
            }
            let received = try reader.readUInt64()
            let peer = try readPeer(&reader)
            let receiver = try reader.readUInt8()
            let flags = try reader.readUInt8()
            try reader.skip(2)
            let producer = try reader.readID128()
            let sequence = try reader.readUInt64()
            let records = try reader.readUInt32()
            let spans = try reader.readUInt32()
            let earliest = try reader.readUInt64()
            let latest = try reader.readUInt64()
            let logs = try reader.readUInt32()
            return Envelope(
                offset: offset, nonce: foundNonce, envelopeBytes: size,
                payloadBytes: payloadBytes, payloadCRC: payloadCRC, received: received,
                peer: peer, receiver: receiver, flags: flags, producer: producer,
                sequence: sequence, records: records, spans: spans, logs: logs,
                earliest: earliest, latest: latest)
        } catch {
            return nil
        }
    }

    private static func readPeer(_ reader: inout ByteReader) throws(ByteError) -> PeerIdentity {
        let ticks = try reader.readUInt64()
        let uid = try reader.readUInt32()
        let gid = try reader.readUInt32()
        let pid = try reader.readUInt32()
        return PeerIdentity(
            uid: uid == .max ? nil : uid, gid: gid == .max ? nil : gid,
            pid: pid == 0 ? nil : pid, startTicks: ticks == 0 ? nil : ticks)
    }
}

/// A batch to be stored, as its receiver hands it over.
package struct AppendRequest: Sendable {
    /// The batch.
    package var payload: [UInt8]
    /// CRC32C of the batch, checked by the receiver.
    package var payloadCRC: UInt32
    /// Who sent it.
    package var peer: PeerIdentity
    /// Which receiver took it.
    package var receiver: ReceiverKind
    /// Whether redaction rewrote it.
    package var rewritten: Bool
    /// Whose batch it is. Zero: it has no identity and is never a duplicate (OTLP).
    package var producer: ID128
    /// Its sequence.
    package var sequence: UInt64
    /// Records in it.
    package var records: UInt32
    /// Of these spans.
    package var spans: UInt32
    /// Of these log events.
    package var logs: UInt32
    /// Earliest record time, 0 if none.
    package var earliest: UInt64
    /// Latest record time, 0 if none.
    package var latest: UInt64
    /// Its traces, for the segment's filter.
    package var traceIDs: [ID128]
    /// The connection that it came over, so that nothing of it is stored after a batch that was not.
    package var stream: AppendStream?

    /// All of it.
    package init(
        payload: [UInt8], payloadCRC: UInt32, peer: PeerIdentity, receiver: ReceiverKind,
        rewritten: Bool = false, producer: ID128, sequence: UInt64, records: UInt32,
        spans: UInt32, logs: UInt32, earliest: UInt64, latest: UInt64, traceIDs: [ID128],
        stream: AppendStream? = nil
    ) {
        self.payload = payload
        self.payloadCRC = payloadCRC
        self.peer = peer
        self.receiver = receiver
        self.rewritten = rewritten
        self.producer = producer
        self.sequence = sequence
        self.records = records
        self.spans = spans
        self.logs = logs
        self.earliest = earliest
        self.latest = latest
        self.traceIDs = traceIDs
        self.stream = stream
    }
}

/// One connection's batches in their order. Once one of them could not be stored none of the later ones is
/// (`LogError.interrupted`): dedupe knows only the highest sequence, and a producer that sends again
/// from the lost one on must not find it taken for a duplicate. A new connection makes a new stream.
package final class AppendStream: Sendable {
    private let broken = Atomic<Bool>(false)

    /// An unbroken one.
    package init() {}

    /// Whether a batch of it could not be stored.
    package var isBroken: Bool { broken.load(ordering: .acquiring) }

    func breakOff() { broken.store(true, ordering: .releasing) }
}

/// What became of a batch.
package enum AppendOutcome: Sendable, Equatable {
    /// It is in the file at this offset, and survives the death of the agent.
    case stored(LogOffset)
    /// It, or a later one of its producer, was there already.
    case duplicate
}

extension UInt64 {
    /// The sum, at most what 64 bits hold.
    func adding(_ other: UInt64) -> UInt64 {
        let (sum, isOver) = addingReportingOverflow(other)
        return isOver ? .max : sum
    }
}

/// Counts of batches and records: how far into the log's whole history a place is.
package struct LogOrdinal: Sendable, Equatable, Hashable {
    /// Batches.
    package var batches: UInt64
    /// Records.
    package var records: UInt64
    /// Both given.
    package init(batches: UInt64 = 0, records: UInt64 = 0) {
        self.batches = batches
        self.records = records
    }

    /// The sum; what passes 64 bits stays at their end: the counts of a header or footer are the disk's
    /// word.
    static func + (left: LogOrdinal, right: LogOrdinal) -> LogOrdinal {
        LogOrdinal(
            batches: left.batches.adding(right.batches), records: left.records.adding(right.records)
        )
    }

    /// The further of two places, field by field.
    static func further(_ left: LogOrdinal, _ right: LogOrdinal) -> LogOrdinal {
        LogOrdinal(
            batches: max(left.batches, right.batches), records: max(left.records, right.records))
    }

    /// The nearer of two places, field by field.
    static func nearer(_ left: LogOrdinal, _ right: LogOrdinal) -> LogOrdinal {
        LogOrdinal(
            batches: min(left.batches, right.batches), records: min(left.records, right.records))
    }

    /// What lies between, zero if `right` is further.
    static func - (left: LogOrdinal, right: LogOrdinal) -> LogOrdinal {
        LogOrdinal(
            batches: left.batches - min(left.batches, right.batches),
            records: left.records - min(left.records, right.records))
    }
}
