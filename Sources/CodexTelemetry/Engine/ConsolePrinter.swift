internal import ByteCoding
internal import SystemIO
internal import TelemetryBatch

/// Prints records to this process's own stderr (`CODEX_OTEL_EXPORTER=console`): one line a record, for
/// people. On the flushing thread.
struct ConsolePrinter {
    /// Prints a sealed batch's records.
    func print(_ sealed: OutgoingBatch) {
        var text = ""
        do {
            let batch = try Batch([UInt8](sealed.frame.dropFirst(FrameHeader.byteCount)))
            for record in batch.records { text += Self.line(record, batch) + "\n" }
        } catch {
            text = "codex-telemetry: a batch cannot be shown: \(error)\n"
        }
        // Nobody to tell if stderr is closed.
        do { try StandardStream.error.write(Array(text.utf8)) } catch { return }
    }

    private static func line(_ record: Record, _ batch: Batch) -> String {
        switch record {
        case .span(let span):
            let milliseconds = Double(span.durationNanoseconds / 1_000) / 1_000
            return "span \(batch.text(span.name)) \(milliseconds) ms \(span.status)"
                + " trace=\(span.traceID.hex) span=\(span.spanID.hex)"
                + attributes(span.attributes, batch)
        case .log(let log):
            return "event \(batch.text(log.eventName))" + attributes(log.attributes, batch)
        case .point(let point):
            return "metric \(batch.text(point.metric.name))" + attributes(point.attributes, batch)
        case .unknown: return "?"
        }
    }

    private static func attributes(_ list: AttributeList, _ batch: Batch) -> String {
        var text = ""
        for (key, value) in list {
            text += " \(batch.text(key))="
            switch value {
            case .string(let ref): text += Self.printable(batch.text(ref))
            case .bool(let value): text += "\(value)"
            case .int(let value): text += "\(value)"
            case .double(let value): text += "\(value)"
            default: text += "…"
            }
        }
        return text
    }

    /// Control characters never reach a terminal.
    private static func printable(_ text: String) -> String {
        String(
            String.UnicodeScalarView(
                text.unicodeScalars.map {
                    $0.value < 0x20 || (0x7F...0x9F).contains($0.value) ? "\u{FFFD}" : $0
                }))
    }
}
