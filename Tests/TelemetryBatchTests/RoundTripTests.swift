import ByteCoding
import SimulationKit
import TelemetryBatch
import Testing

/// Reads all that a batch's views can show, so that any wrong step meets a bounds check.
func readEverything(_ batch: Batch) -> String { BatchModel(batch).json(batch.summary) }

/// Whether the validator takes these bytes.
func accepts(_ bytes: [UInt8]) -> Bool {
    do throws(BatchError) {
        _ = try BatchValidator.validate(bytes.span.bytes)
        return true
    } catch {
        return false
    }
}

@Suite("Round trips")
struct RoundTripTests {
    @Test(arguments: 0..<20)
    func `a random batch is read as it was written`(seed: Int) throws {
        var models = RandomModels(seed: UInt64(seed))
        var builder = BatchBuilder(producer: .random())
        for records in [0, 1, 3, 20] {
            let model = models.batch(records: records)
            builder.producer = model.header.producer
            let bytes = model.encoded(with: &builder)
            let batch = try Batch(bytes)
            #expect(readEverything(batch) == model.json(batch.summary), "seed \(seed)")
            #expect(batch.summary == (try BatchValidator.validate(bytes.span.bytes)))
            #expect(BatchModel(batch).encoded() == bytes, "seed \(seed)")
        }
    }

    @Test(arguments: 0..<10)
    func `one that was validated before is read as at first`(seed: Int) throws {
        var models = RandomModels(seed: UInt64(seed))
        var builder = BatchBuilder(producer: .random())
        for records in [0, 3, 40] {
            let bytes = models.batch(records: records).encoded(with: &builder)
            let first = try Batch(bytes)
            let again = try Batch(validatedBefore: bytes)
            #expect(BatchModel(again).encoded() == bytes, "seed \(seed)")
            var summary = first.summary
            (summary.earliest, summary.latest) = (0, 0)
            #expect(again.summary == summary, "seed \(seed)")
        }
    }

    @Test func `of a validated one that was cut off since no table is found`() throws {
        var models = RandomModels(seed: 1)
        var builder = BatchBuilder(producer: .random())
        let bytes = models.batch(records: 3).encoded(with: &builder)
        for count in stride(from: 0, to: bytes.count, by: 7) {
            #expect(throws: BatchError.self) { try Batch(validatedBefore: Array(bytes[..<count])) }
        }
    }

    @Test func `the summary counts records and spans their times`() throws {
        let model = model(
            [
                .span(span { $0.duration = 500 }),
                .log(LogModel(time: 0, observedTime: someTime - 7)),
                .log(LogModel()), .point(point(.number(.int(1))) { $0.time = someTime + 900 }),
            ], metrics: [metric(.gauge)])
        let summary = try BatchValidator.validate(model.encoded().span.bytes)
        #expect(summary.spans == 1 && summary.logs == 2 && summary.points == 1)
        #expect(summary.earliest == someTime - 7 && summary.latest == someTime + 900)
        #expect(summary.traceIDs == [someTrace])
    }
}

@Suite("Hostile bytes")
struct HostileTests {
    static let samples: [String] = [
        "everything", "span-every-field", "log-every-field", "histogram", "exponential-histogram",
        "summary", "sum-every-field", "trailing-bytes", "padded-varints", "span-nesting-limit",
    ]

    private func bytes(_ name: String) throws -> [UInt8] {
        let example = try #require(validCases.first { $0.name == name })
        return try #require(example.bytes ?? example.model?.encoded())
    }

    /// Views are read if and only if the validator takes the bytes.
    private func check(_ bytes: [UInt8]) -> Bool {
        let accepted = accepts(bytes)
        do throws(BatchError) {
            let batch = try Batch(bytes)
            #expect(accepted)
            #expect(!readEverything(batch).isEmpty)
        } catch {
            #expect(!accepted)
        }
        return accepted
    }

    @Test(arguments: samples)
    func `every truncation is refused, none reads outside`(_ name: String) throws {
        let bytes = try bytes(name)
        for length in 0..<bytes.count {
            let cut = Array(bytes[..<length])
            // A cut between two sections leaves too few records, or is a batch without them.
            if check(cut) { #expect(name == "trailing-bytes" || length >= 64) }
        }
    }

    @Test(arguments: samples)
    func `every flipped byte is judged without a crash`(_ name: String) throws {
        let bytes = try bytes(name)
        var random = SeededGenerator(seed: 3)
        for position in 0..<bytes.count {
            for mask: UInt8 in [0x01, 0x80, 0xFF, UInt8(truncatingIfNeeded: random.next()) | 2] {
                _ = check(changed(bytes, at: position, to: bytes[position] ^ mask))
            }
        }
    }

    @Test(arguments: 0..<20)
    func `random damage is judged without a crash`(seed: Int) throws {
        var models = RandomModels(seed: UInt64(1_000 + seed))
        let bytes = models.batch(records: 8).encoded()
        for _ in 0..<200 {
            var damaged = bytes
            for _ in 0...models.random.below(4) {
                let position = models.random.below(damaged.count)
                switch models.random.below(3) {
                case 0: damaged[position] = UInt8(truncatingIfNeeded: models.random.next())
                case 1: damaged.remove(at: position)
                default: damaged.insert(0xFF, at: position)
                }
            }
            _ = check(damaged)
        }
    }

    @Test(arguments: 0..<10)
    func `frames of random bytes are refused or read`(seed: Int) throws {
        var random = SeededGenerator(seed: UInt64(seed))
        let streams = validStreams + invalidStreams
        for example in streams {
            var bytes = example.bytes
            for _ in 0..<20 where !bytes.isEmpty {
                bytes[random.below(bytes.count)] = UInt8(truncatingIfNeeded: random.next())
                let (found, _, _) = frames(in: bytes)
                for frame in found {
                    var json = JSONWriter()
                    do throws(BatchError) { try write(frame, &json) } catch { continue }
                }
            }
        }
    }
}
