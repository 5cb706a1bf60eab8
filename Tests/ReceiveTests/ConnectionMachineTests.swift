import ByteCoding
import TelemetryBatch
import Testing

@testable import Receive

@Suite struct `The conversation of a connection` {
    let producer = ProducerID(high: 1, low: 2)

    func greeted(answers: Bool = true) -> ConnectionMachine {
        var machine = ConnectionMachine()
        let hello = Hello(producer: producer, readsAnswers: answers)
        _ = machine.header(hello.frame.header)
        _ = machine.hello(.success(hello))
        return machine
    }

    func header(_ producer: ProducerID, _ sequence: UInt64) -> BatchHeader {
        BatchHeader(
            recordCount: 1, producer: producer, sequence: sequence, baseTime: 0)
    }

    func isFatal(_ action: ConnectionMachine.Action, _ code: WireError) -> Bool {
        guard case .fail(let error) = action else { return false }
        return error.code == code.rawValue && error.isFatal
    }

    @Test func `a hello that asks for answers is welcomed, one that does not is taken silently`() {
        var machine = ConnectionMachine()
        let hello = Hello(producer: producer, readsAnswers: true)
        #expect(machine.header(hello.frame.header) == .none)
        #expect(machine.hello(.success(hello)) == .welcome(producer))
        var silent = ConnectionMachine()
        #expect(silent.hello(.success(Hello(producer: producer))) == .none)
    }

    @Test func `anything before the hello ends the connection`() {
        for type in [FrameType.batch, .goodbye, .ack, FrameType(rawValue: 0x44)] {
            var machine = ConnectionMachine()
            #expect(isFatal(machine.header(Frame(type: type, body: []).header), .badMagic))
        }
    }

    @Test func `a second hello, and an agent's frame, end the connection`() {
        for type in [FrameType.hello, .welcome, .ack, .throttle, .error] {
            var machine = greeted()
            #expect(isFatal(machine.header(Frame(type: type, body: []).header), .unexpectedFrame))
        }
    }

    @Test func `an unknown frame is skipped by its length`() {
        var machine = greeted()
        let unknown = Frame(type: FrameType(rawValue: 0x44), body: [1, 2, 3])
        #expect(machine.header(unknown.header) == .none)
    }

    @Test func `a length is refused one past its limit, before its body is read`() {
        var machine = greeted()
        var header = Frame(type: .batch, body: []).header
        header.length = UInt32(WireLimits.bodyBytesMax)
        #expect(machine.header(header) == .none)
        header.length += 1
        #expect(isFatal(machine.header(header), .frameTooLarge))
    }

    @Test func `another frame version ends the connection`() {
        var machine = ConnectionMachine()
        var header = Frame(type: .hello, body: []).header
        header.version = 1
        #expect(isFatal(machine.header(header), .unsupportedVersion))
    }

    @Test func `a batch of another producer is refused and the connection goes on`() {
        var machine = greeted()
        let action = machine.batch(header(ProducerID(high: 9, low: 9), 1))
        guard case .refuse(let error) = action else {
            Issue.record("\(action)")
            return
        }
        #expect(error.code == WireError.wrongProducer.rawValue)
        #expect(!error.isFatal)
        #expect(machine.batch(header(producer, 1)) == .submit)
    }

    @Test func `acks are merged, and nothing is acked twice`() {
        var machine = greeted()
        #expect(machine.takeAck(synced: 0) == nil)
        machine.settle(1, offset: 64)
        machine.settle(2, offset: 0)
        machine.settle(3, offset: 900)
        #expect(machine.takeAck(synced: 64) == Ack(sequence: 3, offset: 900, synced: 64))
        #expect(machine.takeAck(synced: 900) == nil)
    }

    @Test func `a refused batch is not acked ahead of those under way`() {
        var machine = greeted()
        _ = machine.batch(header(producer, 1))
        _ = machine.refused(BatchError(.badText, at: 70, "string"), sequence: 2)
        #expect(machine.takeAck(synced: 0) == nil)
        machine.settle(1, offset: 64)
        #expect(machine.takeAck(synced: 0)?.sequence == 1)
    }

    @Test func `who does not read gets no ack`() {
        var machine = greeted(answers: false)
        machine.settle(1, offset: 64)
        #expect(machine.takeAck(synced: 0) == nil)
    }

    @Test func `names of variables are taken only from those that the agent honours`() {
        var machine = ConnectionMachine()
        let said = "CODEX_OTEL_ENDPOINT,PATH,OTEL_EXPORTER_OTLP_HEADERS,CODEX_OTEL_\u{1b}[31m"
        let hello = Hello(
            producer: producer, properties: [.init(key: "environment", value: said)])
        _ = machine.hello(.success(hello))
        #expect(machine.environment == ["CODEX_OTEL_ENDPOINT", "OTEL_EXPORTER_OTLP_HEADERS"])
    }
}

extension Frame {
    var header: FrameHeader { FrameHeader(type: type, body: body.span.bytes) }
}
