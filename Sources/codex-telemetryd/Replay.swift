import ArgumentParser
import Control
import Inspect
import Places
import SystemIO

/// `replay`: moves an exporter's cursor back.
struct Replay: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Let an exporter send again what is in the log since a time.",
        discussion: """
            Its place in the log moves back, and its counts begin there. journald's exporter looks first what \
            the journal has. Ends with 0 once the place has moved, 1 if it has not, 3 if no agent is running.
            """)

    @Argument(help: ArgumentHelp("Its name, as in status.", valueName: "exporter"))
    var exporter: String
    @Option(
        help: ArgumentHelp(
            "From this time on: 24h, \"1 hour ago\", today, RFC 3339.", valueName: "time"))
    var since: String
    @Flag(help: "A time without a zone is UTC.") var utc = false
    @OptionGroup(title: "Which agent") var places: PlaceOptions

    func run() throws {
        let zone = utc ? TimeZoneRule.utc : TimeZoneRule { LocalZone.secondsEast(at: $0) }
        let time: UInt64
        do throws(TimeExpressionError) {
            time = try TimeExpression.parse(since, now: Clocks.wall(), zone: zone)
        } catch {
            throw ValidationError(error.description)
        }
        let agent = try places.choice.answering()
        do throws(ControlError) {
            // An exporter that is under way may take some seconds to end what it does.
            var client = try ControlClient(path: agent.controlSocket, seconds: 60)
            Output.line(try client.replay(ReplayQuestion(since: time, exporter: exporter)))
        } catch {
            throw error.failure
        }
    }
}
