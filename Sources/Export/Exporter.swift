package import SegmentLog
package import TelemetryBatch

/// A stored batch on its way to a sink.
package struct ExportBatch: Sendable {
    /// Its records.
    package let batch: Batch
    /// Where it is.
    package let offset: LogOffset
    /// The records that are the exporter's, by their places in the batch: rising, apart from each other, none
    /// empty. The others are settled already.
    package let ranges: [Range<Int>]
    /// Names it in the ledger: every record of `ranges` must be settled under it.
    package let ticket: ExportLedger.Ticket
    /// When the agent got it: nanoseconds since 1970.
    package let receiptNanoseconds: UInt64
    /// The kernel's word on who sent it.
    package let peer: PeerIdentity

    /// All given; without ranges all records are the exporter's.
    package init(
        batch: Batch, ranges: [Range<Int>]? = nil, offset: LogOffset, ticket: ExportLedger.Ticket,
        receiptNanoseconds: UInt64, peer: PeerIdentity
    ) {
        self.batch = batch
        self.ranges = ranges ?? RecordRules.everything.select(from: batch).ranges
        self.offset = offset
        self.ticket = ticket
        self.receiptNanoseconds = receiptNanoseconds
        self.peer = peer
    }
}

/// Where an exporter goes on.
package struct ExportResumption: Sendable {
    /// The log.
    package let logID: String
    /// Everything below it is settled; records from here on come again.
    package let cursor: LogOffset
    /// What `checkpoint` returned for this cursor; empty for a new one, or if it was lost.
    package let state: [UInt8]
    /// Whether this cursor was saved by an orderly stop after all that was sent was confirmed: nothing
    /// beyond it can be in the sink.
    package let isClean: Bool

    /// All given.
    package init(logID: String, cursor: LogOffset, state: [UInt8], isClean: Bool) {
        self.logID = logID
        self.cursor = cursor
        self.state = state
        self.isClean = isClean
    }
}

/// How an exporter is.
package enum ExporterState: Sendable, Equatable {
    /// Not at work yet.
    case starting
    /// At work.
    case running
    /// At work as far as it can; why not further, a sentence. Records wait in the log.
    case degraded(String)
    /// At its end.
    case stopped

    /// The name in `status`.
    package var name: String {
        switch self {
        case .starting: "starting"
        case .running: "running"
        case .degraded: "degraded"
        case .stopped: "stopped"
        }
    }

    /// Why it is degraded, else empty.
    package var reason: String {
        if case .degraded(let reason) = self { reason } else { "" }
    }
}

/// What a step did.
package struct ExporterStep: Sendable {
    /// How the exporter is now.
    package var state: ExporterState
    /// How long there is nothing to do unless a batch comes: 0 to be called again at once.
    package var idleNanoseconds: UInt64
    /// Whether nothing that was taken is unsettled because of the sink: a stop may end here.
    package var isDone: Bool
    /// Whether the sink holds nothing beyond the cursor that nobody knows of: false until what a run that
    /// died may have left there was looked for. A stop may end before that, but its end is no clean one.
    package var knowsSink: Bool
    /// Whether all that is unsettled waits for a sink that was asked, and is to be left alone for a while: a stop may
    /// end here, and what was taken comes again.
    package var waitsForSink: Bool

    /// All given.
    package init(
        state: ExporterState, idleNanoseconds: UInt64, isDone: Bool, knowsSink: Bool = true,
        waitsForSink: Bool = false
    ) {
        self.state = state
        self.idleNanoseconds = idleNanoseconds
        self.isDone = isDone
        self.knowsSink = knowsSink
        self.waitsForSink = waitsForSink
    }
}

/// A sink and the way to it. Lives on one thread, its runner's.
///
/// It takes batches in the log's order while it `wantsBatch`, and settles each record in the ledger when
/// it knows what became of it. What it has taken and not settled is waiting: after a restart it comes again.
package protocol Exporter: AnyObject {
    /// Whether it can take another batch. When it cannot, records wait in the log: there is no other queue.
    var wantsBatch: Bool { get }
    /// Further facts for `status`.
    var details: [String: String] { get }
    /// How long after a look at the log what is new there may wait for the next one: what is sent together by time
    /// need not be fetched one by one.
    var restNanoseconds: UInt64 { get }
    /// Called once, before anything else.
    func resume(_ resumption: ExportResumption)
    /// Takes a batch. Does not block. A batch may come in parts that follow each other at once, each with all
    /// of the exporter's records of a signal: then with the same ticket.
    func take(_ batch: ExportBatch, ledger: inout ExportLedger)
    /// Does some work: sends, looks, settles. Blocks 100 ms at most, so that the watchdog sees progress; a
    /// refused or timed-out attempt is an iteration like any other.
    func step(stopping: Bool, ledger: inout ExportLedger) -> ExporterStep
    /// The state to save with a cursor: a fold over all batches up to `ticket`, and no further.
    func checkpoint(upTo ticket: ExportLedger.Ticket?) -> [UInt8]
    /// The cursor was saved, with the counts of all batches up to `ticket`.
    func didSave(upTo ticket: ExportLedger.Ticket?)
    /// Lets go of the sink. Nothing is called after it.
    func close()
}

extension Exporter {
    /// Most keep nothing until then.
    package func didSave(upTo ticket: ExportLedger.Ticket?) {}

    /// Most send at once.
    package var restNanoseconds: UInt64 { 0 }
}
