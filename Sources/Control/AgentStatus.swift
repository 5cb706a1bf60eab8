/// The answer to `status`: what `status --json` prints and people see. Counts are since the log was
/// made where they say *stored*, since the agent's start otherwise.
package struct AgentStatus: Codable, Sendable, Equatable {
    /// Version of this schema: raised when a field changes its meaning, not when one is added.
    package var schema = 1
    /// The program and its run.
    package var agent = Agent()
    /// What stands before the log.
    package var intake = Intake()
    /// Receivers beside the ingest socket; what they took is counted in `intake`.
    package var receivers: [Receiver]?
    /// The log.
    package var log = Log()
    /// One for each exporter.
    package var exporters: [Exporter] = []
    /// Who is connected, and what they said of themselves.
    package var producers = Producers()
    /// Every figure that limits something.
    package var limits: [String: UInt64] = [:]

    /// An answer to be filled in.
    package init() {}

    /// The agent's run.
    package struct Agent: Codable, Sendable, Equatable {
        /// Program version.
        package var version = ""
        /// `system` or `user`.
        package var scope = ""
        /// Process id.
        package var pid: Int32 = 0
        /// Effective uid.
        package var uid: UInt32 = 0
        /// RFC 3339, UTC, with milliseconds: nothing was taken by this run before it.
        package var started = ""
        /// Seconds since the start, from a clock that does not jump.
        package var uptimeSeconds: Double = 0
        /// `running` or `degraded`.
        package var state = "running"
        /// Why it is degraded, a sentence each.
        package var reasons: [String] = []
        /// What is not as it was asked for, and works all the same, a sentence each.
        package var warnings: [String]?
        /// Ingest socket, control socket, state directory, configuration file.
        package var places: [String: String] = [:]
        /// Resident memory in bytes, anonymous and mapped from files apart.
        package var memoryAnonymousBytes: UInt64 = 0
        /// See `memoryAnonymousBytes`.
        package var memoryFileBytes: UInt64 = 0
        /// An agent to be filled in.
        package init() {}
    }

    /// Counts of batches and of the records in them.
    package struct Count: Codable, Sendable, Equatable {
        /// Batches.
        package var batches: UInt64 = 0
        /// Records in them (as the header claims, for refused ones).
        package var records: UInt64 = 0
        /// Zero.
        package init(batches: UInt64 = 0, records: UInt64 = 0) {
            self.batches = batches
            self.records = records
        }
    }

    /// received = stored + duplicate + refused by cause.
    package struct Intake: Codable, Sendable, Equatable {
        /// `open`, or why not.
        package var state = "open"
        /// Complete batches that arrived.
        package var received = Count()
        /// Of these, in the log.
        package var stored = Count()
        /// Of these, already there.
        package var duplicate = Count()
        /// Of these, refused, by the code's name in wire.md.
        package var refused: [String: Count] = [:]
        /// Records that producers dropped before they reached us, by their own count: of stored batches.
        package var producerDropped: [String: UInt64] = [:]
        /// Received, and no outcome yet.
        package var inFlight = Count()
        /// Connections refused or closed by us, by cause.
        package var connectionsClosed: [String: UInt64] = [:]
        /// Intake to be filled in.
        package init() {}
    }

    /// A receiver.
    package struct Receiver: Codable, Sendable, Equatable {
        /// Where it listens.
        package struct Place: Codable, Sendable, Equatable {
            /// Address and port, or path.
            package var place: String
            /// Why nobody is heard there; none if all is well.
            package var problem: String?

            /// All given.
            package init(place: String, problem: String?) {
                self.place = place
                self.problem = problem
            }
        }

        /// Configured name.
        package var name = ""
        /// Where it listens.
        package var places: [Place] = []
        /// Requests since the start, by the status they were answered with.
        package var answers: [String: UInt64] = [:]
        /// Records that were left out of requests that were taken (partial success).
        package var rejectedRecords: UInt64 = 0
        /// Fields that the known version of OTLP does not have, by path: they are not stored.
        package var unknownFields: [String: UInt64] = [:]
        /// Texts that were not UTF-8 and were repaired.
        package var repairedTexts: UInt64 = 0
        /// A receiver to be filled in.
        package init() {}
    }

    /// The segment log.
    package struct Log: Codable, Sendable, Equatable {
        /// `writing`, or why not.
        package var state = "writing"
        /// Log id.
        package var id = ""
        /// Batches and records stored since the log was made.
        package var stored = Count()
        /// Batches and records still there.
        package var kept = Count()
        /// Of the kept records: spans.
        package var keptSpans: UInt64 = 0
        /// Batches and records that retention deleted.
        package var expired = Count()
        /// Batches and records that damage took from the log, so that a start found them missing:
        /// stored = kept + expired + lost. What is damaged in a sealed segment is among the kept, and is
        /// counted by its readers.
        package var lost = Count()
        /// Of these, what was in segments that somebody else removed since the start; nil from an agent that does
        /// not say so.
        package var removed: Count?
        /// Half-written ends that this start cut off.
        package var tornTails: UInt64 = 0
        /// Damaged ranges that were met since the start.
        package var damagedRanges: UInt64 = 0
        /// Bytes in damaged ranges.
        package var damagedBytes: UInt64 = 0
        /// Where: `file:position` of the newest, at most 16.
        package var damage: [String] = []
        /// Segment files.
        package var segments: UInt64 = 0
        /// Bytes of them on disk.
        package var bytes: UInt64 = 0
        /// Everything below is complete in the file: `segment:position`.
        package var committed = ""
        /// Everything below survives power loss.
        package var synced = ""
        /// Receipt of the oldest kept entry, RFC 3339.
        package var oldest = ""
        /// A log to be filled in.
        package init() {}
    }

    /// One exporter: stored = delivered + waiting + excluded by cause + lost by cause.
    package struct Exporter: Codable, Sendable, Equatable {
        /// Configured name.
        package var name = ""
        /// Its kind: `journald`, …
        package var type = ""
        /// `running`, `degraded`, `off`.
        package var state = ""
        /// Why it is not `running`.
        package var reason = ""
        /// Records that came under its cursor, or wait before it.
        package var stored: UInt64 = 0
        /// Records that its sink has.
        package var delivered: UInt64 = 0
        /// Records in the log that it has not reached, or that are sent and not confirmed.
        package var waiting: UInt64 = 0
        /// Records left out on purpose, by cause.
        package var excluded: [String: UInt64] = [:]
        /// Records that will never arrive, by cause.
        package var lost: [String: UInt64] = [:]
        /// Its cursor: `segment:position`.
        package var cursor = ""
        /// The cursor as it was last saved; empty: not yet by this run of the agent. nil from an agent that does
        /// not say so.
        package var savedCursor: String?
        /// Saved cursors that could not be used at this start, and were set aside; nil as above.
        package var cursorsSetAside: UInt64?
        /// Further facts of its kind.
        package var details: [String: String] = [:]
        /// An exporter to be filled in.
        package init() {}
    }

    /// Connected producers.
    package struct Producers: Codable, Sendable, Equatable {
        /// Open connections.
        package var connections: UInt64 = 0
        /// Connections since the start.
        package var connectionsTotal: UInt64 = 0
        /// Names of environment variables that producers have set and that only the agent honours.
        package var environment: [String: UInt64] = [:]
        /// Spool files taken over.
        package var spoolFilesDrained: UInt64 = 0
        /// Spool files left alone, by reason.
        package var spoolFilesRefused: [String: UInt64] = [:]
        /// Damaged ranges of spool files, stepped over; nil from an agent that does not count them.
        package var spoolDamagedRanges: UInt64?
        /// Bytes of them.
        package var spoolDamagedBytes: UInt64?
        /// Producers to be filled in.
        package init() {}
    }
}
