import ByteCoding
import SimulationKit
import TelemetryBatch
import Testing

@Suite struct `Batches with other attributes` {
    /// What edits make of a list, told plainly.
    func edited(_ list: [Attribute], _ edits: [AttributeEdit]) -> [Attribute] {
        var list = list
        for edit in edits {
            if edit.verb == .delete {
                list.removeAll {
                    $0.key == edit.key || edit.deletes?(Array($0.key.utf8)[...]) ?? false
                }
                continue
            }
            let given: AttributeValue?
            switch edit.source {
            case .attribute(let key): given = list.first { $0.key == key }?.value
            case .value(.string(let text)): given = .string(text)
            case .value(.int(let number)): given = .int(number)
            case .value(.double(let number)): given = .double(number)
            case .value(.bool(let flag)): given = .bool(flag)
            case nil: given = nil
            }
            guard let given else { continue }
            let isThere = list.contains { $0.key == edit.key }
            if !isThere, edit.verb != .update { list.append(Attribute(edit.key, given)) }
            if isThere, edit.verb != .insert {
                for index in list.indices where list[index].key == edit.key {
                    list[index].value = given
                }
            }
        }
        return list
    }

    /// Keys that the batch has and others, values of each kind.
    func edits(_ keys: [String], _ random: inout SeededGenerator) -> [AttributeEdit] {
        (0..<Int.random(in: 1...4, using: &random)).map { _ in
            let all = keys + ["new.key", "other.key", ""]
            let key = all.randomElement(using: &random) ?? ""
            let from = all.randomElement(using: &random) ?? ""
            let sources: [AttributeEdit.Source] = [
                .value(.string("a new text")), .value(.string("")), .value(.string(from)),
                .value(.int(-77)), .value(.bool(true)), .value(.bool(false)),
                .value(.double(2.5)), .attribute(from),
            ]
            switch Int.random(in: 0..<5, using: &random) {
            case 0: return AttributeEdit(.delete, key: key)
            case 1: return AttributeEdit(.delete, key: key) { $0.first == from.utf8.first }
            case 2:
                return AttributeEdit(
                    .insert, key: key, source: sources.randomElement(using: &random))
            case 3:
                return AttributeEdit(
                    .update, key: key, source: sources.randomElement(using: &random))
            default:
                return AttributeEdit(
                    .upsert, key: key, source: sources.randomElement(using: &random))
            }
        }
    }

    @Test(arguments: 0..<80)
    func `a random batch has what the edits make of it, and else what it had`(seed: Int) throws {
        var models = RandomModels(seed: UInt64(seed))
        var random = SeededGenerator(seed: UInt64(seed) &+ 1000)
        for records in [0, 1, 20] {
            let model = models.batch(records: records)
            let batch = try Batch(model.encoded())
            var keys = Set(model.resource.attributes.map(\.key))
            for record in model.records { keys.formUnion(record.attributes.map(\.key)) }
            let edits = edits(keys.sorted(), &random)

            var expected = model
            expected.resource.attributes = edited(model.resource.attributes, edits)
            let other = batch.editingResource(edits)
            #expect(readEverything(other) == expected.json(batch.summary), "seed \(seed)")
            #expect(accepts(other.bytes), "seed \(seed)")

            let meant = Set(model.records.indices.filter { _ in Bool.random(using: &random) })
            for index in meant {
                expected.records[index].attributes = edited(model.records[index].attributes, edits)
            }
            let both = other.editingRecords(edits) { meant.contains($0.index) }
            #expect(readEverything(both) == expected.json(batch.summary), "seed \(seed)")
            #expect(accepts(both.bytes), "seed \(seed)")
            #expect(both.summary == batch.summary)
        }
    }

    @Test func `what changes nothing is the same batch`() throws {
        let batch = try Batch(
            model([.span(span { $0.attributes = [Attribute("a", .int(1))] })]).encoded())
        let edits = [
            AttributeEdit(.delete, key: "b"),
            AttributeEdit(.insert, key: "a", source: .value(.int(2))),
            AttributeEdit(.upsert, key: "c", source: .attribute("b")),
        ]
        #expect(batch.editingRecords(edits) { _ in true } === batch)
        #expect(batch.editingResource([AttributeEdit(.delete, key: "a")]) === batch)
    }

    @Test func `a key that stands in the table twice is found by both`() throws {
        // Two entries of one text: no writer of ours makes them, a reader takes them.
        var first = model([
            .log(LogModel(attributes: [Attribute("secrx", .int(1)), Attribute("secry", .int(2))]))
        ]).encoded()
        for index in first.indices.dropLast(4) {
            if Array(first[index...(index + 4)]) == Array("secrx".utf8)
                || Array(first[index...(index + 4)]) == Array("secry".utf8)
            {
                first[index + 4] = UInt8(ascii: "z")
            }
        }
        let batch = try Batch(first)
        let edited = batch.editingRecords([AttributeEdit(.delete, key: "secrz")]) { _ in true }
        #expect(BatchModel(edited).records == [.log(LogModel())])
    }
}

extension RecordModel {
    fileprivate var attributes: [Attribute] {
        get {
            switch self {
            case .span(let span): span.attributes
            case .log(let log): log.attributes
            case .point(let point): point.attributes
            case .unknown: []
            }
        }
        set {
            switch self {
            case .span(var span):
                span.attributes = newValue
                self = .span(span)
            case .log(var log):
                log.attributes = newValue
                self = .log(log)
            case .point(var point):
                point.attributes = newValue
                self = .point(point)
            case .unknown: break
            }
        }
    }
}
