/// Named places where a test makes a real agent stop, die or fail, to show that the promises hold there:
/// one before and one after each step that changes a file, tells a producer, or passes something on.
package enum Failpoint {
    /// A step of the agent. This set is closed: what has no name here cannot be planned, and tests hold
    /// that each is reached.
    package enum Step: String, CaseIterable, Sendable {
        case directoryCreate = "directory.create"
        case lockCreate = "lock.create"
        case lockTruncate = "lock.truncate"
        case lockWrite = "lock.write"
        case metaCreate = "meta.create"
        case metaWrite = "meta.write"
        case metaSync = "meta.sync"
        case metaRename = "meta.rename"
        case positionCreate = "position.create"
        case positionWrite = "position.write"
        case segmentCreate = "segment.create"
        case segmentHeaderWrite = "segment.header.write"
        case segmentAllocate = "segment.allocate"
        /// Of entries.
        case segmentWrite = "segment.write"
        case segmentSync = "segment.sync"
        case segmentFooterWrite = "segment.footer.write"
        case segmentTruncate = "segment.truncate"
        case segmentRemove = "segment.remove"
        case dedupeCreate = "dedupe.create"
        case dedupeWrite = "dedupe.write"
        case dedupeSync = "dedupe.sync"
        case dedupeRename = "dedupe.rename"
        /// A checkpoint that cannot be used gets another name.
        case dedupeAside = "dedupe.aside"
        case reserveCreate = "reserve.create"
        case reserveAllocate = "reserve.allocate"
        case reserveRemove = "reserve.remove"
        /// A temporary file that a death left behind is taken away.
        case leftoverRemove = "leftover.remove"
        /// The names in `log`.
        case logSync = "log.sync"
        case quarantineCreate = "quarantine.create"
        case quarantineWrite = "quarantine.write"
        case quarantineSync = "quarantine.sync"
        case quarantineRemove = "quarantine.remove"
        /// The names in `quarantine`.
        case quarantineNamesSync = "quarantine.names.sync"
        case cursorCreate = "cursor.create"
        case cursorWrite = "cursor.write"
        case cursorSync = "cursor.sync"
        case cursorRename = "cursor.rename"
        case cursorAside = "cursor.aside"
        /// The names in `cursors`.
        case cursorNamesSync = "cursor.names.sync"
        /// A batch that arrived is counted, checked and handed to the log.
        case batchSubmit = "batch.submit"
        case ackSend = "ack.send"
        /// All of a spool file is durable in the log, and the file goes.
        case spoolRemove = "spool.remove"
        /// Entries go to journald.
        case journalSend = "journal.send"

        /// The system call that fails there; nil for a step that is none.
        var operation: SystemError.StaticOperation? {
            switch self {
            case .batchSubmit, .ackSend, .journalSend: nil
            case .directoryCreate: .makeDirectory
            default:
                switch rawValue.split(separator: ".").last ?? "" {
                case "create": .open
                case "write": .write
                case "sync": .sync
                case "allocate": .allocate
                case "truncate": .truncate
                case "rename", "aside": .rename
                default: .remove
                }
            }
        }
    }

    /// Which side of a step.
    package enum Side: String, CaseIterable, Sendable {
        case before, after
    }

    /// One side of one step: `segment.write.before`.
    package struct Place: Hashable, Sendable, CustomStringConvertible {
        /// The step.
        package let step: Step
        /// Its side.
        package let side: Side

        /// A place.
        package init(_ step: Step, _ side: Side) {
            self.step = step
            self.side = side
        }

        /// All there are, in the order of the steps.
        package static var all: [Place] {
            Step.allCases.flatMap { step in Side.allCases.map { Place(step, $0) } }
        }

        package var description: String { "\(step.rawValue).\(side.rawValue)" }
    }

    /// What happens at a place.
    package enum Action: String, CaseIterable, Sendable {
        /// The process ends as SIGKILL ends it, and says where on standard error before.
        case kill
        /// The thread waits for ever.
        case stall
        /// The system call fails with EIO; after it: it is done, and reported as failed.
        case fail
        /// The same with ENOSPC.
        case full
        /// At `batch.submit.before` alone: the batch is forgotten and counted nowhere.
        case drop
    }

    /// An action, and the turn at which it is due.
    package struct Plan: Hashable, Sendable {
        /// Where.
        package let place: Place
        /// What.
        package let action: Action
        /// At the how many-th time that the place is reached, from 1.
        package let turn: Int

        /// A plan.
        package init(_ place: Place, _ action: Action, turn: Int = 1) {
            self.place = place
            self.action = action
            self.turn = turn
        }
    }

    /// Why a text is no plan.
    package struct Mistake: Error, CustomStringConvertible {
        /// A sentence.
        package let description: String
    }

    /// Reads `PLACE=ACTION[@TURN]`, several separated by commas.
    package static func plans(_ text: String) throws(Mistake) -> [Plan] {
        var plans: [Plan] = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            plans.append(try plan(part))
        }
        return plans
    }

    private static func plan(_ part: Substring) throws(Mistake) -> Plan {
        let sides = part.split(separator: "=", omittingEmptySubsequences: false)
        guard sides.count == 2 else { throw Mistake("\"\(part)\" is not PLACE=ACTION[@TURN]") }
        guard let place = Place.all.first(where: { $0.description == sides[0] }) else {
            let known = Place.all.map(\.description).joined(separator: " ")
            throw Mistake("\"\(sides[0])\" is no place; known are \(known)")
        }
        let words = sides[1].split(separator: "@", omittingEmptySubsequences: false)
        guard let action = Action(rawValue: String(words[0])) else {
            let known = Action.allCases.map(\.rawValue).joined(separator: " ")
            throw Mistake("\"\(words[0])\" is no action; known are \(known)")
        }
        var turn = 1
        if words.count > 1 {
            guard words.count == 2, let given = Int(words[1]), given > 0 else {
                throw Mistake("\"\(sides[1])\": a turn is a number from 1 on")
            }
            turn = given
        }
        switch action {
        case .fail, .full:
            guard place.step.operation != nil else {
                throw Mistake("\(place) is no system call that can fail")
            }
        case .drop:
            guard place == Place(.batchSubmit, .before) else {
                throw Mistake("nothing can be dropped at \(place)")
            }
        case .kill, .stall: break
        }
        return Plan(place, action, turn: turn)
    }
}

