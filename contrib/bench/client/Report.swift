/// The figures, as a table or as JSON.
struct Report {
    struct Row {
        var name: String
        var threads: Int
        var samples: Samples
        var ratio: Double?
        var ratioOfMinima: Double?
        var limit: String?
        var isMet: Bool?
    }

    var rows: [Row] = []
    var allocations = (emit: 0.0, with: 0.0)
    var bytes: [(batch: Int, bytes: Double)] = []
    var sustained: Sustained.Result?
    var dropped = 0

    mutating func add(
        _ name: String, _ threads: Int, _ samples: Samples, against base: Samples? = nil,
        limit: Double? = nil, limitNanoseconds: Double? = nil
    ) {
        let ratio = base.map { samples.median / $0.median }
        var row = Row(name: name, threads: threads, samples: samples, ratio: ratio)
        row.ratioOfMinima = base.map { samples.minimum / $0.minimum }
        if let limit, let ratio {
            row.limit = "<= \(limit) x"
            row.isMet = ratio <= limit
        }
        if let limitNanoseconds {
            row.limit = "<= \(Int(limitNanoseconds)) ns"
            row.isMet = samples.median <= limitNanoseconds
        }
        rows.append(row)
    }

    var table: String {
        var text = Self.line(
            "call", "threads", "min", "median", "max", "x clocks", "of minima", "limit", "")
        for row in rows {
            text += Self.line(
                row.name, "\(row.threads)", Self.short(row.samples.minimum),
                Self.short(row.samples.median), Self.short(row.samples.maximum),
                row.ratio.map { Self.short($0) } ?? "",
                row.ratioOfMinima.map { Self.short($0) } ?? "", row.limit ?? "",
                row.isMet.map { $0 ? "met" : "MISSED" } ?? "")
        }
        text +=
            "\nArithmetic does the same work each time: its spread is the machine's disturbance.\n"
        text += "allocations a call: emitSpan \(allocations.emit), withSpan \(allocations.with)\n"
        for one in bytes {
            text += "bytes a span in batches of \(one.batch): \(Self.short(one.bytes))\n"
        }
        if let sustained {
            text +=
                "sustained, 1 thread, \(sustained.spans) spans: \(Self.short(sustained.wall)) ns"
                + " a span in the caller, \(Self.short(sustained.processor)) ns of the process's"
                + " processor time, dropped or spooled \(sustained.dropped)\n"
        }
        return text + "dropped or spooled in the rounds: \(dropped)"
    }

    var json: String {
        var parts: [String] = []
        for row in rows {
            var fields = [
                "\"name\":\"\(row.name)\"", "\"threads\":\(row.threads)",
                "\"min_ns\":\(row.samples.minimum)", "\"median_ns\":\(row.samples.median)",
                "\"max_ns\":\(row.samples.maximum)",
            ]
            if let ratio = row.ratio { fields.append("\"ratio\":\(ratio)") }
            if let minima = row.ratioOfMinima { fields.append("\"ratio_of_minima\":\(minima)") }
            if let isMet = row.isMet { fields.append("\"met\":\(isMet)") }
            parts.append("{" + fields.joined(separator: ",") + "}")
        }
        let sizes = bytes.map { "\"\($0.batch)\":\($0.bytes)" }.joined(separator: ",")
        var text = "{\"schema\":1,\"rows\":[" + parts.joined(separator: ",") + "]"
        text +=
            ",\"allocations\":{\"emitSpan\":\(allocations.emit),\"withSpan\":\(allocations.with)}"
        text += ",\"bytes_a_span\":{\(sizes)}"
        if let sustained {
            text += ",\"sustained\":{\"spans\":\(sustained.spans),\"caller_ns\":\(sustained.wall)"
            text += ",\"process_ns\":\(sustained.processor),\"dropped\":\(sustained.dropped)}"
        }
        return text + ",\"dropped\":\(dropped)}"
    }

    private static func short(_ value: Double) -> String {
        let tenths = Int((value * 10).rounded())
        return "\(tenths / 10).\(tenths % 10)"
    }

    private static func line(_ columns: String...) -> String {
        let widths = [34, 8, 8, 8, 8, 9, 10, 12, 8]
        var text = ""
        for (column, width) in zip(columns, widths) {
            let padding = String(repeating: " ", count: max(width - column.count, 0))
            text += width == 34 ? column + padding : " " + padding + column
        }
        return text + "\n"
    }
}
