import ByteCoding
import Export
import Receive
import SegmentLog
import SimulationKit
import TelemetryBatch

/// Producers and the writer's thread.
extension Simulation {
    /// A producer makes a batch, connects, gives up a connection, or sends old things again.
    func produce() {
        let producer = producers[random.below(producers.count)]
        switch random.below(12) {
        case 0: producer.connection = nil
        case 1..<8:
            if producer.pending.count < Producer.pendingMax { makeBatch(producer) }
        default: connect(producer)
        }
    }

    private func makeBatch(_ producer: Producer) {
        let gap = random.oneIn(20) ? UInt64(1 + random.below(5)) : 0
        builder.producer = producer.id
        builder.begin(baseTime: 1_700_000_000_000_000_000)
        for _ in 0..<(1 + random.below(3)) {
            let trace = random.oneIn(3) ? TraceID(random: &random) : .zero
            builder.beginLog(
                time: 1_700_000_000_000_000_000 + random.next() % 1_000_000_000, trace: trace,
                severity: 9)
            let length = random.oneIn(25) ? 1500 : 10 + random.below(150)
            let letter = Character(UnicodeScalar(UInt8(97 + random.below(26))))
            builder.body(builder.ref(String(repeating: letter, count: length)))
            _ = builder.endRecord()
        }
        let payload = builder.finish(sequence: producer.nextSequence + gap)
        builder.reset()
        do {
            let summary = try BatchValidator.validate(payload.span.bytes)
            producer.make(payload, summary)
        } catch {
            fail("the builder made a batch that the validator refuses: \(error)")
        }
    }

    private func connect(_ producer: Producer) {
        guard let agent, producer.connection == nil else { return }
        var connection = Producer.Connection()
        let hello = Hello(
            producer: producer.id, nextSequence: producer.nextSequence, readsAnswers: true)
        guard case .welcome(let id) = connection.machine.hello(.success(hello)),
            id == producer.id
        else { return fail("a hello was not welcomed") }
        let highest = agent.writer.highestSequence(uid: producer.uid, producer: producer.id)
        trace.note("\(name(producer)) connects; welcome says \(highest)")
        for request in producer.drop(upTo: highest)
        where !oracle.isStored(producer.key, request.sequence)
            && oracle.doubtful[producer.key] == nil
            && !(oracle.lostNames[producer.key]?.contains(request.sequence) ?? false)
        {
            fail("welcome says \(highest), and \(request.sequence) is not stored")
        }
        connection.sent = 0
        // A confused client sends again what was acknowledged.
        if random.oneIn(6), let old = producer.old.last {
            producer.pending.insert(old, at: 0)
            producer.old.removeLast()
        }
        producer.connection = connection
    }

    func name(_ producer: Producer) -> String { "\(producer.uid)/\(producer.id.hex.prefix(6))" }

    /// What several connections sent is appended in one group.
    func append(_ agent: SimulatedAgent) {
        guard !agent.isDead, !agent.writerIsBusy else { return }
        var group: [(producer: Producer, request: AppendRequest)] = []
        for _ in 0..<(1 + random.below(4)) {
            let producer = producers[random.below(producers.count)]
            guard var connection = producer.connection else { continue }
            let wanted = 1 + random.below(3)
            for _ in 0..<wanted where connection.sent < producer.pending.count {
                var request = producer.pending[connection.sent]
                request.stream = connection.stream
                connection.sent += 1
                group.append((producer, request))
            }
            producer.connection = connection
        }
        if weather.anonymous, random.oneIn(3) { addAnonymous(&group) }
        guard !group.isEmpty else { return }
        agent.underWay = group.map(\.request)
        agent.underWaySince = trueTime
        agent.writerIsBusy = true
        var results = agent.writer.append(agent.underWay)
        if weather.everyCommit {
            do throws(LogError) {
                try agent.writer.sync()
            } catch {
                // They are written, and nobody hears of it.
                for (request, result) in zip(agent.underWay, results) {
                    guard case .success(.stored(let offset)) = result else { continue }
                    // Dead before it could say how much it was.
                    if agent.isDead, oracle.taken.contains(offset.segment) { continue }
                    if let wrong = oracle.note(SentBatch(request, at: trueTime), at: offset) {
                        fail(wrong)
                    }
                }
                for index in results.indices { results[index] = .failure(error) }
            }
        }
        agent.writerIsBusy = false
        guard !agent.isDead, violation == nil else { return }
        agent.published.update(agent.writer)
        noteSynced(agent)
        settle(group, results, agent)
        agent.underWay = []
    }

    /// Over OTLP a batch has no name: it is stored as often as it is sent.
    private func addAnonymous(_ group: inout [(producer: Producer, request: AppendRequest)]) {
        let producer = Producer(uid: 1000, id: ID128(random: &random))
        makeBatch(producer)
        guard var request = producer.pending.first else { return }
        request.producer = .zero
        request.sequence = 0
        request.receiver = .otlpHTTP
        group.append((producer, request))
    }

