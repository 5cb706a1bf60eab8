/// One span, or one event, of a trace, reduced to what a waterfall shows.
package struct TraceNode: Sendable, Equatable {
    /// What it is.
    package enum Kind: Sendable {
        case span
        case event
    }
    /// Span or event.
    package var kind = Kind.span
    /// The span's own id; an event has none: 0.
    package var id: UInt64 = 0
    /// The span above it, 0 if it says none.
    package var parent: UInt64 = 0
    /// Words for it, safe for a terminal.
    package var label = ""
    /// Nanoseconds since 1970, by its producer's clock.
    package var start: UInt64 = 0
    /// Nanoseconds; 0 for an event.
    package var duration: UInt64 = 0
    /// How it ended.
    package var mark = StatusMark.none
    /// Whose clock its times are of.
    package var producer = ""

    /// A node to be filled in.
    package init() {}
}

/// How a record ended, as one column of a line.
package enum StatusMark: Sendable, Equatable {
    case none
    case ok
    case error
    case denied
    case cancelled

    /// One column.
    package var text: String {
        switch self {
        case .none: " "
        case .ok: "✓"
        case .error: "✗"
        case .denied: "⊘"
        case .cancelled: "◌"
        }
    }

    /// How it is painted.
    package var role: Style.Role {
        switch self {
        case .none: .faint
        case .ok: .good
        case .error: .bad
        case .denied, .cancelled: .warning
        }
    }
}

/// The spans of a trace as a tree, in the order they are shown.
///
/// Peers may send anything: parents that are not there, loops, the same id twice, times of years ago.
/// Every node is shown exactly once all the same.
package struct TraceTree: Sendable {
    /// One line of a waterfall.
    package struct Line: Sendable, Equatable {
        /// What stands on it; nil: a parent that was never recorded.
        package var node: TraceNode?
        /// The missing parent's id.
        package var missing: UInt64 = 0
        /// For each level above: whether more follows there. The last element is this line's own level.
        package var branches: [Bool] = []
        /// Start after the trace's own, in nanoseconds, on the clock of the trace's root.
        package var offset: UInt64 = 0
        /// Whether its start was moved because its producer's clock contradicts its parent's.
        package var isShifted = false
    }

    /// Lines from top to bottom.
    package private(set) var lines: [Line] = []
    /// The trace's earliest start, as its producer's clock gives it.
    package private(set) var start: UInt64 = 0
    /// From the earliest start to the latest end, in nanoseconds.
    package private(set) var duration: UInt64 = 0
    /// Whether any start was moved.
    package var isShifted: Bool { lines.contains { $0.isShifted } }

    /// Deeper levels are shown at this one: a peer may nest without end.
    static let levelsMax = 64

    private struct Place {
        var start: Int64
        var isShifted: Bool
    }

    /// Orders the nodes of one trace.
    package init(_ nodes: [TraceNode]) {
        let ordered = nodes.enumerated().sorted {
            ($0.element.start, $0.offset) < ($1.element.start, $1.offset)
        }.map(\.element)
        guard let base = ordered.first?.start else { return }

        // The first of several with one id is the one that children hang on.
        var byID: [UInt64: Int] = [:]
        for (index, node) in ordered.enumerated() where node.kind == .span && byID[node.id] == nil {
            byID[node.id] = index
        }
        var children: [Int: [Int]] = [:]
        var missing: [(id: UInt64, children: [Int])] = []
        var missingIndex: [UInt64: Int] = [:]
        var roots: [Int] = []
        for (index, node) in ordered.enumerated() {
            if node.parent == 0 {
                roots.append(index)
            } else if let parent = byID[node.parent], parent != index {
                children[parent, default: []].append(index)
            } else if byID[node.parent] != nil {
                roots.append(index)
            } else if let known = missingIndex[node.parent] {
                missing[known].children.append(index)
            } else {
                missingIndex[node.parent] = missing.count
                missing.append((node.parent, [index]))
            }
        }

        var builder = LineBuilder(nodes: ordered, children: children, base: base)
        builder.walk(roots: roots, missing: missing)
        lines = builder.lines
        finish(builder.places, base: base)
    }

    /// Counts offsets from the earliest start that is shown.
    private mutating func finish(_ starts: [Int64], base: UInt64) {
        var earliest = Int64.max
        var latest = Int64.min
        for (line, start) in zip(lines, starts) {
            guard let node = line.node else { continue }
            earliest = min(earliest, start)
            latest = max(latest, start + bounded(node.duration))
        }
        guard earliest <= latest else { return }
        for index in lines.indices {
            lines[index].offset = UInt64(max(0, starts[index] - earliest))
        }
        start = earliest < 0 ? base - min(base, earliest.magnitude) : base &+ earliest.magnitude
        duration = UInt64(latest - earliest)
    }
}

