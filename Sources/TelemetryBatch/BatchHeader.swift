import ByteCoding

/// A batch's fixed header (batch.md, "Header").
package struct BatchHeader: Equatable, Sendable {
    /// The bytes of the header that this version knows.
    package static let byteCount = 64
    /// The version that this code reads and writes.
    package static let version: UInt16 = 0

    /// The number of records of any type.
    package var recordCount: UInt32
    /// The producer's id. Not zero.
    package var producer: ProducerID
    /// The batch's place within its producer: from 1, rising.
    package var sequence: UInt64
    /// What the records' time differences count from, in nanoseconds since 1970.
    package var baseTime: UInt64
    /// OpenTelemetry's sampling threshold `th` of the batch's spans and their logs; 0: all kept.
    package var samplingThreshold: UInt64
    /// What the producer dropped since its previous batch.
    package var dropped: DroppedCounts

    /// A header. Zero sequence and producer are not valid on the wire.
    package init(
        recordCount: UInt32 = 0, producer: ProducerID, sequence: UInt64, baseTime: UInt64 = 0,
        samplingThreshold: UInt64 = 0, dropped: DroppedCounts = DroppedCounts()
    ) {
        self.recordCount = recordCount
        self.producer = producer
        self.sequence = sequence
        self.baseTime = baseTime
        self.samplingThreshold = samplingThreshold
        self.dropped = dropped
    }

    /// Writes the 64 bytes.
    func write(to writer: inout ByteWriter) {
        writer.write(uint16: BatchHeader.version)
        writer.write(uint16: UInt16(BatchHeader.byteCount))
        writer.write(uint32: recordCount)
        writer.write(id: producer)
        writer.write(uint64: sequence)
        writer.write(uint64: baseTime)
        writer.write(uint64: samplingThreshold)
        writer.write(uint32: dropped.spans)
        writer.write(uint32: dropped.logs)
        writer.write(uint32: dropped.points)
        writer.write(uint32: 0)
    }
}

/// Records that a producer dropped, by kind; each count saturates.
package struct DroppedCounts: Equatable, Sendable {
    /// Spans.
    package var spans: UInt32
    /// Log events.
    package var logs: UInt32
    /// Metric points.
    package var points: UInt32

    /// Counts; nothing dropped by default.
    package init(spans: UInt32 = 0, logs: UInt32 = 0, points: UInt32 = 0) {
        self.spans = spans
        self.logs = logs
        self.points = points
    }

    /// Whether nothing was dropped.
    package var isEmpty: Bool { spans | logs | points == 0 }
}