    /// Each connection hears what became of its batches.
    private func settle(
        _ group: [(producer: Producer, request: AppendRequest)],
        _ results: [Result<AppendOutcome, LogError>], _ agent: SimulatedAgent
    ) {
        var broken: Set<ObjectIdentifier> = []
        for ((producer, request), result) in zip(group, results) {
            let stream = request.stream.map(ObjectIdentifier.init)
            let batch = SentBatch(request, at: trueTime)
            switch result {
            case .success(.stored(let offset)):
                tallies[.appended] += 1
                if let stream, broken.contains(stream) {
                    fail("\(offset) was stored after a batch of its connection that was not")
                }
                noteStored(batch, at: offset, agent)
                producer.connection?.machine.settle(request.sequence, offset: offset.rawValue)
            case .success(.duplicate):
                tallies[.duplicates] += 1
                if request.sequence > oracle.highestPossible(batch.key) {
                    fail("\(name(producer)) \(request.sequence) was answered as a duplicate")
                }
                producer.connection?.machine.settle(request.sequence, offset: 0)
            case .failure(let error):
                tallies[.refused] += 1
                trace.note("\(name(producer)) \(request.sequence): \(error)")
                if let stream { broken.insert(stream) }
                noteRefused(batch, error)
                producer.connection = nil
            }
        }
        for producer in producers { acknowledge(producer, agent) }
    }

    private func noteStored(_ batch: SentBatch, at offset: LogOffset, _ agent: SimulatedAgent) {
        trace.note(
            "\(batch.key.uid)/\(batch.key.producer.hex.prefix(6)) \(batch.sequence) is stored at \(offset)"
        )
        trace.add(offset.rawValue)
        if offset.segment <= spentSegments {
            fail("\(offset) is in a segment of before the unclean end (\(spentSegments))")
        }
        // A reader of another process may have met it already.
        let known = oracle.highest[batch.key]
        let wasSeen = oracle.entries[offset] != nil
        if !wasSeen, !hasFlips, let known, batch.sequence <= known.sequence,
            !mayBeForgotten(known.trueTime)
        {
            fail(
                "\(batch.key.uid)/\(batch.sequence) is stored again, at \(offset); known \(known) of \(trueTime)"
            )
        }
        if let wrong = oracle.note(batch, at: offset) { fail(wrong) }
        oracle.ahead[offset] = nil
        if weather.everyCommit, agent.writer.synced <= offset {
            fail("\(offset) was acknowledged before it was synced")
        }
    }

    /// Idle for seven days, as the agent's clock may see it.
    func mayBeForgotten(_ since: UInt64) -> Bool {
        Double(trueTime - since) / 1e9 + steppedSeconds >= 7 * 86_400
    }

    private func noteRefused(_ batch: SentBatch, _ error: LogError) {
        switch error {
        // What an I/O error leaves behind nobody knows.
        case .io, .poisoned: oracle.unsure.append(batch)
        case .full, .interrupted, .tooLarge, .closed, .locked: break
        }
    }

    /// The connection's merged ack; it may get lost with the connection.
    private func acknowledge(_ producer: Producer, _ agent: SimulatedAgent) {
        guard
            let ack = producer.connection?.machine.takeAck(synced: agent.writer.synced.rawValue)
        else { return }
        if random.oneIn(12) {
            producer.connection = nil
            return
        }
        for request in producer.drop(upTo: ack.sequence)
        where !oracle.isStored(producer.key, request.sequence)
            && oracle.doubtful[producer.key] == nil
        {
            fail("\(name(producer)) \(request.sequence) was acknowledged and is not stored")
        }
    }
}

extension Simulation {
    /// At the end every producer comes back.
    func reconnect(_ producer: Producer) {
        if producer.connection == nil { connect(producer) }
    }

    /// The part of a segment's footer that says most: counts, places, the first of the dedupe table.
    private func footerBytes(_ path: String) -> Range<Int>? {
        guard let bytes = disk.content(path), bytes.count > 96 else { return nil }
        let trailer = bytes.count - 16
        let count = bytes[trailer..<(trailer + 4)].reversed().reduce(0) { $0 << 8 | Int($1) }
        guard count > 0, count <= trailer - 80 else { return nil }
        return (trailer - count)..<(trailer - count + min(count, 200))
    }

    /// Bits flip in a file at rest.
    func flip() {
        let segments = disk.names("log").filter { $0.hasSuffix(".segment") }
        guard !segments.isEmpty else { return }
        let meta = weather.powerPart == 0 ? "log/meta" : "log/dedupe"
        let others = ["log/dedupe", meta, "log/position", "cursors/journald.cursor"]
        let isSegment = weather.flipsFooters || random.below(10) < 8
        let name = segments[random.below(segments.count)]
        let path = isSegment ? "log/" + name : others[random.below(others.count)]
        guard let size = disk.size(path), size > 0 else { return }
        var position = random.below(size)
        if isSegment, weather.flipsFooters || random.oneIn(2) {
            guard let footer = footerBytes(path) else { return }
            position = footer.lowerBound + random.below(footer.count)
        }
        let mask = UInt8(1 << random.below(8))
        guard let number = SegmentNumber(name.dropLast(8)) else { return }
        let place = LogOffset(segment: number, position: UInt32(position))
        if isSegment, !flippedBytes.insert(place).inserted { return }
        guard disk.flip(path, at: position, mask: mask) else { return }
        tallies[.bitFlips] += 1
        trace.note("a bit flips in \(path) at \(position)")
        guard isSegment else {
            flipsElsewhere += 1
            // With `meta` go the numbers of files that never held anything.
            spentSegments = min(spentSegments, oracle.highestOffset.segment)
            return
        }
        oracle.flips.append(place)
        if position < 80 { oracle.headersFlipped.insert(number) }
        let index = oracle.index(atOrAbove: LogOffset(rawValue: place.rawValue + 1)) - 1
        guard index >= 0, oracle.order[index].segment == number,
            let entry = oracle.entries[oracle.order[index]]
        else { return }
        let start = Int(oracle.order[index].position)
        if position < start + Envelope.encodedBytes + entry.batch.payload.count {
            oracle.destroyed.insert(oracle.order[index])
        }
    }
}
