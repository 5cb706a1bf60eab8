import ByteCoding
import SegmentLog
import SystemIO
import TelemetryBatch

/// Opens damaged copies of a log with the agent's own code and says what came of it.
final class DamagedOpening {
    private let scratch: String
    private let files: [(name: String, bytes: [UInt8])]
    /// What was acknowledged: it is all sent again.
    private let original: [StoredBatch]

    init(base: String, scratch: String) throws {
        self.scratch = scratch
        files = try ["log/", ""].flatMap { folder in
            try Files.list(base + "/" + folder).compactMap { name in
                let path = base + "/" + folder + name
                guard try Files.facts(path).kind == .regular else { return nil }
                return (folder + name, try Files.read(path, limit: 1 << 20))
            }
        }
        var original: [StoredBatch] = []
        let reader = try LogReader(
            state: DirectoryStorage(opening: base), at: .beginning)
        while case .batch(let batch)? = try reader.next() { original.append(batch) }
        self.original = original
    }

    /// One line of JSON: `before` what a reader finds, then the first start and the second.
    func run(_ variant: Variant) throws -> String {
        try lay(variant)
        let state = try DirectoryStorage(creating: scratch)
        var json = JSONWriter()
        json.beginObject()
        json.key("variant")
        json.string(variant.text)
        json.key("before")
        let before = try LogReader(state: state, at: .beginning)
        try read(before, into: &json) { _ in }
        json.key("first")
        try start(state, sendsAgain: true, &json)
        json.key("second")
        try start(state, sendsAgain: false, &json)
        json.endObject()
        return json.text
    }

    /// Writes the copy: the scratch directory holds nothing else.
    private func lay(_ variant: Variant) throws {
        for folder in ["log", "quarantine", "cursors"] where Files.exists(scratch + "/" + folder) {
            for name in try Files.list(scratch + "/" + folder) {
                try Files.remove(scratch + "/" + folder + "/" + name)
            }
        }
        try Files.makeDirectories(scratch + "/log")
        for (name, bytes) in files {
            let changed = name == variant.file ? variant.applied(to: bytes) : bytes
            guard let changed else { continue }
            let file = try Files.open(
                scratch + "/" + name, [.write, .create, .truncate], mode: 0o600)
            try file.write(changed.span.bytes, at: 0)
        }
    }

    private func start(_ state: DirectoryStorage, sendsAgain: Bool, _ json: inout JSONWriter)
        throws
    {
        let log = try GroupCommit(state: state, limits: SmallLog.limits)
        defer { log.shutdown() }
        json.beginObject()
        report(log, &json)
        json.key("log_id")
        json.string(log.logID.hex)
        json.key("read")
        let reader = try LogReader(state: state, at: .beginning, committed: log.committedSource)
        try read(reader, into: &json) { log.report($0) }
        if sendsAgain {
            json.key("sent_again")
            json.beginArray()
            for batch in original { json.string(try sendAgain(batch, log)) }
            json.endArray()
            json.key("new")
            let fresh = SmallLog.request(
                uid: 1002, producer: .init(high: 3, low: 3), sequence: 1, records: 1)
            json.string(try submit(fresh, log))
        }
        log.shutdown()
        statistics(log, &json)
        try quarantine(&json)
        json.endObject()
    }

    private func report(_ log: GroupCommit, _ json: inout JSONWriter) {
        let found = log.recovery
        json.key("clean")
        json.bool(found.clean)
        json.key("torn")
        json.beginArray()
        for range in found.tornTails { self.range(range, &json) }
        json.endArray()
        json.key("damaged")
        json.beginArray()
        for range in found.damaged { self.range(range, &json) }
        json.endArray()
        json.key("problems")
        json.beginArray()
        for problem in found.problems { json.string(problem) }
        json.endArray()
        json.key("highest")
        json.beginArray()
        for (uid, producer) in SmallLog.producers {
            json.integer(log.highestSequence(uid: uid, producer: producer))
        }
        json.endArray()
    }

