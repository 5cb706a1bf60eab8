/// Reads an expression into a program (`TextPattern`).
struct PatternParser {
    /// Steps beyond it are refused: repetitions multiply.
    private static let stepsMax = 2000
    /// Groups inside one another.
    private static let depthMax = 32
    private static let repetitionsMax = 1000

    private let text: [Unicode.Scalar]
    private var position = 0
    private var ignoresCase = false
    private var dotIsAll = false

    init(_ source: String) { text = Array(source.unicodeScalars) }

    mutating func program() throws(PatternProblem) -> [PatternStep] {
        let steps = try alternatives(depth: 0)
        guard position == text.count else { throw problem("a ) without its (") }
        return steps + [.found]
    }

    private var next: Unicode.Scalar? { position < text.count ? text[position] : nil }

    private mutating func take(_ scalar: Unicode.Scalar) -> Bool {
        guard next == scalar else { return false }
        position += 1
        return true
    }

    private func problem(_ message: String) -> PatternProblem {
        PatternProblem(message: "\(message) (at character \(position + 1))")
    }

    // Steps are written as if they began at 0, and moved where they are joined.

    private mutating func alternatives(depth: Int) throws(PatternProblem) -> [PatternStep] {
        guard depth <= Self.depthMax else { throw problem("too many groups inside one another") }
        let flags = (ignoresCase, dotIsAll)
        defer { (ignoresCase, dotIsAll) = flags }
        var found = try sequence(depth: depth)
        while take("|") {
            let other = try sequence(depth: depth)
            let first = found
            found = [.split(1, first.count + 2)] + Self.moved(first, by: 1)
            found.append(.jump(found.count + 1 + other.count))
            found += Self.moved(other, by: found.count)
            guard found.count <= Self.stepsMax else { throw problem("too long an expression") }
        }
        return found
    }

    private mutating func sequence(depth: Int) throws(PatternProblem) -> [PatternStep] {
        var found: [PatternStep] = []
        while let scalar = next, scalar != "|", scalar != ")" {
            let part = try repeated(try atom(depth: depth))
            guard found.count + part.count <= Self.stepsMax else {
                throw problem("too long an expression")
            }
            found += Self.moved(part, by: found.count)
        }
        return found
    }

    private static func moved(_ steps: [PatternStep], by count: Int) -> [PatternStep] {
        steps.map { step in
            switch step {
            case .split(let first, let second): .split(first + count, second + count)
            case .jump(let next): .jump(next + count)
            default: step
            }
        }
    }

    // MARK: Repetition

    private mutating func repeated(_ part: [PatternStep]) throws(PatternProblem) -> [PatternStep] {
        var (least, most): (Int, Int?) = (1, 1)
        switch next {
        case "*": (least, most) = (0, nil)
        case "+": (least, most) = (1, nil)
        case "?": (least, most) = (0, 1)
        case "{":
            guard let counts = try counts() else { return part }
            (least, most) = counts
        default: return part
        }
        position += 1
        // Lazy or not: it is only asked whether there is a match.
        _ = take("?")
        if let next, ["*", "+", "?"].contains(next) {
            throw problem("a repetition of a repetition")
        }
        guard (least + (most.map { $0 - least } ?? 1)) * (part.count + 2) <= Self.stepsMax else {
            throw problem("too long an expression")
        }
        var found: [PatternStep] = []
        for _ in 0..<least { found += Self.moved(part, by: found.count) }
        if let most {
            for _ in least..<most {
                found.append(.split(found.count + 1, found.count + 1 + part.count))
                found += Self.moved(part, by: found.count)
            }
        } else {
            let start = found.count
            found.append(.split(start + 1, start + part.count + 2))
            found += Self.moved(part, by: found.count)
            found.append(.jump(start))
        }
        return found
    }

    /// `{n}`, `{n,}`, `{n,m}`, up to the brace; nil, and nothing read, if it is none: then it stands for itself.
    private mutating func counts() throws(PatternProblem) -> (Int, Int?)? {
        guard let end = text[position...].firstIndex(of: "}") else { return nil }
        var inside = ""
        for scalar in text[(position + 1)..<end] { inside.unicodeScalars.append(scalar) }
        let parts = inside.split(separator: ",", omittingEmptySubsequences: false)
        guard (1...2).contains(parts.count), let least = Int(parts[0]) else { return nil }
        let most = parts.count == 1 ? least : Int(parts[1])
        if parts.count == 2, most == nil, !parts[1].isEmpty { return nil }
        guard least >= 0, least <= Self.repetitionsMax, most ?? least <= Self.repetitionsMax,
            least <= most ?? least
        else { throw problem("a repetition that cannot be, {\(inside)}") }
        position = end
        return (least, most)
    }

    // MARK: Atoms

