package import TelemetryBatch

extension Batch {
    /// Appends the sentence that `MESSAGE`, `tail` and everything else shows of a record:
    /// `tool shell ok in 1.24 s · session …9f4c1a2b · codex-cli`. It has no control characters, whatever
    /// the peer sent, and no newline.
    package func appendSentence(_ meaning: RecordMeaning, into bytes: inout [UInt8]) {
        if let operation = meaning.operation {
            TextFormat.fixed(operation.noun, into: &bytes)
            if !meaning.subject.isNone {
                bytes.append(UInt8(ascii: " "))
                appendPrintable(meaning.subject, into: &bytes)
            }
        } else {
            appendPrintable(meaning.name, into: &bytes)
        }
        if meaning.status != .unset {
            bytes.append(UInt8(ascii: " "))
            TextFormat.fixed(meaning.status.name, into: &bytes)
        }
        if !meaning.errorType.isNone, meaning.status != .ok, meaning.status != .unset {
            bytes.append(contentsOf: " (".utf8)
            appendPrintable(meaning.errorType, into: &bytes)
            bytes.append(UInt8(ascii: ")"))
        }
        if let duration = meaning.durationNanoseconds {
            bytes.append(contentsOf: " in ".utf8)
            TextFormat.duration(nanoseconds: duration, into: &bytes)
        }
        appendWho(meaning, into: &bytes)
    }

    /// The sentence as a string.
    package func sentence(_ meaning: RecordMeaning) -> String {
        TextFormat.text { appendSentence(meaning, into: &$0) }
    }

    private func appendWho(_ meaning: RecordMeaning, into bytes: inout [UInt8]) {
        if !meaning.session.isNone {
            bytes.append(contentsOf: " · session ".utf8)
            appendShort(meaning.session, into: &bytes)
        }
        let service = meaning.service.isNone ? meaning.originator : meaning.service
        if !service.isNone {
            bytes.append(contentsOf: " · ".utf8)
            appendPrintable(service, into: &bytes)
        }
    }

    /// Appends an id's last eight characters, after `…` if that cuts it.
    package func appendShort(_ id: MeaningText, into bytes: inout [UInt8]) {
        guard case .text(let ref) = id else {
            append(id, into: &bytes)
            return
        }
        var text = utf8(ref)
        if text.count > 8 {
            bytes.append(contentsOf: "…".utf8)
            text = text.suffix(8)
            // Not in the middle of a character.
            while let first = text.first, first & 0xC0 == 0x80 { text.removeFirst() }
        }
        PrintableText.append(text, into: &bytes)
    }
}
