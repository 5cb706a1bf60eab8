import Agent
import ArgumentParser
import ByteCoding
import Control
import Export
import Inspect
import OTLPCodec
import OTLPExport
import SegmentLog
import SystemIO
import TelemetryBatch

/// `export`: sends stored records to a backend, once.
struct ExportRecords: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "export",
        abstract: "Send stored records to a backend as OTLP over HTTP, once.",
        discussion: """
            No exporter's place moves. Ends with 0 if the backend has all of them, 1 if not: it refused some, \
            or did not answer within the time.
            """)

    @Option(help: ArgumentHelp("The backend, as http://localhost:14318.", valueName: "url"))
    var otlp: String
    @Option(
        help: ArgumentHelp(
            "From this time on: 24h, \"1 hour ago\", today, RFC 3339.", valueName: "time"))
    var since: String
    @Option(help: ArgumentHelp("Before this time.", valueName: "time"))
    var until: String?
    @Option(help: ArgumentHelp("A header of every request, as NAME=VALUE.", valueName: "header"))
    var header: [String] = []
    @Flag(help: "In JSON instead of protobuf.") var jsonEncoding = false
    @Option(
        help: ArgumentHelp(
            "How long to go on without an answer that helps, in seconds.", valueName: "seconds"))
    var patience: UInt64 = 30
    @Flag(help: "Times without a zone are UTC.") var utc = false
    @OptionGroup(title: "Which agent") var places: PlaceOptions

    func run() throws {
        let zone = utc ? TimeZoneRule.utc : TimeZoneRule { LocalZone.secondsEast(at: $0) }
        var filter = RecordFilter()
        do throws(TimeExpressionError) {
            let now = Clocks.wall()
            filter.since = try TimeExpression.parse(since, now: now, zone: zone)
            if let until { filter.until = try TimeExpression.parse(until, now: now, zone: zone) }
        } catch {
            throw ValidationError(error.description)
        }
        var configuration = try configuration()
        let place = try RecordPlace.find(places.choice)
        // Else this very agent might take its own records for new ones, and have them twice.
        if HTTPAddress(otlp)?.isThisHost == true {
            configuration.mark = try Self.log(of: place).map { HopMark(log: $0) }
        }
        let sending = Sending(configuration, patienceSeconds: patience)
        do throws(Inspect.SourceError) {
            let source: RecordSource
            switch place.way {
            case .files(let state):
                source = try RecordSource(state: state, at: .beginning, filter: filter)
            case .control(let path):
                source = try RecordSource(control: path, from: 0, follow: false, filter: filter)
            }
            while !sending.isHopeless, let item = try source.next() {
                switch item {
                case .gap(let sentence): Output.complain(sentence)
                case .entry(let entry): sending.take(entry, filter)
                }
            }
        } catch {
            throw CommandFailure(.failed, error.description)
        }
        try sending.finish()
    }

    private func configuration() throws -> OTLPExportConfiguration {
        var configuration = OTLPExportConfiguration()
        guard let address = HTTPAddress(otlp) else {
            throw ValidationError(
                "'\(otlp)' is no URL of a backend, as http://localhost:14318: http or https, a port up to 65535, "
                    + "no user name (who you are belongs in --header)")
        }
        for signal in OTLPSignal.allCases {
            configuration.endpoints[signal] = "\(address.base)/v1/\(signal.rawValue)"
        }
        for text in header {
            let parts = text.split(separator: "=", maxSplits: 1).map(String.init)
            guard parts.count == 2, OTLPHTTPConfig.Header.isAllowed(parts[0], parts[1]) else {
                throw ValidationError(
                    "'\(text)' is no NAME=VALUE of a header, in ASCII and on one line, and none of the body's own"
                )
            }
            configuration.headers.append(.init(name: parts[0], value: parts[1]))
        }
        configuration.encoding = jsonEncoding ? .json : .protobuf
        configuration.retry = RetryPolicy(longest: .seconds(5))
        return configuration
    }

    /// The log whose records are sent.
    private static func log(of place: RecordPlace) throws -> ID128? {
        switch place.way {
        case .files(let state):
            do throws(LogError) {
                return try LogReader(state: DirectoryStorage(opening: state), at: .beginning).logID
            } catch {
                throw CommandFailure(.failed, error.description)
            }
        case .control(let path):
            do throws(ControlError) {
                var client = try ControlClient(path: path)
                return ID128(hex: try client.status().log.id)
            } catch {
                throw error.failure
            }
        }
    }
}

/// An exporter that is driven by hand, over what a source gives.
private final class Sending {
    private let exporter: OTLPExporter
    private var ledger = ExportLedger(cursor: .none)
    private let patience: UInt64
    private var helped = Clocks.boottime()
    private var settled: UInt64 = 0
    private var problem = ""

    init(_ configuration: OTLPExportConfiguration, patienceSeconds: UInt64) {
        var settings = ConnectionSettings()
        settings.proxy = ProxyRules { ThisProcess.environment($0) }
        exporter = OTLPExporter(
            name: "export", configuration: configuration, state: nil, sender: HTTPSender(settings))
        // A century is for ever.
        patience = min(patienceSeconds, 3_155_760_000) * 1_000_000_000
    }

    /// Whether the backend has not helped for too long. Looking for records is not its doing.
    var isHopeless: Bool { ledger.pending > 0 && Clocks.boottime() - helped > patience }

    /// Takes the records of an entry that are of the time.
    func take(_ entry: StoredEntry, _ filter: RecordFilter) {
        var selection = ExportSelection(ranges: [])
        for record in RecordSelection(filter).records(of: entry) {
            selection.add(record.record.index)
        }
        let ranges = selection.ranges
        if ranges.isEmpty { return }
        while !exporter.wantsBatch || !ledger.hasRoom {
            if isHopeless { return }
            step(stopping: false)
        }
        if ledger.pending == 0 { helped = Clocks.boottime() }
        let ticket = ledger.take(
            records: ranges.reduce(0) { $0 + $1.count }, end: entry.envelope.next)
        exporter.take(
            ExportBatch(
                batch: entry.batch, ranges: ranges, offset: entry.envelope.offset, ticket: ticket,
                receiptNanoseconds: entry.envelope.received, peer: entry.envelope.peer),
            ledger: &ledger)
        step(stopping: false)
    }

    /// Sends what is left; says what became of all.
    func finish() throws {
        while ledger.pending > 0, !isHopeless { step(stopping: true) }
        exporter.close()
        let counts = ledger.counts
        let (delivered, refused) = (counts[.delivered], counts[.lost(.rejected)])
        Output.line("\(delivered) records sent, \(refused) refused, \(ledger.pending) left")
        if let last = exporter.details["last_rejection"] { Output.complain(last) }
        guard refused == 0, !isHopeless, ledger.pending == 0 else {
            let silence = "no answer within \(patience / 1_000_000_000) s"
            throw CommandFailure(
                .failed,
                isHopeless
                    ? "not all was sent: \(problem.isEmpty ? silence : problem)"
                    : "the backend refused records")
        }
    }

    private func step(stopping: Bool) {
        let step = exporter.step(stopping: stopping, ledger: &ledger)
        _ = ledger.advance(synced: LogOffset(rawValue: .max))
        if case .degraded(let reason) = step.state { problem = reason }
        let now = ledger.counts.total
        if now > settled {
            settled = now
            helped = Clocks.boottime()
        }
        if step.idleNanoseconds > 0, ledger.pending > 0, stopping || !exporter.wantsBatch {
            Output.pause(milliseconds: Int32(min(step.idleNanoseconds / 1_000_000, 50)))
        }
    }
}
