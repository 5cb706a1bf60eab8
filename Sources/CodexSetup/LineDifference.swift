/// How two texts differ, by lines.
package struct LineDifference: Sendable {
    private enum Step: Sendable {
        case both(ArraySlice<UInt8>)
        case old(ArraySlice<UInt8>)
        case new(ArraySlice<UInt8>)
    }

    private let steps: [Step]
    /// Unchanged lines that are shown around a change, and needed to find it again.
    private static let contextLines = 3

    /// A text's lines, each with its end.
    package static func lines(_ bytes: [UInt8]) -> [[UInt8]] {
        var lines: [[UInt8]] = []
        var start = 0
        for (index, byte) in bytes.enumerated() where byte == UInt8(ascii: "\n") {
            lines.append(Array(bytes[start...index]))
            start = index + 1
        }
        if start < bytes.count { lines.append(Array(bytes[start...])) }
        return lines
    }

    /// From one text to another.
    package init(from old: [UInt8], to new: [UInt8]) {
        let before = Self.lines(old)
        let after = Self.lines(new)
        let difference = after.difference(from: before)
        var removed: Set<Int> = []
        var inserted: Set<Int> = []
        for change in difference {
            switch change {
            case .remove(let offset, _, _): removed.insert(offset)
            case .insert(let offset, _, _): inserted.insert(offset)
            }
        }
        var steps: [Step] = []
        var (oldIndex, newIndex) = (0, 0)
        while oldIndex < before.count || newIndex < after.count {
            if removed.contains(oldIndex) {
                steps.append(.old(before[oldIndex][...]))
                oldIndex += 1
            } else if inserted.contains(newIndex) {
                steps.append(.new(after[newIndex][...]))
                newIndex += 1
            } else {
                steps.append(.both(before[oldIndex][...]))
                oldIndex += 1
                newIndex += 1
            }
        }
        self.steps = steps
    }

    /// Whether there is none.
    package var isEmpty: Bool { changes.isEmpty }

    /// Ranges of steps that changed, with the context around them; those that touch are one.
    private var hunks: [Range<Int>] {
        var hunks: [Range<Int>] = []
        for index in changes {
            let range =
                max(0, index - Self.contextLines)..<min(steps.count, index + Self.contextLines + 1)
            if let last = hunks.last, last.upperBound >= range.lowerBound {
                hunks[hunks.count - 1] = last.lowerBound..<range.upperBound
            } else {
                hunks.append(range)
            }
        }
        return hunks
    }

    private var changes: [Int] {
        steps.indices.filter { index in
            if case .both = steps[index] { false } else { true }
        }
    }

    /// As `diff -u` shows it, without the lines that name the files. Lines as they are: not fit for a terminal.
    package var unified: [String] {
        hunks.flatMap { hunk in
            let old = Self.old(steps[hunk])
            let new = Self.new(steps[hunk])
            let header =
                "@@ -\(Self.place(Self.old(steps[..<hunk.lowerBound]).count, old.count)) "
                + "+\(Self.place(Self.new(steps[..<hunk.lowerBound]).count, new.count)) @@"
            return [header] + steps[hunk].flatMap(Self.shown)
        }
    }

    /// What becomes of a text that holds the new one's changes, maybe among others, without them; nil if one of
    /// them is not there as it was made, or in two places.
    package func undone(in bytes: [UInt8]) -> [UInt8]? {
        var lines = Self.lines(bytes)
        for hunk in hunks.reversed() {
            let new = Self.new(steps[hunk])
            let places = lines.indices.filter { lines[$0...].starts(with: new) }
            guard places.count == 1, !new.isEmpty else { return nil }
            lines.replaceSubrange(places[0]..<places[0] + new.count, with: Self.old(steps[hunk]))
        }
        return lines.flatMap { $0 }
    }

    private static func old(_ steps: ArraySlice<Step>) -> [[UInt8]] {
        steps.compactMap { step in
            switch step {
            case .both(let line), .old(let line): Array(line)
            case .new: nil
            }
        }
    }

    private static func new(_ steps: ArraySlice<Step>) -> [[UInt8]] {
        steps.compactMap { step in
            switch step {
            case .both(let line), .new(let line): Array(line)
            case .old: nil
            }
        }
    }

    private static func place(_ before: Int, _ count: Int) -> String {
        let start = count == 0 ? before : before + 1
        return count == 1 ? "\(start)" : "\(start),\(count)"
    }

    private static func shown(_ step: Step) -> [String] {
        let (mark, line) =
            switch step {
            case .both(let line): (" ", line)
            case .old(let line): ("-", line)
            case .new(let line): ("+", line)
            }
        var text = line
        let isWhole = text.last == UInt8(ascii: "\n")
        if isWhole { text.removeLast() }
        let shown = mark + String(decoding: text, as: UTF8.self)
        return isWhole ? [shown] : [shown, "\\ No newline at end of file"]
    }
}
