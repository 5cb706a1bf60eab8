import ByteCoding
import SegmentLog
import SystemIO

/// A log as large as one likes, and what opening it costs.
enum LargeLog {
    /// Batches of 32 spans, about 33 KiB each; left as a killed agent leaves it.
    static func make(at path: String, bytes: UInt64) throws {
        let storage = try DirectoryStorage(creating: path)
        var limits = LogLimits(
            capBytes: bytes + (1 << 30), space: StorageSpace(total: bytes * 4, available: bytes * 2)
        )
        limits.reserveBytes = 0
        limits.syncBytes = 256 << 20
        let log = try LogWriter(state: storage, limits: limits)
        var written: UInt64 = 0
        var number: UInt64 = 0
        var templates: [AppendRequest] = []
        for user in 0..<4 {
            templates.append(
                SmallLog.request(
                    uid: 1000 + UInt32(user), producer: ID128(high: 5, low: 5), sequence: 1,
                    records: 32, attributeBytes: 1000))
        }
        while written < bytes {
            var group: [AppendRequest] = []
            for _ in 0..<16 {
                // As many producers as the dedupe table may hold.
                var next = templates[Int(number % 4)]
                next.producer = ID128(high: 5, low: number / 4 % 16_384)
                next.sequence = number / 65_536 + 1
                number += 1
                written += UInt64(next.payload.count + 128)
                group.append(next)
            }
            for result in log.append(group) { _ = try result.get() }
        }
        try log.sync()
        print("{\"batches\":\(number),\"bytes\":\(log.statistics.bytes)}")
    }

    /// Opens it as an agent does, with limits above its size.
    static func measure(_ path: String) throws {
        let storage = DirectoryStorage(opening: path)
        var limits = LogLimits(
            capBytes: 1 << 40, space: StorageSpace(total: 1 << 40, available: 1 << 40))
        limits.reserveBytes = 0
        let peak = Monitor((anonymous: UInt64(0), all: UInt64(0), ended: false))
        let watch = try SystemThread.start(name: "memory") {
            while true {
                let now = ThisProcess.memory()
                let ended = peak.update { peak -> Bool in
                    peak.anonymous = max(peak.anonymous, now.anonymous)
                    peak.all = max(peak.all, now.anonymous + now.file)
                    return peak.ended
                }
                if ended { return }
                _ = peak.wait(until: Clocks.monotonic() + 2_000_000) { $0.ended ? true : nil }
            }
        }
        let start = Clocks.monotonic()
        let log = try LogWriter(state: storage, limits: limits)
        let seconds = Double(Clocks.monotonic() - start) / 1e9
        peak.update { $0.ended = true }
        watch.join()
        let memory = peak.withLock { $0 }
        let file = ThisProcess.memory().file
        let statistics = log.statistics
        var json = JSONWriter()
        json.beginObject()
        json.key("seconds")
        json.double(seconds)
        for (key, value) in [
            ("anonymous_peak_bytes", memory.anonymous), ("file_bytes", file),
            ("peak_bytes", memory.all),
            ("segments", UInt64(statistics.segments)), ("bytes", statistics.bytes),
            ("batches", statistics.kept.batches), ("records", statistics.kept.records),
            ("scanned_batches", log.recovery.scannedBatches),
        ] {
            json.key(key)
            json.integer(value)
        }
        json.key("clean")
        json.bool(log.recovery.clean)
        json.endObject()
        print(json.text)
        try log.close()
    }
}