    private mutating func atom(depth: Int) throws(PatternProblem) -> [PatternStep] {
        let scalar = text[position]
        switch scalar {
        case "(": return try group(depth: depth)
        case "[": return [.one(try bracket())]
        case "\\": return [try escape()]
        case "*", "+", "?": throw problem("a repetition of nothing")
        default: break
        }
        position += 1
        switch scalar {
        case ".": return [.one(dotIsAll ? .all : .line)]
        case "^": return [.place(.start)]
        case "$": return [.place(.end)]
        default: return [.one(set(of: scalar))]
        }
    }

    private mutating func group(depth: Int) throws(PatternProblem) -> [PatternStep] {
        position += 1
        let flags = (ignoresCase, dotIsAll)
        if take("?") {
            if take("P") || next == "<" {
                guard take("<"), let end = text[position...].firstIndex(of: ">"), end > position
                else { throw problem("a group that cannot be taken") }
                position = end + 1
            } else {
                while let scalar = next, scalar != ":", scalar != ")" {
                    switch scalar {
                    case "i": ignoresCase = true
                    case "s": dotIsAll = true
                    default: throw problem("a flag other than i and s, '\(scalar)'")
                    }
                    position += 1
                }
                // `(?i)`: for what follows.
                if take(")") { return [] }
                guard take(":") else { throw problem("a ( without its )") }
            }
        }
        let found = try alternatives(depth: depth + 1)
        (ignoresCase, dotIsAll) = flags
        guard take(")") else { throw problem("a ( without its )") }
        return found
    }

    private func set(of scalar: Unicode.Scalar) -> ScalarSet {
        withCase(ScalarSet(ranges: [scalar.value...scalar.value]))
    }

    /// With the other case of ASCII's letters, where that is asked for.
    private func withCase(_ set: ScalarSet) -> ScalarSet {
        guard ignoresCase else { return set }
        var found = set
        for range in set.ranges {
            for (letters, other) in [(0x41...0x5A, 32), (0x61...0x7A, -32)] {
                let low = max(Int(range.lowerBound), letters.lowerBound)
                let high = min(Int(range.upperBound), letters.upperBound)
                if low <= high { found.ranges.append(UInt32(low + other)...UInt32(high + other)) }
            }
        }
        return found
    }

    private static func shorthand(_ scalar: Unicode.Scalar) -> ScalarSet? {
        switch scalar {
        case "d": .digits
        case "D": ScalarSet(ranges: ScalarSet.digits.ranges, isNegated: true)
        case "w": .word
        case "W": ScalarSet(ranges: ScalarSet.word.ranges, isNegated: true)
        case "s": .space
        case "S": ScalarSet(ranges: ScalarSet.space.ranges, isNegated: true)
        default: nil
        }
    }

    private mutating func escape() throws(PatternProblem) -> PatternStep {
        position += 1
        guard let scalar = next else { throw problem("a \\ with nothing behind it") }
        position += 1
        switch scalar {
        case "A": return .place(.start)
        case "z": return .place(.end)
        case "b": return .place(.wordEdge)
        case "B": return .place(.noWordEdge)
        default: break
        }
        if let set = Self.shorthand(scalar) { return .one(set) }
        return .one(set(of: try literal(scalar)))
    }

    /// What a `\` and a character stand for.
    private func literal(_ scalar: Unicode.Scalar) throws(PatternProblem) -> Unicode.Scalar {
        switch scalar {
        case "n": return "\n"
        case "r": return "\r"
        case "t": return "\t"
        case "f": return "\u{0C}"
        default: break
        }
        let isSign = scalar.isASCII && !ScalarSet.word.contains(scalar)
        guard isSign || scalar == "_" else { throw problem("\\\(scalar), which cannot be taken") }
        return scalar
    }

    private mutating func bracket() throws(PatternProblem) -> ScalarSet {
        position += 1
        var set = ScalarSet()
        let isNegated = take("^")
        var isFirst = true
        while isFirst || next != "]" {
            isFirst = false
            guard let scalar = next else { throw problem("a [ without its ]") }
            position += 1
            if scalar == "[", next == ":" { throw problem("a class with a name") }
            var low = scalar
            if scalar == "\\" {
                guard let escaped = next else { throw problem("a \\ with nothing behind it") }
                position += 1
                if let found = Self.shorthand(escaped) {
                    guard !found.isNegated else {
                        throw problem("\\\(escaped) in brackets, which cannot be taken")
                    }
                    set.ranges += found.ranges
                    continue
                }
                low = try literal(escaped)
            }
            set.ranges.append(low.value...(try upper(from: low).value))
        }
        position += 1
        set = withCase(set)
        set.isNegated = isNegated
        return set
    }

    /// The end of a range that begins with a character; itself if there is no range.
    private mutating func upper(
        from low: Unicode.Scalar
    ) throws(PatternProblem) -> Unicode.Scalar {
        guard next == "-", position + 1 < text.count, text[position + 1] != "]" else { return low }
        position += 1
        var high = text[position]
        position += 1
        if high == "\\" {
            guard let escaped = next else { throw problem("a \\ with nothing behind it") }
            position += 1
            high = try literal(escaped)
        }
        guard high.value >= low.value else { throw problem("a range from the end to the start") }
        return high
    }
}