extension Failpoint.Mistake {
    init(_ description: String) { self.description = description }
}

/// What is planned in this process, and how often each place was reached. Where nothing is planned there
/// is none of it: a place then costs one branch.
package final class Failpoints: Sendable {
    /// The agent's own variable: no peer can set it.
    package static let variable = "CODEX_TELEMETRY_FAILPOINT"

    private let plans: [Failpoint.Plan]
    /// Guards how often each place was reached.
    private let turns = Monitor<[Failpoint.Place: Int]>([:])

    /// With plans; none: it only counts.
    package init(_ plans: [Failpoint.Plan] = []) { self.plans = plans }

    /// What the environment plans, nil if that is nothing.
    package static func ofThisProcess() throws(Failpoint.Mistake) -> Failpoints? {
        guard let text = ThisProcess.environment(variable), !text.isEmpty else { return nil }
        do {
            return Failpoints(try Failpoint.plans(text))
        } catch {
            throw Failpoint.Mistake("\(variable): \(error)")
        }
    }

    /// The places that were reached so far.
    package var reached: Set<Failpoint.Place> { turns.withLock { Set($0.keys) } }

    /// A place whose system call may fail.
    package func reach(_ step: Failpoint.Step, _ side: Failpoint.Side) throws(SystemError) {
        let action = act(Failpoint.Place(step, side))
        guard action == .fail || action == .full else { return }
        throw SystemError(
            errno: action == .full ? SystemError.noSpace : SystemError.inputOutput,
            operation: step.operation ?? .write, path: "failpoint \(step.rawValue)")
    }

    /// A place where nothing can fail; false: what comes here is to be forgotten.
    @discardableResult
    package func pass(_ step: Failpoint.Step, _ side: Failpoint.Side) -> Bool {
        act(Failpoint.Place(step, side)) != .drop
    }

    private func act(_ place: Failpoint.Place) -> Failpoint.Action? {
        let turn = turns.withLock { turns in
            turns[place, default: 0] += 1
            return turns[place, default: 0]
        }
        guard let plan = plans.first(where: { $0.place == place && $0.turn == turn }) else {
            return nil
        }
        say("codex-telemetryd: failpoint \(place): \(plan.action.rawValue)\n")
        switch plan.action {
        case .kill:
            Signals.send(Signals.kill, to: ThisProcess.pid)
            stall()
        case .stall: stall()
        case .fail, .full, .drop: return plan.action
        }
    }

    private func stall() -> Never {
        while true { _ = turns.wait { _ in Bool?.none } }
    }

    private func say(_ line: String) {
        do {
            try StandardStream.error.write(Array(line.utf8))
        } catch {
            // Nobody is left to tell.
            return
        }
    }
}
