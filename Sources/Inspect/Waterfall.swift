import ByteCoding
import Meaning

/// A trace drawn for a terminal: the tree on the left, then status, duration, and a bar on a common
/// scale.
package struct Waterfall: Sendable {
    /// Lines that are drawn at most; the rest is counted.
    package static let linesMax = 2_000

    private let tree: TraceTree
    private let style: Style
    private let labelColumns: Int
    private let barColumns: Int

    private static let durationColumns = 10

    /// A drawing of `tree`.
    package init(_ tree: TraceTree, style: Style) {
        self.tree = tree
        self.style = style
        let widest = tree.lines.prefix(Self.linesMax).map { line in
            line.branches.count * 3 + TerminalText.columns(Self.label(line))
        }.max()
        // The bar gets what is left, and at least a third of the line.
        let room = style.width - Self.durationColumns - 4
        labelColumns = min(max(widest ?? 0, 12), room - style.width / 3)
        barColumns = room - labelColumns
    }

    /// The lines, without newlines.
    package func lines() -> [String] {
        var drawn = tree.lines.prefix(Self.linesMax).map(draw)
        if tree.lines.count > Self.linesMax {
            drawn.append("… and \(tree.lines.count - Self.linesMax) more (--json shows all)")
        }
        if tree.isShifted {
            drawn.append(
                style.paint("~ moved under its parent: its process's clock differs", .faint))
        }
        return drawn
    }

    private func draw(_ line: TraceTree.Line) -> String {
        let label = TerminalText.fitted(branches(line) + Self.label(line), to: labelColumns)
        guard let node = line.node else { return style.paint(trimmed(label), .faint) }
        let duration =
            node.kind == .event ? "" : TextFormat.duration(nanoseconds: node.duration)
        let shown = (line.isShifted ? "~" : "") + duration
        let left = node.mark == .error ? style.paint(label, .bad) : label
        return trimmed(
            left + " " + style.paint(node.mark.text, node.mark.role)
                + TerminalText.fitted(shown, to: Self.durationColumns, rightAligned: true) + "  "
                + bar(line, node))
    }

    private static func label(_ line: TraceTree.Line) -> String {
        guard let node = line.node else {
            return "(parent …\(Hexadecimal.text(line.missing).suffix(8)) was not recorded)"
        }
        return node.label
    }

    /// `│  ├─ `: what hangs on what. Levels that would leave no room for the label are cut at the front.
    private func branches(_ line: TraceTree.Line) -> String {
        var levels = line.branches[...]
        let levelsMax = max(1, (labelColumns - 12) / 3)
        var text = ""
        if levels.count > levelsMax {
            levels = levels.suffix(levelsMax)
            text = "…"
        }
        guard let own = levels.last else { return "" }
        for level in levels.dropLast() { text += level ? "│  " : "   " }
        return text + (own ? "├─ " : "└─ ")
    }

    private func bar(_ line: TraceTree.Line, _ node: TraceNode) -> String {
        // Eighths of a column: the end of a bar can be drawn that finely, its start cannot.
        let columns = Double(barColumns)
        let total = Double(max(tree.duration, 1))
        let from = min(Int(Double(line.offset) / total * columns), barColumns - 1)
        let blank = String(repeating: " ", count: max(0, from))
        if node.kind == .event { return blank + style.paint("•", .faint) }
        let end = min(Double(line.offset) + Double(node.duration), total) / total * columns
        let eighths = max(1, Int(((end - Double(from)) * 8).rounded()))
        let whole = min(eighths / 8, barColumns - from)
        var bar = String(repeating: "█", count: whole)
        let rest = eighths % 8
        if rest > 0, from + whole < barColumns {
            bar += ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"][rest]
        }
        return blank + style.paint(bar, node.mark == .error ? .bad : .good)
    }

    private func trimmed(_ text: String) -> String {
        var text = Substring(text)
        while text.last == " " { text.removeLast() }
        return String(text)
    }
}
