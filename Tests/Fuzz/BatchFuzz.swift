import ByteCoding
import TelemetryBatch

/// A batch's bytes: the validator's judgement, the views, the encoder. The input is the batch.
enum BatchFuzz {
    static func seeds(_ folder: SeedFolder) throws -> [(name: String, bytes: [UInt8])] {
        try folder.hex("batches/valid") + folder.hex("batches/invalid")
    }

    static func run(_ bytes: [UInt8]) {
        guard let summary = validated(bytes) else {
            promise(batch(bytes) == nil, "the validator refuses what the views take")
            return
        }
        guard let batch = batch(bytes) else {
            fail("the validator takes what the views refuse")
        }
        promise(batch.summary == summary, "two summaries of one batch")
        let model = BatchModel(batch)
        check(model, summary)
        // Unknown records cannot be written; a text that is read repaired is longer.
        guard summary.others == 0, let again = model.encodedIfItFits() else { return }
        guard let second = self.batch(again) else {
            fail("what the builder writes is no batch: \(String(describing: error(again)))")
        }
        let secondModel = BatchModel(second)
        promise(
            contents(secondModel) == contents(model), "what is written again reads differently")
        promise(
            secondModel.encodedIfItFits() == again, "the reference encoding changes its mind")
    }

    static func validated(_ bytes: [UInt8]) -> BatchSummary? {
        do throws(BatchError) {
            return try BatchValidator.validate(bytes.span.bytes)
        } catch {
            promise(error.position <= bytes.count, "an error outside the batch: \(error)")
            return nil
        }
    }

    static func batch(_ bytes: [UInt8]) -> Batch? {
        do { return try Batch(bytes) } catch { return nil }
    }

    private static func error(_ bytes: [UInt8]) -> BatchError? {
        do {
            _ = try BatchValidator.validate(bytes.span.bytes)
            return nil
        } catch { return error }
    }

    /// The summary, computed again from what the views show.
    private static func check(_ model: BatchModel, _ summary: BatchSummary) {
        var spans: UInt32 = 0
        var logs: UInt32 = 0
        var points: UInt32 = 0
        var times: [UInt64] = []
        for record in model.records {
            switch record {
            case .span(let span):
                spans += 1
                times += [span.start, span.start &+ span.duration]
            case .log(let log):
                logs += 1
                times.append(log.time == 0 ? log.observedTime : log.time)
            case .point(let point):
                points += 1
                times.append(point.time)
            case .unknown: break
            }
        }
        times.removeAll { $0 == 0 }
        promise(
            (summary.spans, summary.logs, summary.points) == (spans, logs, points),
            "records are counted wrongly")
        promise(Int(summary.records) == model.records.count, "the header's count is wrong")
        promise(
            summary.earliest == times.min() ?? 0 && summary.latest == times.max() ?? 0,
            "times \(summary.earliest)…\(summary.latest), not \(times)")
    }

    /// All that a batch says, whatever its tables' order.
    private static func contents(_ model: BatchModel) -> [String] {
        var all = [text { $0.field("resource", model.resource.attributes) }]
        all.append(model.resource.schemaURL)
        all.append("\(model.resource.droppedAttributes)")
        for record in model.records {
            var record = record
            var parts: [String] = []
            switch record {
            case .span(var span):
                parts = scope(span.scope, model)
                span.scope = 0
                record = .span(span)
            case .log(var log):
                parts = scope(log.scope, model)
                log.scope = 0
                record = .log(log)
            case .point(var point):
                var metric = model.metrics[point.metric - 1]
                parts = scope(metric.scope, model)
                metric.scope = 0
                parts.append(text { $0.field("metric", [metric]) { $1.write(&$0) } })
                point.metric = 1
                record = .point(point)
            case .unknown: break
            }
            all += parts
            all.append(text { $0.field("record", [record]) { $1.write(&$0) } })
        }
        return all
    }

    private static func scope(_ index: Int, _ model: BatchModel) -> [String] {
        // Scope 0 and an entry that says nothing mean the same.
        let scope = index == 0 ? Scope(name: "") : model.scopes[index - 1]
        return [text { $0.field("scope", [scope]) { $1.write(&$0) } }]
    }

    private static func text(_ write: (inout JSONWriter) -> Void) -> String {
        var json = JSONWriter()
        json.beginObject()
        write(&json)
        json.endObject()
        return json.text
    }
}
