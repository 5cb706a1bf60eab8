import ByteCoding
import TelemetryBatch

/// Bytes of a stream and what is found in them.
struct StreamCase {
    var name: String
    var note: String
    var bytes: [UInt8]
    /// What a receiver finds; nil in a valid case.
    var error: WireError?
}

let logID = ID128(high: 0xA0A1_A2A3_A4A5_A6A7, low: 0xA8A9_AAAB_ACAD_AEAF)
let smallBatch = model([.span(span())]).encoded()

/// A frame of any body, with a right checksum.
func frame(_ type: FrameType, _ body: [UInt8]...) -> [UInt8] {
    Frame(type: type, body: body.flatMap { $0 }).encoded
}

private let plainHello = Hello(producer: someProducer).frame.encoded
private let fullHello = Hello(
    producer: someProducer, nextSequence: 7, readsAnswers: true,
    properties: [
        .init(key: "client.name", value: "swift"), .init(key: "client.version", value: "0.1 ü"),
        .init(key: "environment", value: "OTEL_EXPORTER_OTLP_ENDPOINT,CODEX_OTEL_HEADERS"),
        .init(key: "unknown.key", value: ""),
    ]
).frame
private let welcome = Welcome(
    logID: logID, storedSequence: 6, windowBytes: 8_388_608, synced: 3 << 32 | 8_256
).frame.encoded

private let batchFrame = frame(.batch, smallBatch)

func changed(_ bytes: [UInt8], at position: Int, to value: UInt8) -> [UInt8] {
    var bytes = bytes
    bytes[position] = value
    return bytes
}

/// The body of a hello with changes that the code would not write.
func rawHello(
    magic: [UInt8] = Hello.magic, version: UInt16 = 0, fixed: UInt16 = 40,
    producer: [UInt8] = Array(0x10...0x1F), rest: [UInt8] = [UInt8](repeating: 0, count: 8),
    keys: [UInt8] = [0]
) -> [UInt8] {
    frame(
        .hello, magic, little(version), little(fixed), producer, little(UInt64(1)), rest, keys)
}

let validStreams: [StreamCase] = [
    StreamCase(name: "hello-minimal", note: "flags 0, no keys", bytes: plainHello),
    StreamCase(name: "hello-full", note: "answers wanted, four keys", bytes: fullHello.encoded),
    StreamCase(
        name: "hello-longer", note: "unknown fixed bytes, flags and trailing bytes",
        bytes: rawHello(
            fixed: 44, rest: [0xFE, 0xFF, 0xFF, 0xFF, 1, 1, 1, 1, 9, 9, 9, 9],
            keys: [1, 1, 0x6B, 1, 0x76, 0xEE, 0xEE])),
    StreamCase(name: "goodbye", note: "an empty body", bytes: frame(.goodbye)),
    StreamCase(name: "batch", note: "one span", bytes: batchFrame),
    StreamCase(name: "welcome", note: "a known producer", bytes: welcome),
    StreamCase(
        name: "welcome-longer", note: "64 fixed bytes and more",
        bytes: frame(
            .welcome, little(UInt16(0)), little(UInt16(64)), little(UInt32(65_536)),
            Array(0xA0...0xAF), little(UInt64(0)), little(UInt64(1)), little(UInt64(2)),
            [UInt8](repeating: 5, count: 19))),
    StreamCase(
        name: "ack", note: "sequence 7 at 3:8256",
        bytes: Ack(sequence: 7, offset: 3 << 32 | 8_256, synced: 3 << 32 | 64).frame.encoded),
    StreamCase(
        name: "throttle", note: "the log is full",
        bytes: Throttle(.storageFull, delayMilliseconds: 30_000).frame.encoded),
    StreamCase(
        name: "error", note: "a batch was refused",
        bytes: ErrorFrame(
            .badText, isFatal: false, sequence: 8, message: "string at byte 70 is not UTF-8 — é"
        ).frame.encoded),
    StreamCase(
        name: "error-fatal", note: "about no batch, no message",
        bytes: ErrorFrame(.badMagic, isFatal: true, message: "").frame.encoded),
    StreamCase(
        name: "flags-ignored", note: "set flags of the frame header",
        bytes: changed(changed(plainHello, at: 6, to: 0xFF), at: 7, to: 0x80)),
    StreamCase(
        name: "conversation-client", note: "hello, two batches, an unknown frame, goodbye",
        bytes: fullHello.encoded + batchFrame + frame(FrameType(rawValue: 0x7F), [1, 2, 3])
            + batchFrame + frame(.goodbye)),
    StreamCase(
        name: "conversation-agent", note: "welcome, ack, an unknown frame, error, throttle",
        bytes: welcome + Ack(sequence: 7, offset: 3 << 32 | 8_256, synced: 0).frame.encoded
            + frame(FrameType(rawValue: 0xFE))
            + ErrorFrame(.limitExceeded, isFatal: false, sequence: 8, message: "m").frame.encoded
            + Throttle(.shuttingDown, delayMilliseconds: 0).frame.encoded),
    StreamCase(
        name: "unknown-frame-bad-checksum", note: "the body of an unknown type is not checked",
        bytes: plainHello + changed(frame(FrameType(rawValue: 0x40), [1]), at: 8, to: 0)),
]

