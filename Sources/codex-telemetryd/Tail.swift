import ArgumentParser
import Control
import Inspect
import Places
import SegmentLog
import SystemIO

/// `tail`: stored records, newest last.
struct Tail: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show stored records, and follow new ones.",
        discussion: "Bare, it shows the last 10; with --since or --until all that are meant.")

    @Flag(name: .shortAndLong, help: "Go on with what comes, until interrupted.") var follow = false
    @Option(
        name: [.customShort("n", allowingJoined: true), .long], help: "How many of the newest.")
    var lines: Int?
    @OptionGroup(title: "Which records") var which: FilterOptions
    @OptionGroup(title: "How") var show: ShowOptions
    @OptionGroup(title: "Which agent") var places: PlaceOptions

    private static let linesDefault = 10
    /// Emit to visible is the client's flush interval, then this: within the promised 250 ms.
    private static let pollMilliseconds: Int32 = 20

    func validate() throws {
        if let lines, lines < 0 { throw ValidationError("-n takes 0 or more") }
    }

    func run() throws {
        let filter = try which.filter(show.zone)
        let isAll = lines == nil && (which.since != nil || which.until != nil)
        let count = isAll ? nil : lines ?? Self.linesDefault
        let place = try RecordPlace.find(places.choice)
        var printer = RecordPrinter(show)
        do throws(SourceError) {
            switch place.way {
            case .files(let state): try showFiles(state, count, filter, &printer)
            case .control(let path): try showAnswers(path, count, filter, &printer)
            }
        } catch {
            Output.flush()
            throw CommandFailure(.failed, error.description)
        }
    }

    private func showFiles(
        _ state: String, _ count: Int?, _ filter: RecordFilter, _ printer: inout RecordPrinter
    ) throws(SourceError) {
        let start: ReadStart
        if let count {
            let last = try LastRecords(count, state: state, filter: filter)
            for sentence in last.gaps { say(sentence) }
            for record in last.records { printer.print(record) }
            start = last.next == .none ? .beginning : .offset(last.next, ordinal: nil)
            guard follow else { return }
        } else {
            start = .beginning
        }
        let source = try RecordSource(state: state, at: start, filter: filter)
        let selection = RecordSelection(filter)
        Output.flush()
        while true {
            while let item = try source.next() { show(item, selection, &printer) }
            guard follow else { return }
            Output.flush()
            Output.pause(milliseconds: Self.pollMilliseconds)
        }
    }

    private func showAnswers(
        _ path: String, _ count: Int?, _ filter: RecordFilter, _ printer: inout RecordPrinter
    ) throws(SourceError) {
        let selection = RecordSelection(filter)
        let source: RecordSource
        if let count {
            var records: [StoredRecord] = []
            let newest = try newestSegment(path)
            var from = newest
            var asked = try RecordSource(control: path, from: from, follow: follow, filter: filter)
            while true {
                records = try newestRecords(count, asked, selection)
                guard records.count < count, from > 0 else { break }
                // The newest segment holds too few: from the oldest, then.
                from = 0
                asked = try RecordSource(control: path, from: 0, follow: follow, filter: filter)
            }
            source = asked
            for record in records { printer.print(record) }
        } else {
            source = try RecordSource(control: path, from: 0, follow: follow, filter: filter)
            while let item = try source.next() { show(item, selection, &printer) }
        }
        guard follow else { return }
        while !source.isEnded {
            Output.flush()
            Output.pause(milliseconds: 0)
            // Waits for the agent's next answer, which comes at least every second.
            while let item = try source.next() {
                show(item, selection, &printer)
                Output.flush()
            }
        }
    }

    private func newestSegment(_ path: String) throws(SourceError) -> UInt64 {
        do throws(ControlError) {
            var client = try ControlClient(path: path)
            let committed = LogOffset(try client.status().log.committed) ?? .none
            return LogOffset(segment: committed.segment, position: 0).rawValue
        } catch {
            throw .control(error)
        }
    }

    private func newestRecords(
        _ count: Int, _ source: RecordSource, _ selection: RecordSelection
    ) throws(SourceError) -> [StoredRecord] {
        var last: [StoredRecord] = []
        while let item = try source.next() {
            switch item {
            case .gap(let sentence): say(sentence)
            case .entry(let entry):
                last += selection.records(of: entry).suffix(count)
                if last.count > 2 * count { last.removeFirst(last.count - count) }
            }
        }
        return Array(last.suffix(count))
    }

    private func show(
        _ item: SourceItem, _ selection: RecordSelection, _ printer: inout RecordPrinter
    ) {
        switch item {
        case .gap(let sentence): say(sentence)
        case .entry(let entry):
            for record in selection.records(of: entry) { printer.print(record) }
        }
    }

    private func say(_ sentence: String) {
        Output.flush()
        Output.complain(sentence)
    }
}
