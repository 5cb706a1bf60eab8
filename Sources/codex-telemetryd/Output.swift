import Inspect
import SystemIO

/// Standard output, in large writes; standard error, a sentence at a time.
///
/// Only the main thread of a command writes.
enum Output {
    private nonisolated(unsafe) static var buffer: [UInt8] = []
    private static let flushBytes = 32_768

    /// How output to this terminal may look.
    static let style = Style(
        isTerminal: StandardStream.output.isTerminal, width: StandardStream.output.columns,
        environment: { ThisProcess.environment($0) })

    /// Whether standard output is a terminal.
    static let isTerminal = StandardStream.output.isTerminal

    /// The name that this program was called by, for messages.
    static let programName: String = {
        let name = CommandLine.arguments.first?.split(separator: "/").last
        return name.map { TerminalText.safe(String($0)) } ?? "codex-telemetryd"
    }()

    /// Writes a line.
    static func line(_ text: String) {
        buffer.append(contentsOf: text.utf8)
        buffer.append(0x0A)
        if buffer.count >= flushBytes { flush() }
    }

    /// Writes lines of JSON. What a terminal could act on although JSON allows it bare (DEL, C1 controls) is
    /// written as an escape.
    static func json(_ bytes: [UInt8]) {
        buffer.append(contentsOf: isTerminal ? JSONForTerminal.escaped(bytes) : bytes)
        if buffer.count >= flushBytes { flush() }
    }

    /// Sends what was written. If nobody reads any more, the command ends quietly: what it was asked for
    /// is no longer wanted.
    static func flush() {
        guard !buffer.isEmpty else { return }
        do {
            try StandardStream.output.write(buffer)
            buffer.removeAll(keepingCapacity: true)
        } catch {
            if error.isDisconnected { ThisProcess.exitNow(0) }
            complain("standard output: \(error)")
            ThisProcess.exitNow(CommandFailure.Code.failed.rawValue)
        }
    }

    /// Lets some time pass; ends the command quietly if nobody reads its output any more, which a write would
    /// show only when there is something to write.
    static func pause(milliseconds: Int32) {
        do {
            let isGone = try Readiness.wait(
                for: [], on: StandardStream.output.rawValue, milliseconds: milliseconds)
            if isGone { ThisProcess.exitNow(0) }
        } catch {
            StartOnDemand.pause(milliseconds: milliseconds)
        }
    }

    /// Sends everything and ends well.
    static func finish() -> Never {
        flush()
        ThisProcess.exitNow(0)
    }

    /// Says a sentence on standard error.
    static func complain(_ sentence: String) {
        let lines = sentence.split(separator: "\n").map { TerminalText.safe(String($0)) }
        let text = programName + ": " + lines.joined(separator: "\n") + "\n"
        do {
            try StandardStream.error.write(Array(text.utf8))
        } catch {
            // There is nowhere left to say it.
        }
    }
}