/// What a client sends, and the first error that the agent finds in it.
let invalidStreams: [StreamCase] = [
    StreamCase(
        name: "first-is-batch", note: "no hello", bytes: batchFrame, error: .badMagic),
    StreamCase(
        name: "first-is-unknown", note: "no hello", bytes: frame(FrameType(rawValue: 0x7F)),
        error: .badMagic),
    StreamCase(
        name: "hello-magic", note: "CXTM", bytes: rawHello(magic: Array("CXTM".utf8)),
        error: .badMagic),
    StreamCase(
        name: "frame-version", note: "version 1", bytes: changed(plainHello, at: 5, to: 1),
        error: .unsupportedVersion),
    StreamCase(
        name: "hello-version", note: "version 1", bytes: rawHello(version: 1),
        error: .unsupportedVersion),
    StreamCase(
        name: "hello-too-large", note: "a length of 65,537: refused by its header alone",
        bytes: little(UInt32(65_537)) + [1, 0, 0, 0, 0, 0, 0, 0], error: .frameTooLarge),
    StreamCase(
        name: "batch-too-large", note: "a length of 4,194,305",
        bytes: plainHello + little(UInt32(4_194_305)) + [2, 0, 0, 0, 0, 0, 0, 0],
        error: .frameTooLarge),
    StreamCase(
        name: "hello-checksum", note: "a bit of the checksum",
        bytes: changed(plainHello, at: 8, to: plainHello[8] ^ 1), error: .badChecksum),
    StreamCase(
        name: "batch-checksum", note: "a bit of the body",
        bytes: plainHello + changed(batchFrame, at: 40, to: batchFrame[40] ^ 0x80),
        error: .badChecksum),
    StreamCase(
        name: "second-hello", note: "a hello again", bytes: plainHello + plainHello,
        error: .unexpectedFrame),
    StreamCase(
        name: "agents-frame", note: "an ack from a client",
        bytes: plainHello + Ack(sequence: 1, offset: 0, synced: 0).frame.encoded,
        error: .unexpectedFrame),
    StreamCase(
        name: "hello-short", note: "39 bytes",
        bytes: frame(.hello, Array(Frame(type: .hello, body: fullHello.body).body.prefix(39))),
        error: .truncated),
    StreamCase(
        name: "hello-fixed-short", note: "fixed bytes 39", bytes: rawHello(fixed: 39),
        error: .badValue),
    StreamCase(
        name: "hello-fixed-beyond", note: "fixed bytes past the body", bytes: rawHello(fixed: 500),
        error: .truncated),
    StreamCase(
        name: "hello-producer-zero", note: "no producer id",
        bytes: rawHello(producer: [UInt8](repeating: 0, count: 16)), error: .badValue),
    StreamCase(
        name: "hello-no-keys", note: "no count of keys", bytes: rawHello(keys: []),
        error: .truncated),
    StreamCase(
        name: "hello-keys-limit", note: "65 keys", bytes: rawHello(keys: [65]),
        error: .limitExceeded),
    StreamCase(
        name: "hello-key-limit", note: "a key of 65 bytes",
        bytes: rawHello(keys: [1, 65] + [UInt8](repeating: 0x61, count: 65) + [0]),
        error: .limitExceeded),
    StreamCase(
        name: "hello-value-limit", note: "a value of 1,025 bytes",
        bytes: rawHello(keys: [1, 0] + varint(1_025)), error: .limitExceeded),
    StreamCase(
        name: "hello-value-text", note: "a value that is not UTF-8",
        bytes: rawHello(keys: [1, 1, 0x6B, 1, 0xFF]), error: .badText),
    StreamCase(
        name: "hello-keys-cut", note: "2 keys said, 1 there",
        bytes: rawHello(keys: [2, 1, 0x6B, 0]), error: .truncated),
    StreamCase(
        name: "batch-of-another", note: "a producer id that is not the hello's",
        bytes: Hello(producer: logID).frame.encoded + batchFrame, error: .wrongProducer),
    StreamCase(
        name: "batch-version", note: "a batch of version 1",
        bytes: plainHello + frame(.batch, changed(smallBatch, at: 0, to: 1)),
        error: .unsupportedVersion),
    StreamCase(
        name: "batch-empty", note: "a batch frame without a body",
        bytes: plainHello + frame(.batch), error: .truncated),
]

