/// Codex's `config.toml`, as far as it says where telemetry goes: the table `[otel]`.
package struct CodexConfiguration: Sendable {
    /// A signal and the key of its exporter, in the order in which they are written.
    package enum Signal: String, CaseIterable, Sendable {
        /// Log events.
        case logs = "exporter"
        /// Spans.
        case traces = "trace_exporter"
        /// Metrics.
        case metrics = "metrics_exporter"

        /// The path that OTLP over HTTP has for it; Codex uses an endpoint as it is and appends nothing.
        package var path: String {
            switch self {
            case .logs: "/v1/logs"
            case .traces: "/v1/traces"
            case .metrics: "/v1/metrics"
            }
        }

        /// The value that sends it to an agent, `base` being `http://127.0.0.1:4318`.
        package func exporter(base: String, isGRPC: Bool = false) -> String {
            isGRPC
                ? "{ otlp-grpc = { endpoint = \"\(base)\" } }"
                : "{ otlp-http = { endpoint = \"\(base)\(path)\", protocol = \"binary\" } }"
        }
    }

    /// Why the file is not edited: a sentence without its subject, the file.
    package struct Refusal: Error, Sendable, Equatable {
        /// From 1.
        package let line: Int
        /// What stands there and what to do about it.
        package let what: String
    }

    private let outline: TOMLOutline

    /// Reads it.
    package init(_ bytes: [UInt8]) throws(Refusal) {
        do throws(TOMLOutline.Problem) {
            outline = try TOMLOutline(bytes)
        } catch {
            throw Refusal(line: error.line, what: "\(error.what): not edited")
        }
    }

    /// Whether an exporter of OTLP is there already.
    package var hasExporter: Bool {
        var table: [String] = []
        return outline.statements.contains { statement in
            guard case .pair(let value) = statement.kind else {
                table = statement.key
                return false
            }
            let path = table + statement.key
            guard path.first == "otel" else { return false }
            return path.contains { $0.hasPrefix("otlp-") } || mentions("otlp-", value)
        }
    }

    /// Whether the file gives this signal's exporter as one of gRPC. A `-c` that gives another kind is merged with
    /// it, and Codex then refuses to start.
    package func isGRPC(_ signal: Signal) -> Bool {
        var table: [String] = []
        for statement in outline.statements {
            guard case .pair(let value) = statement.kind else {
                table = statement.key
                if table.starts(with: ["otel", signal.rawValue, "otlp-grpc"]) { return true }
                continue
            }
            let path = table + statement.key
            if path.starts(with: ["otel", signal.rawValue, "otlp-grpc"]) { return true }
            let isAbove = ["otel", signal.rawValue, "otlp-grpc"].starts(with: path)
            if isAbove, !path.isEmpty, mentions("otlp-grpc", value) { return true }
        }
        return false
    }

    private func mentions(_ text: String, _ value: Range<Int>) -> Bool {
        String(decoding: outline.bytes[value], as: UTF8.self).contains(text)
    }

    // MARK: Editing

    /// The file with the exporters of all signals sending to `base`; everything else as it is, byte for byte.
    package func sending(to base: String) throws(Refusal) -> [UInt8] {
        try refuseWhatIsNotEdited()
        var lines = Lines(outline.bytes)
        var removed = Set<Int>()
        var replaced: [(line: Int, bytes: [UInt8])] = []
        var missing: [Signal] = []
        for signal in Signal.allCases {
            let places = self.places(of: signal)
            removed.formUnion(places.removed)
            if let value = places.value {
                replaced.append((value.line, lines.replacing(value.bytes, by: signal, base)))
                removed.formUnion(value.line + 1..<value.lines.upperBound)
            } else {
                missing.append(signal)
            }
        }
        let added = missing.map { "\($0.rawValue) = \($0.exporter(base: base))" }
        for each in replaced { lines.content[each.line] = each.bytes }
        for line in removed { lines.content[line] = [] }
        lines.insert(added, into: tableEnd)
        return lines.content.flatMap { $0 }
    }

    /// The line before which keys of `[otel]` may be added; nil: there is no such table.
    private var tableEnd: Int? {
        var end: Int?
        var isInside = false
        for statement in outline.statements {
            if case .pair = statement.kind {
                if isInside { end = statement.lines.upperBound }
            } else {
                isInside = statement.kind == .table && statement.key == ["otel"]
                if isInside { end = statement.lines.upperBound }
            }
        }
        return end
    }

    private struct Places {
        /// The value that is replaced.
        var value: (line: Int, lines: Range<Int>, bytes: Range<Int>)?
        var removed = Set<Int>()
    }

    private func places(of signal: Signal) -> Places {
        var found = Places()
        var table: [String] = []
        for statement in outline.statements {
            switch statement.kind {
            case .pair(let value):
                let path = table + statement.key
                guard path.starts(with: ["otel", signal.rawValue]) else { continue }
                if table == ["otel"], path.count == 2 {
                    found.value = (statement.lines.lowerBound, statement.lines, value)
                } else {
                    found.removed.formUnion(statement.lines)
                }
            case .table, .arrayElement:
                table = statement.key
                if table.starts(with: ["otel", signal.rawValue]) {
                    found.removed.formUnion(statement.lines)
                }
            }
        }
        return found
    }

    private func refuseWhatIsNotEdited() throws(Refusal) {
        var table: [String] = []
        for statement in outline.statements {
            if case .pair = statement.kind {
                guard table.isEmpty, statement.key.first == "otel" else { continue }
                throw refusal(statement, "gives otel as a value: write it as a table, [otel]")
            }
            table = statement.key
            if statement.kind == .arrayElement, table.first == "otel" {
                throw refusal(statement, "is an array of tables, which Codex does not read")
            }
        }
    }

    private func refusal(_ statement: TOMLOutline.Statement, _ what: String) -> Refusal {
        Refusal(line: statement.lines.lowerBound + 1, what: what)
    }
}

