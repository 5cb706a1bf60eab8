import Testing

@testable import Inspect

private let base: UInt64 = 1_795_269_600_000_000_000
private let ms: UInt64 = 1_000_000

private func span(
    _ id: UInt64, in parent: UInt64 = 0, _ label: String, at start: UInt64, for duration: UInt64,
    _ mark: StatusMark = .ok, from producer: String = "a"
) -> TraceNode {
    var node = TraceNode()
    node.id = id
    node.parent = parent
    node.label = label
    node.start = base + start * ms
    node.duration = duration * ms
    node.mark = mark
    node.producer = producer
    return node
}

private func drawn(_ nodes: [TraceNode], width: Int = 80) -> [String] {
    let style = Style(isTerminal: true, width: width) { $0 == "NO_COLOR" ? "1" : nil }
    return Waterfall(TraceTree(nodes), style: style).lines()
}

@Suite struct WaterfallTests {
    @Test func `a turn is drawn as a tree with bars on one scale`() {
        var event = TraceNode()
        event.kind = .event
        event.parent = 3
        event.label = "approval asked"
        event.start = base + 700 * ms
        let lines = drawn([
            span(1, "turn · gpt-5", at: 0, for: 1240),
            span(2, in: 1, "api request", at: 10, for: 500),
            span(3, in: 1, "tool shell", at: 520, for: 700, .error),
            event,
            span(4, in: 3, "command make", at: 900, for: 320, .error),
        ])
        #expect(
            lines == [
                "turn · gpt-5         ✓    1.24 s  ██████████████████████████████████████████████",
                "├─ api request       ✓    500 ms  ██████████████████▉",
                "└─ tool shell        ✗    700 ms                     ██████████████████████████▎",
                "   ├─ approval asked                                       •",
                "   └─ command make   ✗    320 ms                                   ████████████▎",
            ])
        for line in lines { #expect(TerminalText.columns(line) <= 80) }
    }

    @Test func `a parent that was never recorded is said, and its children are shown`() {
        let lines = drawn([
            span(5, in: 0xdead_beef, "command one", at: 0, for: 10),
            span(6, in: 0xdead_beef, "command two", at: 10, for: 10),
        ])
        #expect(lines[0] == "(parent …deadbeef was not recorded)")
        #expect(lines[1].hasPrefix("├─ command one"))
        #expect(lines[2].hasPrefix("└─ command two"))
    }

    @Test func `a clock that contradicts its parent's is moved and marked`() {
        let tree = TraceTree([
            span(1, "turn", at: 10_000, for: 1000),
            span(2, in: 1, "elsewhere", at: 3_000, for: 600, from: "b"),
            span(3, in: 2, "inside", at: 3_100, for: 100, from: "b"),
            span(4, in: 1, "same clock, outlasts", at: 10_900, for: 400),
        ])
        let offsets = tree.lines.map { $0.offset / ms }
        #expect(offsets == [0, 200, 300, 900])
        #expect(tree.lines.map(\.isShifted) == [false, true, true, false])
        #expect(tree.duration == 1300 * ms)
        #expect(tree.start == base + 10_000 * ms)
    }

    @Test func `loops, repeated ids and a span that is its own parent are each shown once`() {
        let tree = TraceTree([
            span(1, in: 2, "a", at: 0, for: 1), span(2, in: 1, "b", at: 1, for: 1),
            span(3, in: 3, "self", at: 2, for: 1), span(4, "twin", at: 3, for: 1),
            span(4, "twin", at: 4, for: 1), span(5, in: 4, "child", at: 5, for: 1),
        ])
        #expect(
            tree.lines.compactMap(\.node?.label).sorted() == [
                "a", "b", "child", "self", "twin", "twin",
            ])
    }

    @Test func `a chain of 20,000 levels and a trace of one instant are drawn`() {
        let chain = (1...20_000).map { span(UInt64($0), in: UInt64($0 - 1), "s", at: 0, for: 1) }
        let lines = drawn(chain)
        #expect(lines.count == Waterfall.linesMax + 1)
        #expect(lines.last == "… and 18000 more (--json shows all)")
        #expect(lines.allSatisfy { TerminalText.columns($0) <= 80 })
        #expect(drawn([span(1, "point", at: 0, for: 0)]).count == 1)
        #expect(drawn([]).isEmpty)
    }

    @Test func `times at the ends of the range do not trap`() {
        var early = span(1, "early", at: 0, for: 0)
        early.start = 0
        early.duration = .max
        var late = span(2, in: 1, "late", at: 0, for: 0, from: "b")
        late.start = .max
        late.duration = .max
        #expect(drawn([early, late]).count >= 2)
    }
}