    private func read(
        _ reader: LogReader, into json: inout JSONWriter, damaged: (DamagedRange) -> Void
    ) throws {
        var batches = JSONWriter()
        var ranges = JSONWriter()
        var missed = LogOrdinal()
        batches.beginArray()
        ranges.beginArray()
        while let item = try reader.next() {
            switch item {
            case .batch(let batch): self.batch(batch, &batches)
            case .damaged(let range):
                damaged(range)
                self.range(range, &ranges)
                if let envelope = range.envelope {
                    missed.batches += 1
                    missed.records += UInt64(envelope.records)
                }
            case .missed(let range):
                missed.batches += range.count?.batches ?? 0
                missed.records += range.count?.records ?? 0
            }
        }
        batches.endArray()
        ranges.endArray()
        json.beginObject()
        json.key("batches")
        json.raw(batches.text)
        json.key("damaged")
        json.raw(ranges.text)
        json.key("missed")
        ordinal(missed, &json)
        json.endObject()
    }

    private func batch(_ batch: StoredBatch, _ json: inout JSONWriter) {
        let envelope = batch.envelope
        json.beginArray()
        json.string("\(batch.offset)")
        json.integer(envelope.peer.uid ?? 0)
        json.string(envelope.producer.hex)
        json.integer(envelope.sequence)
        json.integer(envelope.records)
        json.integer(crc32c(batch.payload.span.bytes))
        json.endArray()
    }

    private func range(_ range: DamagedRange, _ json: inout JSONWriter) {
        json.beginArray()
        json.string("\(range.from)")
        json.integer(range.count)
        json.endArray()
    }

    private func ordinal(_ ordinal: LogOrdinal, _ json: inout JSONWriter) {
        json.beginArray()
        json.integer(ordinal.batches)
        json.integer(ordinal.records)
        json.endArray()
    }

    private func statistics(_ log: GroupCommit, _ json: inout JSONWriter) {
        let now = log.statistics
        json.key("ranges")
        json.integer(now.damagedRanges)
        json.key("stored")
        ordinal(now.stored, &json)
        json.key("kept")
        ordinal(now.kept, &json)
        json.key("expired")
        ordinal(now.expired, &json)
        json.key("lost")
        ordinal(now.lost, &json)
    }

    private func quarantine(_ json: inout JSONWriter) throws {
        json.key("quarantine")
        json.beginObject()
        for name in try Files.list(scratch + "/quarantine") {
            json.key(name)
            let bytes = try Files.read(scratch + "/quarantine/" + name, limit: 1 << 20)
            json.string(Self.hex(bytes))
        }
        json.endObject()
    }

    private static func hex(_ bytes: [UInt8]) -> String {
        let digits = Array("0123456789abcdef".utf8)
        return String(
            decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }

    // MARK: Sending

    private func sendAgain(_ batch: StoredBatch, _ log: GroupCommit) throws -> String {
        let envelope = batch.envelope
        return try submit(
            AppendRequest(
                payload: batch.payload, payloadCRC: envelope.payloadCRC, peer: envelope.peer,
                receiver: .socket, producer: envelope.producer, sequence: envelope.sequence,
                records: envelope.records, spans: envelope.spans, logs: envelope.logs,
                earliest: envelope.earliest, latest: envelope.latest, traceIDs: []), log)
    }

    /// The offset of what was stored, or why it was not.
    private func submit(_ request: AppendRequest, _ log: GroupCommit) throws -> String {
        let done = Monitor<String?>(nil)
        let taken = log.submit(request) { result in
            done.update {
                switch result {
                case .success(.stored(let offset)): $0 = "\(offset)"
                case .success(.duplicate): $0 = "duplicate"
                case .failure(let error): $0 = "\(error)"
                }
            }
        }
        guard taken == .accepted else { return "\(taken)" }
        return done.wait { $0 } ?? "no answer"
    }
}