/// A document's lines, each with its end.
private struct Lines {
    var content: [[UInt8]]
    private let end: [UInt8]
    private let starts: [Int]

    init(_ bytes: [UInt8]) {
        let split = LineDifference.lines(bytes)
        content = split
        let usesReturns = split.first?.suffix(2).elementsEqual("\r\n".utf8) ?? false
        end = Array(usesReturns ? "\r\n".utf8 : "\n".utf8)
        var start = 0
        starts = split.map { line in
            defer { start += line.count }
            return start
        }
    }

    /// The line in which a value begins, with another value; what stands behind the old one stays.
    func replacing(
        _ value: Range<Int>, by signal: CodexConfiguration.Signal, _ base: String
    ) -> [UInt8] {
        let first = starts.lastIndex { $0 <= value.lowerBound } ?? 0
        let last = starts.lastIndex { $0 < value.upperBound } ?? first
        let before = content[first][..<(value.lowerBound - starts[first])]
        let behind = content[last][(value.upperBound - starts[last])...]
        return before + Array(signal.exporter(base: base).utf8) + behind
    }

    /// Adds lines before line `place`, or as a table of their own at the end.
    mutating func insert(_ added: [String], into place: Int?) {
        guard !added.isEmpty else { return }
        let lines = added.map { Array($0.utf8) + end }
        if let place {
            // Into the line before it, so that no line's number changes.
            finishLine(place - 1)
            content[place - 1] += Array(lines.joined())
            return
        }
        var table = Array("[otel]".utf8) + end + Array(lines.joined())
        if let last = content.lastIndex(where: { !$0.isEmpty }) {
            finishLine(last)
            if content[last] != end { table = end + table }
        }
        content.append(table)
    }

    private mutating func finishLine(_ index: Int) {
        // Without content: a line that was removed.
        guard let last = content[index].last, last != UInt8(ascii: "\n") else { return }
        content[index] += end
    }
}
