import ArgumentParser
import Inspect
import Places
import SegmentLog
import SystemIO

/// `trace ID`: one trace as a waterfall.
struct Trace: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Draw a trace as a waterfall.",
        discussion: "The id may be any part of its start or end that names one trace.")

    @Argument(help: "The trace's id, or a part of its start or end.") var id: String
    @OptionGroup(title: "How") var show: ShowOptions
    @OptionGroup(title: "Which agent") var places: PlaceOptions

    func run() throws {
        guard let query = IDQuery(id) else {
            throw ValidationError("'\(id)' is no part of a trace id: give hexadecimal digits")
        }
        let place = try RecordPlace.find(places.choice)
        var traces = TraceCollection(query)
        do throws(SourceError) {
            let source =
                switch place.way {
                case .files(let state):
                    try RecordSource(state: state, at: .beginning, filter: traces.filter)
                case .control(let path):
                    try RecordSource(control: path, from: 0, follow: false, filter: traces.filter)
                }
            while let item = try source.next() {
                switch item {
                case .entry(let entry): traces.add(entry)
                case .gap(let sentence): Output.complain(sentence)
                }
            }
        } catch {
            throw CommandFailure(.failed, error.description)
        }
        try present(traces, query)
    }

    private func present(_ traces: TraceCollection, _ query: IDQuery) throws(CommandFailure) {
        switch traces.resolution {
        case .none:
            throw CommandFailure(
                .failed,
                "no stored trace has an id that begins or ends with \(query.digits); "
                    + "'\(Output.programName) tail' shows the ends of ids")
        case .several(let ids, let count):
            let more = count > ids.count ? "\n  … and \(count - ids.count) more" : ""
            throw CommandFailure(
                .failed,
                "\(query.digits) may mean \(count) traces; give more digits:\n  "
                    + ids.joined(separator: "\n  ") + more)
        case .one(let found):
            let records = traces.records(of: found)
            if show.json {
                var printer = RecordPrinter(show)
                for record in records { printer.print(record) }
            } else {
                let times = TimeText(zone: show.zone, now: Clocks.wall())
                let screen = TraceScreen(
                    id: found, records: records, style: Output.style, times: times)
                for line in screen.lines() { Output.line(line) }
            }
            if traces.isCut {
                Output.complain("only \(TraceCollection.recordsMax) of its records are shown")
            }
        }
    }
}
