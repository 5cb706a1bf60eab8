import ByteCoding
import TelemetryBatch

// What a stream holds, as JSON; and the first error in what a client sends.

/// The frames up to the end or the first error.
func frames(in bytes: [UInt8]) -> (frames: [Frame], error: BatchError?, pending: Int) {
    var buffer = FrameBuffer()
    buffer.append(bytes)
    var frames: [Frame] = []
    do throws(BatchError) {
        while let frame = try buffer.next() { frames.append(frame) }
        return (frames, nil, buffer.pendingBytes)
    } catch {
        return (frames, error, buffer.pendingBytes)
    }
}

/// The agent's side of a conversation, up to the first error.
func firstError(inClientStream bytes: [UInt8]) -> WireError? {
    let (frames, error, _) = frames(in: bytes)
    var hello: Hello?
    do throws(BatchError) {
        for frame in frames {
            guard let known = hello else {
                guard frame.type == .hello else { return .badMagic }
                hello = try Hello(decoding: frame.body.span.bytes)
                continue
            }
            if frame.type == .hello || frame.type.isFromAgent { return .unexpectedFrame }
            if frame.type == .batch {
                let summary = try BatchValidator.validate(frame.body.span.bytes)
                if summary.header.producer != known.producer { return .wrongProducer }
            }
        }
    } catch {
        return error.code
    }
    return error?.code
}

func write(_ frame: Frame, _ json: inout JSONWriter) throws(BatchError) {
    let body = frame.body.span.bytes
    json.beginObject()
    switch frame.type {
    case .hello:
        let hello = try Hello(decoding: body)
        json.field("type", "hello")
        json.field("producer", hello.producer.hex)
        json.field("next_sequence", wide: hello.nextSequence)
        json.field("reads_answers", hello.readsAnswers)
        json.field("properties", hello.properties) { json, property in
            json.beginArray()
            json.string(property.key)
            json.string(property.value)
            json.endArray()
        }
    case .batch:
        json.field("type", "batch")
        json.field("body", hex(frame.body))
    case .goodbye: json.field("type", "goodbye")
    case .welcome:
        let welcome = try Welcome(decoding: body)
        json.field("type", "welcome")
        json.field("body_bytes_max", welcome.bodyBytesMax)
        json.field("log_id", welcome.logID.hex)
        json.field("stored_sequence", wide: welcome.storedSequence)
        json.field("window_bytes", wide: welcome.windowBytes)
        json.field("synced", wide: welcome.synced)
    case .ack:
        let ack = try Ack(decoding: body)
        json.field("type", "ack")
        json.field("sequence", wide: ack.sequence)
        json.field("offset", wide: ack.offset)
        json.field("synced", wide: ack.synced)
    case .throttle:
        let throttle = try Throttle(decoding: body)
        json.field("type", "throttle")
        json.field("reason", throttle.reason)
        json.field("delay_ms", throttle.delayMilliseconds)
    case .error:
        let error = try ErrorFrame(decoding: body)
        json.field("type", "error")
        json.field("code", error.code)
        json.field("fatal", error.isFatal)
        json.field("sequence", wide: error.sequence)
        json.field("message", error.message)
    default:
        json.field("type", "unknown")
        json.field("number", frame.type.rawValue)
        json.field("body", hex(frame.body))
    }
    json.endObject()
}

/// A stream's frames, where reading stopped and why.
func streamJSON(_ bytes: [UInt8]) throws(BatchError) -> String {
    let (frames, error, pending) = frames(in: bytes)
    var json = JSONWriter()
    json.beginObject()
    json.key("frames")
    json.beginArray()
    for frame in frames { try write(frame, &json) }
    json.endArray()
    json.field("complete_bytes", bytes.count - pending)
    json.key("stopped")
    if let error {
        json.string(error.code.name)
    } else if pending > 0 {
        json.string("incomplete")
    } else {
        json.null()
    }
    json.endObject()
    return json.text
}

/// What is taken of a spool file, and what is not.
func spoolJSON(_ bytes: [UInt8]) throws(BatchError) -> String {
    var reader = SpoolReader(bytes, name: someProducer.hex + ".spool")
    var frames: [Frame] = []
    var damaged: [Range<Int>] = []
    var torn: Range<Int>?
    while let part = reader.next() {
        switch part {
        case .hello(let hello): frames.append(hello.frame)
        case .batch(let body): frames.append(Frame(type: .batch, body: reader.bytes(body)))
        case .damaged(let range): damaged.append(range)
        case .torn(let range): torn = range
        }
    }
    func pair(_ json: inout JSONWriter, _ range: Range<Int>) {
        json.beginArray()
        json.integer(range.lowerBound)
        json.integer(range.count)
        json.endArray()
    }
    var json = JSONWriter()
    json.beginObject()
    json.field("producer", reader.producer?.hex ?? "")
    json.key("frames")
    json.beginArray()
    for frame in frames { try write(frame, &json) }
    json.endArray()
    json.field("damaged", damaged, pair)
    json.key("torn")
    if let torn { pair(&json, torn) } else { json.null() }
    json.endObject()
    return json.text
}
