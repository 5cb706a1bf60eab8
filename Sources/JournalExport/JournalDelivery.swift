#if Journald && os(Linux)
    import Export
    import SystemIO

    /// Sends entries to journald and finds out which arrived. Nothing here waits longer than some
    /// milliseconds: a journald that is stopped, or gone, is a state.
    ///
    /// `barrier` → `lookingBack` → `ready`, or at once `ready` if nothing can be in the journal that the
    /// cursor does not know, or nobody can look.
    final class JournalDelivery {
        /// Entries that may be unconfirmed at a time, and their bytes: what bounds memory.
        static let unconfirmedMax = 16_384
        static let unconfirmedBytesMax = 4 << 20
        /// Datagrams in a system call.
        private static let runMax = 64
        /// Entries read in a step.
        private static let lookMax = 1024
        /// A reader that has read so many is closed and opened again: it maps what it reads.
        private static let readerEntriesMax = 50_000
        private static let second: UInt64 = 1_000_000_000

        enum Phase: Equatable {
            /// What the run before us sent may still be in journald's queue: it is there when our barrier is.
            case barrier
            /// Looking which records from the cursor on are in the journal.
            case lookingBack
            /// At work.
            case ready
        }

        private(set) var phase = Phase.ready
        private(set) var tracker = DeliveryTracker()
        /// Entries from the cursor on that the journal had when we came.
        private(set) var present: Set<EntryID> = []
        private var presentEnd: UInt64 = 0
        /// Why entries cannot be looked for, nil if they can.
        private(set) var unreadableReason: String?
        /// Entries taken as delivered though nobody could look.
        private(set) var unverified: UInt64 = 0
        /// Entries that had to be sent as memory files.
        private(set) var sentAsFiles: UInt64 = 0

        private let configuration: JournalConfiguration
        private let time: any TimeSource
        private let failpoints: Failpoints?
        private var logID = ""
        private var encoder = EntryEncoder(logID: "", isRoot: false)
        private var socket: JournalSocket?
        private var connecting = RetryState(
            RetryPolicy(initial: .milliseconds(50), longest: .seconds(5), jitter: 0))
        private var socketProblem: String?
        private var blockedSince: UInt64?
        private var restUntil: UInt64 = 0
        private var readback: JournalReadback
        private var lookBack: JournalLookBack?
        private var cursor: UInt64 = 0
        private var wanted: Set<EntryID> = []
        private var accessCheckedAt: UInt64?
        private var nextLook: UInt64 = 0
        private var lookPause: UInt64 = 0
        /// The last time that something new was visible, or that nothing was in doubt.
        private var progressAt: UInt64 = 0
        private var nextBarrier: UInt64 = 0
        private var barrierPause: UInt64 = 0
        private var barrierNonce: UInt64
        /// Whether the last barrier went to journald.
        private var isBarrierSent = false

        init(
            configuration: JournalConfiguration, time: any TimeSource, failpoints: Failpoints? = nil
        ) {
            self.failpoints = failpoints
            self.configuration = configuration
            self.time = time
            readback = JournalReadback(
                namespace: configuration.namespace, entriesMax: Self.readerEntriesMax)
            // Of this run alone: a barrier of another run proves nothing.
            barrierNonce = UInt64.random(in: 1...(UInt64.max >> 1))
        }

        /// Goes on at a cursor. `wanted` names entries below it that the journal may or may not have.
        func begin(logID: String, cursor: UInt64, isClean: Bool, wanted: Set<EntryID>) {
            self.logID = logID
            self.cursor = cursor
            self.wanted = wanted
            encoder = EntryEncoder(logID: logID, isRoot: false)
            readback.logID = logID
            phase = isClean ? .ready : .barrier
        }

        var mayQueue: Bool {
            phase == .ready && tracker.unconfirmed < Self.unconfirmedMax
                && tracker.bytes < Self.unconfirmedBytesMax
        }

        func queue(
            _ id: EntryID, _ ticket: ExportLedger.Ticket?, _ encoded: EncodedEntries,
            _ range: Range<Int>
        ) {
            tracker.queue(id, ticket: ticket, encoded: encoded, range: range)
        }

        /// Forgets what the journal had once the exporter, which is at `offset`, is past all of it.
        func forgetPresent(below offset: UInt64) {
            if offset > presentEnd { present = [] }
        }

        /// Sends and looks. Settles what is known now with `settle`.
        func step(_ settle: (DeliveryTracker.Entry, Outcome) -> Void) {
            let now = time.boottime()
            checkAccess(now, settle)
            switch phase {
            case .barrier: stepBarrier(now)
            case .lookingBack: stepLookBack()
            case .ready:
                let isBlocked = send(now)
                if unreadableReason != nil {
                    takeUnverified(settle)
                    if isBlocked { waitForRoom() }
                    return
                }
                look(now, isBlocked: isBlocked, settle)
            }
        }

        /// How long there is nothing to do unless something is queued.
        var idleNanoseconds: UInt64 {
            let now = time.boottime()
            if tracker.queued > 0, now >= restUntil, socket != nil, !isStuck(now) { return 0 }
            if tracker.unconfirmed == 0, phase == .ready { return UInt64.max }
            return phase == .lookingBack ? 0 : max(1_000_000, nextLook > now ? nextLook - now : 0)
        }

        /// Whether journald has taken nothing for long. A shorter wait for room is `step`'s own: it ends
        /// when there is some, where a rest until the next look would leave journald idle.
        private func isStuck(_ now: UInt64) -> Bool {
            guard let blockedSince else { return false }
            return now - blockedSince > Self.second
        }

        /// What keeps entries from arriving, a sentence; nil if nothing does.
        var problem: String? {
            let now = time.boottime()
            if let socketProblem { return socketProblem }
            if let blockedSince, now - blockedSince > 2 * Self.second {
                return "journald takes no entries: is it stopped?"
            }
            if now < restUntil {
                return "journald drops entries: does its rate limit apply to this unit?"
            }
            if tracker.inDoubt > 0 || phase == .barrier, now - progressAt > 5 * Self.second {
                return "entries sent to journald do not appear in the journal"
            }
            return readback.problem
        }

        // MARK: Sending

        /// Sends what is queued until journald takes no more; whether that was the end of it.
        private func send(_ now: UInt64) -> Bool {
            guard tracker.queued > 0, now >= restUntil, let socket = connected(now) else {
                return false
            }
            if tracker.inDoubt == 0 { progressAt = now }
            var sent = 0
            while tracker.queued > 0, sent < 4 * Self.runMax {
                let outcome: JournalSocket.Outcome
                if let run = tracker.nextRun(limit: Self.runMax) {
                    outcome = socket.send(run.encoded.bytes, starts: run.starts)
                } else if let next = tracker.next {
                    outcome = socket.send(
                        next.encoded.bytes, starts: [next.range.lowerBound, next.range.upperBound])
                } else {
                    break
                }
                guard let count = took(outcome, socket, now) else { return blockedSince != nil }
                sent += count
            }
            if sent > 0 { lookSoon(now) }
            return false
        }

        /// The entries that went, or nil if no more can go now.
        private func took(
            _ outcome: JournalSocket.Outcome, _ socket: JournalSocket, _ now: UInt64
        ) -> Int? {
            switch outcome {
            case .sent(let count):
                blockedSince = nil
                tracker.sent(count, wallNanoseconds: time.wall())
                return count
            case .blocked:
                if blockedSince == nil { blockedSince = now }
                return nil
            case .gone(let error):
                lost(error, now)
                return nil
            case .tooLarge:
                guard let next = tracker.next else { return nil }
                let outcome = socket.sendAsMemoryFile(next.encoded.bytes, next.range)
                if case .tooLarge = outcome { return nil }
                if case .sent = outcome { sentAsFiles += 1 }
                return took(outcome, socket, now)
            }
        }

        private func connected(_ now: UInt64) -> JournalSocket? {
            if let socket { return socket }
            guard connecting.mayAttempt(nowNanoseconds: now) else { return nil }
            do throws(SystemError) {
                let made = try JournalSocket(
                    path: configuration.socketPath, failpoints: failpoints)
                socket = made
                socketProblem = nil
                connecting.succeeded()
                return made
            } catch {
                lost(error, now)
                return nil
            }
        }

        private func lost(_ error: SystemError, _ now: UInt64) {
            socket = nil
            socketProblem = "journald cannot be reached: \(error)"
            _ = connecting.failed(.retryable(after: nil), nowNanoseconds: now, random: 0)
        }

        private func waitForRoom() {
            guard let socket else { return }
            do throws(SystemError) {
                try socket.waitUntilWritable(milliseconds: 5)
            } catch {
                lost(error, time.boottime())
            }
        }

        // MARK: Looking

        private func checkAccess(
            _ now: UInt64, _ settle: (DeliveryTracker.Entry, Outcome) -> Void
        ) {
            if let at = accessCheckedAt, now - at < 5 * Self.second { return }
            let isFirst = accessCheckedAt == nil
            accessCheckedAt = now
            switch JournalAccess.check(namespace: configuration.namespace) {
            case .unreadable(let reason):
                unreadableReason = reason
                if phase != .ready { phase = .ready }
            case .readable:
                guard isFirst || unreadableReason != nil else { return }
                // What was sent before the reader has its place cannot be looked for.
                takeUnverified(settle)
                unreadableReason = nil
                readback.startAtEnd()
            }
            if isFirst { progressAt = now }
        }

        private func takeUnverified(_ settle: (DeliveryTracker.Entry, Outcome) -> Void) {
            for entry in tracker.takeAllSent() {
                unverified += 1
                settle(entry, .delivered)
            }
        }

        private func lookSoon(_ now: UInt64) {
            lookPause = 2_000_000
            nextLook = min(max(nextLook, now), now + lookPause)
        }

        private func look(
            _ now: UInt64, isBlocked: Bool, _ settle: (DeliveryTracker.Entry, Outcome) -> Void
        ) {
            guard tracker.inDoubt > 0 else {
                progressAt = now
                readback.rest(now)
                if isBlocked { waitForRoom() }
                return
            }
            guard now >= nextLook || tracker.inDoubt >= 2 * Self.lookMax else {
                if isBlocked { waitForRoom() }
                return
            }
            let found = read(settle)
            if found.isAtEnd { judgeSuspects(now, settle) }
            if found.new > 0 {
                progressAt = now
                barrierPause = 0
                lookPause = 10_000_000
            } else {
                lookPause = min(lookPause * 2, 100_000_000)
                sendBarrierIfStalled(now)
            }
            nextLook = found.isAtEnd ? now + lookPause : now
        }

        private func read(
            _ settle: (DeliveryTracker.Entry, Outcome) -> Void
        ) -> (new: Int, isAtEnd: Bool) {
            var new = 0
            let isAtEnd = readback.read(
                limit: Self.lookMax, lowest: tracker.lowestOrderInDoubt ?? tracker.nextOrder,
                next: tracker.nextOrder
            ) { seen in
                switch seen {
                case .entry(let id):
                    if let entry = tracker.saw(id) {
                        new += 1
                        settle(entry, .delivered)
                    }
                case .barrier(let nonce):
                    if tracker.sawBarrier(nonce) {
                        new += 1
                        if phase == .barrier { phase = .lookingBack }
                    }
                case .other: break
                }
            }
            return (new, isAtEnd)
        }

        /// A later entry is visible and these are not: looks a second time, with another reader and from a
        /// place before they were sent, and sends again only what is not there either.
        private func judgeSuspects(
            _ now: UInt64, _ settle: (DeliveryTracker.Entry, Outcome) -> Void
        ) {
            let suspects = tracker.suspects
            guard !suspects.isEmpty,
                let second = readback.lookAgain(for: suspects.map { ($0.id, $0.firstOrder) })
            else { return }
            var attempts = 0
            for suspect in suspects {
                if second.found.contains(suspect.id) {
                    if let entry = tracker.saw(suspect.id) { settle(entry, .delivered) }
                } else if let oldest = second.oldestWallNanoseconds,
                    suspect.sentWallNanoseconds < oldest
                {
                    // The journal keeps nothing of that time any more: it may have been there.
                    if let entry = tracker.giveUp(suspect.id) { settle(entry, .lost(.expired)) }
                } else {
                    attempts = max(attempts, suspect.attempts)
                    tracker.isMissing(suspect.id)
                }
            }
            if attempts >= 3 {
                restUntil = now + Self.second << UInt64(min(attempts - 3, 5))
            }
        }

        /// The last entries before a death of journald have no later one that would prove their loss.
        private func sendBarrierIfStalled(_ now: UInt64) {
            guard now - progressAt > 2 * Self.second, now >= nextBarrier, tracker.queued == 0
            else { return }
            sendBarrier(now)
            if isBarrierSent, let lowest = tracker.lowestOrderInDoubt {
                readback.goBack(to: lowest)
            }
        }

        private func sendBarrier(_ now: UInt64) {
            isBarrierSent = false
            guard let socket = connected(now) else { return }
            barrierPause = min(max(barrierPause * 2, 2 * Self.second), 30 * Self.second)
            nextBarrier = now + barrierPause
            barrierNonce += 1
            let range = encoder.encodeBarrier(barrierNonce)
            let bytes = encoder.take()
            switch socket.send(bytes, starts: [range.lowerBound, range.upperBound]) {
            case .sent:
                blockedSince = nil
                isBarrierSent = true
                tracker.sentBarrier(barrierNonce)
            case .blocked:
                if blockedSince == nil { blockedSince = now }
                nextBarrier = now + 50_000_000
            case .tooLarge: break
            case .gone(let error): lost(error, now)
            }
        }

        private func stepBarrier(_ now: UInt64) {
            if now >= nextBarrier {
                // The reader takes its place before the barrier goes, else it would not see it. One that did
                // not see the last barrier takes it anew: a file of the journal may have escaped it.
                if isBarrierSent || !readback.isPlaced { readback.startAtEnd() }
                guard readback.isPlaced else { return }
                sendBarrier(now)
            }
            _ = read { _, _ in }
            nextLook = now + 2_000_000
        }

        private func stepLookBack() {
            if lookBack == nil {
                lookBack = JournalLookBack(
                    logID: logID, namespace: configuration.namespace, cursor: cursor,
                    wanted: wanted)
            }
            guard let lookBack, lookBack.step() else { return }
            present = lookBack.found
            presentEnd = present.reduce(0) { max($0, $1.offset) }
            self.lookBack = nil
            progressAt = time.boottime()
            phase = .ready
        }

        func close() {
            socket = nil
            readback.close()
        }
    }
#endif