/// A batch of another sequence.
private let otherFrame = frame(.batch, changed(smallBatch, at: 24, to: 2))
/// One wrong bit in the body.
private let damagedFrame = changed(batchFrame, at: 30, to: batchFrame[30] ^ 4)

/// Spool files: sound frames are taken, the rest is said.
let spoolCases: [StreamCase] = [
    StreamCase(
        name: "whole", note: "hello and two batches", bytes: plainHello + batchFrame + batchFrame),
    StreamCase(name: "empty", note: "a file that was just created", bytes: []),
    StreamCase(name: "hello-only", note: "no batch yet", bytes: plainHello),
    StreamCase(
        name: "torn-body", note: "the last write was cut within its body",
        bytes: plainHello + batchFrame + batchFrame.dropLast(9)),
    StreamCase(
        name: "torn-header", note: "the last write was cut within its header",
        bytes: plainHello + batchFrame + batchFrame.prefix(7)),
    StreamCase(
        name: "damaged-second", note: "a bit of the second batch; the third is taken",
        bytes: plainHello + batchFrame + damagedFrame + otherFrame),
    StreamCase(
        name: "damaged-length", note: "a bit of the second's length, which then ends with the file",
        bytes: plainHello + batchFrame
            + changed(batchFrame, at: 0, to: UInt8(truncatingIfNeeded: 2 * batchFrame.count - 12))
            + otherFrame),
    StreamCase(
        name: "damaged-type", note: "the second's type is unknown, its checksum right",
        bytes: plainHello + batchFrame + changed(batchFrame, at: 4, to: 0x42) + otherFrame),
    StreamCase(
        name: "damaged-version", note: "the second is of version 1",
        bytes: plainHello + batchFrame + changed(batchFrame, at: 5, to: 1) + otherFrame),
    StreamCase(
        name: "damaged-hello", note: "the file's name says whose the batches are",
        bytes: changed(plainHello, at: 20, to: 0) + batchFrame + otherFrame),
    StreamCase(
        name: "damaged-last", note: "a bit of the last batch",
        bytes: plainHello + batchFrame + damagedFrame),
    StreamCase(
        name: "damaged-twice", note: "two together, one apart, and a torn end",
        bytes: plainHello + damagedFrame + damagedFrame + batchFrame + damagedFrame + otherFrame
            + batchFrame.prefix(50)),
    StreamCase(
        name: "flags-set", note: "flags of the second's frame, which no reader looks at",
        bytes: plainHello + changed(batchFrame, at: 6, to: 1) + otherFrame),
    StreamCase(
        name: "another-producers", note: "behind damage, a frame of another producer is no begin",
        bytes: plainHello + damagedFrame
            + frame(.batch, changed(smallBatch, at: 8, to: 0xEE)) + otherFrame),
    StreamCase(
        name: "zeros-at-end", note: "a block that was allocated and not written: 0 bytes of type 0",
        bytes: plainHello + batchFrame + [UInt8](repeating: 0, count: 24)),
]
