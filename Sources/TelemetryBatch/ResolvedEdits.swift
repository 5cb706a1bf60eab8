import ByteCoding

/// Edits as they are carried out in one batch. The batch's table of strings grows at its end, so that references
/// into it stay what they are.
final class ResolvedEdits {
    private struct Resolved {
        let verb: AttributeEdit.Verb
        /// The key of an attribute that is added.
        let key: UInt32
        /// For each entry of the table whether it is the key.
        let isKey: [Bool]
        /// The same of the key that the value is taken from, nil if the value is given.
        let isSource: [Bool]?
        /// The given value's encoding.
        let value: [UInt8]
    }

    /// Where a value's encoding is.
    private enum ValuePlace {
        case batch(Range<Int>)
        case edit(Int)
    }

    private let batch: Batch
    private var edits: [Resolved] = []
    private var entries: [(key: UInt32, value: ValuePlace)] = []
    /// Texts that the table had not.
    private(set) var added: [String] = []

    /// Looks keys and values up in a batch, or adds them to its table.
    init(_ edits: [AttributeEdit], in batch: Batch) {
        self.batch = batch
        let prepared = edits.map { edit in
            let adds = edit.verb == .insert || edit.verb == .upsert
            return (key: adds ? reference(edit.key) : 0, value: encoding(edit.source))
        }
        // Now the table has all that an edit may add and a later one look for.
        for (edit, (key, value)) in zip(edits, prepared) {
            var source: [Bool]?
            if case .attribute(let name) = edit.source {
                source = entries { $0.elementsEqual(name.utf8) }
            }
            let isKey = entries {
                $0.elementsEqual(edit.key.utf8) || edit.deletes?($0) ?? false
            }
            self.edits.append(
                Resolved(verb: edit.verb, key: key, isKey: isKey, isSource: source, value: value))
        }
    }

    /// Whether each entry of the table, those that are added too, is such a text; 0 is the empty one.
    private func entries(_ isOne: (ArraySlice<UInt8>) -> Bool) -> [Bool] {
        let there = (0...UInt32(batch.stringCount)).map { isOne(batch.utf8(TextRef(index: $0))) }
        return there + added.map { isOne(Array($0.utf8)[...]) }
    }

    private func reference(_ text: String) -> UInt32 {
        if let found = batch.ref(of: text) { return found.index }
        let index = added.firstIndex(of: text) ?? added.count
        if index == added.count { added.append(text) }
        return UInt32(batch.stringCount + index + 1)
    }

    private func encoding(_ source: AttributeEdit.Source?) -> [UInt8] {
        guard case .value(let value) = source else { return [] }
        var writer = ByteWriter(capacity: 16)
        switch value {
        case .string(let text):
            writer.write(uint8: ValueTag.string)
            writer.write(varint: UInt64(reference(text)))
        case .bool(let value): writer.write(uint8: value ? ValueTag.yes : ValueTag.no)
        case .int(let value):
            writer.write(uint8: ValueTag.integer)
            writer.write(zigzag: value)
        case .double(let value):
            writer.write(uint8: ValueTag.double)
            writer.write(double: value)
        }
        return writer.bytes
    }

    /// Reads a list where the reader stands and carries the edits out; whether that changes anything. `write` has the
    /// result.
    func carryOut(_ reader: inout TrustedReader, count: Int) -> Bool {
        entries.removeAll(keepingCapacity: true)
        for _ in 0..<count {
            let key = reader.word()
            let start = reader.position
            reader.skipValue()
            entries.append((key, .batch(start..<reader.position)))
        }
        var isChanged = false
        for index in edits.indices where carryOut(index) { isChanged = true }
        return isChanged
    }

    private func carryOut(_ index: Int) -> Bool {
        let edit = edits[index]
        if edit.verb == .delete {
            let before = entries.count
            entries.removeAll { edit.isKey[Int($0.key)] }
            return entries.count < before
        }
        var value = ValuePlace.edit(index)
        if let isSource = edit.isSource {
            guard let found = entries.first(where: { isSource[Int($0.key)] }) else { return false }
            value = found.value
        }
        var isThere = false
        for place in entries.indices where edit.isKey[Int(entries[place].key)] {
            isThere = true
            if edit.verb != .insert { entries[place].value = value }
        }
        if isThere { return edit.verb != .insert }
        guard edit.verb != .update else { return false }
        entries.append((edit.key, value))
        return true
    }

    /// The number of attributes of the last list.
    var count: Int { entries.count }

    /// Writes the last list with its count.
    func write(to writer: inout ByteWriter) {
        writer.write(varint: UInt64(entries.count))
        for (key, value) in entries {
            writer.write(varint: UInt64(key))
            switch value {
            case .batch(let range): writer.copy(batch, range)
            case .edit(let index): writer.write(bytes: edits[index].value)
            }
        }
    }
}