/// Walks the tree with a stack of its own: depth is the peers' choice.
private struct LineBuilder {
    let nodes: [TraceNode]
    let children: [Int: [Int]]
    let base: UInt64
    var lines: [TraceTree.Line] = []
    /// Start of each line relative to `base`, moved where clocks contradict each other.
    var places: [Int64] = []
    private var isShown: [Bool]

    private struct Step {
        var index: Int
        var branches: [Bool]
        var parent: Int?
        var shift: Int64
    }

    init(nodes: [TraceNode], children: [Int: [Int]], base: UInt64) {
        self.nodes = nodes
        self.children = children
        self.base = base
        isShown = Array(repeating: false, count: nodes.count)
    }

    mutating func walk(roots: [Int], missing: [(id: UInt64, children: [Int])]) {
        for root in roots { walk(from: root, branches: []) }
        for group in missing {
            let first = group.children.first ?? 0
            lines.append(TraceTree.Line(node: nil, missing: group.id))
            places.append(relative(nodes[first].start))
            for child in group.children {
                walk(from: child, branches: [child != group.children.last])
            }
        }
        // What is left hangs on itself in a loop: cut it where it starts.
        for index in nodes.indices where !isShown[index] { walk(from: index, branches: []) }
    }

    private mutating func walk(from root: Int, branches: [Bool]) {
        var stack = [Step(index: root, branches: branches, parent: nil, shift: 0)]
        while let step = stack.popLast() {
            guard !isShown[step.index] else { continue }
            isShown[step.index] = true
            let node = nodes[step.index]
            let shift = shift(of: node, under: step.parent.map { nodes[$0] }, inherited: step.shift)
            var line = TraceTree.Line(node: node, branches: step.branches)
            line.isShifted = shift != 0
            lines.append(line)
            places.append(relative(node.start) + shift)
            let below = (children[step.index] ?? []).filter { !isShown[$0] }
            for child in below.reversed() {
                var levels = step.branches
                if levels.count >= TraceTree.levelsMax { levels.removeLast() }
                stack.append(
                    Step(
                        index: child, branches: levels + [child != below.last], parent: step.index,
                        shift: shift))
            }
        }
    }

    /// How far a node is moved. Within one producer there is one clock, and what it says is shown. A node
    /// of another producer that would begin before its parent, or outlast it though it would fit, has
    /// a clock that differs: it goes to the middle of its parent, as the most even split of the way there
    /// and back.
    private func shift(of node: TraceNode, under parent: TraceNode?, inherited: Int64) -> Int64 {
        guard let parent else { return 0 }
        if node.producer == parent.producer { return inherited }
        let parentStart = relative(parent.start) + inherited
        let start = relative(node.start)
        let length = bounded(node.duration)
        let room = bounded(parent.duration)
        let isEarly = start < parentStart
        let isLate = start + length > parentStart + room
        if !isEarly && (!isLate || length > room) && !(isLate && start > parentStart + room) {
            return 0
        }
        return parentStart + max(0, (room - length) / 2) - start
    }

    private func relative(_ time: UInt64) -> Int64 {
        time >= base ? bounded(time - base) : -bounded(base - time)
    }
}

/// A length of time, at most some 73 years: sums of a few stay far from overflow, whatever peers claim.
private func bounded(_ nanoseconds: UInt64) -> Int64 {
    Int64(min(nanoseconds, 1 << 61))
}
