/// A regular expression over texts, in what is common of RE2's syntax: literals, `.`, classes, groups, `|`, the
/// repetitions, `^`, `$`, `\b`, and the flags `i` and `s`. Found anywhere in a text unless it is anchored.
///
/// All places are followed at once, so that time grows with the text's length alone, whatever a peer
/// has written into it.
package struct TextPattern: Sendable, Equatable {
    /// As it was written.
    package let source: String
    private let program: [PatternStep]

    /// Reads an expression.
    package init(_ source: String) throws(PatternProblem) {
        var parser = PatternParser(source)
        program = try parser.program()
        self.source = source
    }

    package static func == (left: TextPattern, right: TextPattern) -> Bool {
        left.source == right.source
    }

    /// Whether it is found in a text. UTF-8 that is none is taken as U+FFFD.
    package func matches(_ text: ArraySlice<UInt8>) -> Bool {
        var run = PatternRun(program)
        var before: Unicode.Scalar?
        var decoder = UTF8()
        var bytes = text.makeIterator()
        while true {
            let next: Unicode.Scalar?
            switch decoder.decode(&bytes) {
            case .scalarValue(let scalar): next = scalar
            case .emptyInput: next = nil
            case .error: next = "\u{FFFD}"
            }
            if run.enter(0, before, next) { return true }
            guard let next else { return false }
            if run.advance(over: next) { return true }
            before = next
        }
    }
}

/// Why a text is no expression, or none that we take: a sentence's end.
package struct PatternProblem: Error, Equatable, Sendable {
    /// What is wrong.
    package let message: String
}

/// A step of an expression's program.
enum PatternStep: Sendable {
    /// One character of a set, then the next step.
    case one(ScalarSet)
    /// Nothing, at such a place, then the next step.
    case place(Place)
    /// Both go on.
    case split(Int, Int)
    /// Goes on elsewhere.
    case jump(Int)
    /// Found.
    case found

    enum Place: Sendable { case start, end, wordEdge, noWordEdge }
}

/// Characters, or all but them.
struct ScalarSet: Sendable {
    var ranges: [ClosedRange<UInt32>] = []
    var isNegated = false

    func contains(_ scalar: Unicode.Scalar) -> Bool {
        ranges.contains { $0.contains(scalar.value) } != isNegated
    }

    static let digits = ScalarSet(ranges: [0x30...0x39])
    static let word = ScalarSet(ranges: [0x30...0x39, 0x41...0x5A, 0x5F...0x5F, 0x61...0x7A])
    static let space = ScalarSet(ranges: [0x09...0x0A, 0x0C...0x0D, 0x20...0x20])
    static let all = ScalarSet(isNegated: true)
    static let line = ScalarSet(ranges: [0x0A...0x0A], isNegated: true)
}

/// The steps that an expression may be at, in one text.
private struct PatternRun {
    let program: [PatternStep]
    /// Steps that wait for a character; each once.
    var waiting: [Int] = []
    var pending: [Int] = []
    /// When a step was last entered.
    var entered: [Int]
    var time = 1

    init(_ program: [PatternStep]) {
        self.program = program
        entered = [Int](repeating: 0, count: program.count)
    }

    /// Goes on at a step, between two characters. Whether the expression is found.
    mutating func enter(
        _ first: Int, _ before: Unicode.Scalar?, _ after: Unicode.Scalar?
    ) -> Bool {
        var open = pending
        pending = []
        open.append(first)
        while let step = open.popLast() {
            if entered[step] == time { continue }
            entered[step] = time
            switch program[step] {
            case .found: return true
            case .jump(let next): open.append(next)
            case .split(let first, let second): open += [second, first]
            case .place(let place):
                if Self.isAt(place, before, after) { open.append(step + 1) }
            case .one: waiting.append(step)
            }
        }
        return false
    }

    /// Passes over a character. Whether the expression is found whatever follows.
    mutating func advance(over scalar: Unicode.Scalar) -> Bool {
        time += 1
        for step in waiting {
            guard case .one(let set) = program[step], set.contains(scalar) else { continue }
            if case .found = program[step + 1] { return true }
            pending.append(step + 1)
        }
        waiting.removeAll(keepingCapacity: true)
        return false
    }

    private static func isAt(
        _ place: PatternStep.Place, _ before: Unicode.Scalar?, _ after: Unicode.Scalar?
    ) -> Bool {
        let isEdge =
            (before.map(ScalarSet.word.contains) ?? false)
            != (after.map(ScalarSet.word.contains) ?? false)
        return switch place {
        case .start: before == nil
        case .end: after == nil
        case .wordEdge: isEdge
        case .noWordEdge: !isEdge
        }
    }
}
