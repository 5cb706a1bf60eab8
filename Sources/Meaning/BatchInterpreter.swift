package import TelemetryBatch

/// Says what a batch's records mean. Made once a batch: every key and name of its string table is looked
/// up at most once, the resource is read once, a scope when its first record comes.
///
/// An attribute is looked for in the record, then in its scope, then in the resource.
package struct BatchInterpreter: Sendable {
    /// The batch.
    package let batch: Batch
    private let table: MeaningTable

    private struct Slot {
        var value = Value.none
        /// 0: nothing found.
        var rank: UInt8 = 0
    }

    private static let unknownRole: UInt8 = 0xFF
    private static let noRole: UInt8 = 0xFE
    /// By string index: a role's raw value, `noRole`, or `unknownRole`.
    private var roles: [UInt8]
    private var ranks: [UInt8]
    /// By string index: 0 not looked up, 1 no operation, else the raw value + 2; for spans, then events.
    private var spanNames: [UInt8]
    private var eventNames: [UInt8]
    private var resource: [Slot]
    private var scopes: [Int: [Slot]] = [:]
    private var slots: [Slot]
    private var originatorClasses: [TextRef: OriginatorClass] = [:]

    /// An interpreter of a batch's records.
    package init(_ batch: Batch, table: MeaningTable = .current) {
        self.batch = batch
        self.table = table
        let strings = batch.stringCount + 1
        roles = Array(repeating: Self.unknownRole, count: strings)
        ranks = Array(repeating: 0, count: strings)
        spanNames = Array(repeating: 0, count: strings)
        eventNames = spanNames
        slots = Array(repeating: Slot(), count: AttributeRole.allCases.count)
        resource = slots
        read(batch.resource.attributes)
        resource = slots
    }

    /// What a record means; nil for one of a type that this version does not know.
    package mutating func meaning(of record: Record) -> RecordMeaning? {
        switch record {
        case .span(let span): meaning(of: span)
        case .log(let log): meaning(of: log)
        case .point(let point): meaning(of: point)
        case .unknown: nil
        }
    }

    /// What a span means.
    package mutating func meaning(of span: SpanView) -> RecordMeaning {
        begin(scope: span.scope)
        read(span.attributes)
        var meaning = RecordMeaning(signal: .span)
        meaning.index = span.index
        meaning.name = .text(span.name)
        meaning.time = span.start
        meaning.durationNanoseconds = span.durationNanoseconds
        meaning.operation = operation(of: span.name, in: .span)
        fill(&meaning)
        meaning.status = status(said: span.status, severity: 0, errorType: meaning.errorType)
        meaning.priority = priority(of: meaning)
        return meaning
    }

    /// What a log event means. `event.name` counts more than the event name: exporters of the field put
    /// a place in their source into the latter.
    package mutating func meaning(of log: LogView) -> RecordMeaning {
        begin(scope: log.scope)
        read(log.attributes)
        var meaning = RecordMeaning(signal: .event)
        meaning.index = log.index
        meaning.severity = log.severity
        meaning.time = log.bestTime
        var name = log.eventName
        if case .string(let ref) = slots[AttributeRole.eventName.index].value { name = ref }
        if !name.isNone {
            meaning.name = .text(name)
            meaning.operation = operation(of: name, in: .event)
        } else if case .string(let ref)? = log.body {
            meaning.name = .text(ref)
        } else {
            meaning.name = .fixed("event")
        }
        meaning.durationNanoseconds = durationSaid()
        if meaning.operation == .approval, isSettledWithoutAsking { meaning.operation = nil }
        fill(&meaning)
        let judged = judgement(meaning, name)
        if meaning.errorType.isNone { meaning.errorType = judged.errorType }
        meaning.status = status(
            said: judged.status, severity: log.severity, errorType: meaning.errorType)
        meaning.priority = priority(of: meaning)
        return meaning
    }

    /// What a metric point means.
    package mutating func meaning(of point: PointView) -> RecordMeaning {
        let metric = point.metric
        begin(scope: metric.scope)
        read(point.attributes)
        var meaning = RecordMeaning(signal: .metrics)
        meaning.index = point.index
        meaning.time = point.time
        meaning.name = .text(metric.name)
        fill(&meaning)
        // A metric's own `error.type` is a dimension, not a failure.
        meaning.priority = .info
        return meaning
    }

    // MARK: Attributes

    private mutating func begin(scope: Int) {
        guard scope > 0 else {
            slots = resource
            return
        }
        if let known = scopes[scope] {
            slots = known
            return
        }
        slots = resource
        read(batch.scope(scope).attributes)
        scopes[scope] = slots
    }

    /// Reads a list over what is known: what it says counts more, whatever its rank in the table.
    private mutating func read(_ attributes: AttributeList) {
        if attributes.isEmpty { return }
        var filled: UInt32 = 0
        for (key, value) in attributes {
            let index = Int(key.index)
            var role = roles[index]
            if role == Self.unknownRole { role = lookUp(key) }
            if role == Self.noRole { continue }
            if role == AttributeRole.sessionText.rawValue {
                guard case .string = value else { continue }
                role = AttributeRole.session.rawValue
            }
            let slot = Int(role)
            let isFirst = filled & (1 << role) == 0
            if isFirst || ranks[index] < slots[slot].rank {
                slots[slot] = Slot(value: value, rank: ranks[index])
                filled |= 1 << role
            }
        }
    }

    private mutating func lookUp(_ key: TextRef) -> UInt8 {
        let index = Int(key.index)
        guard let found = table.roles[batch.utf8(key)] else {
            roles[index] = Self.noRole
            return Self.noRole
        }
        roles[index] = found.role.rawValue
        ranks[index] = found.rank
        return found.role.rawValue
    }

    private mutating func operation(of name: TextRef, in signal: Signal) -> Operation? {
        let index = Int(name.index)
        let known = signal == .span ? spanNames[index] : eventNames[index]
        if known > 0 { return Operation(rawValue: known &- 2) }
        let found = table.operations[signal]?[batch.utf8(name)]
        let code = found.map { $0.rawValue + 2 } ?? 1
        if signal == .span { spanNames[index] = code } else { eventNames[index] = code }
        return found
    }

    private func text(_ role: AttributeRole) -> MeaningText {
        switch slots[role.index].value {
        case .string(let ref): .text(ref)
        case .int(let value): .integer(value)
        default: .none
        }
    }

    private func durationSaid() -> UInt64? {
        let milliseconds: Double
        switch slots[AttributeRole.durationMilliseconds.index].value {
        case .double(let value): milliseconds = value
        case .int(let value): milliseconds = Double(value)
        case .string(let ref):
            // Some exporters send numbers as strings.
            guard let value = Double(batch.text(ref)) else { return nil }
            milliseconds = value
        default: return nil
        }
        guard milliseconds >= 0, milliseconds < 1e12 else { return nil }
        return UInt64(milliseconds * 1e6)
    }

    private mutating func fill(_ meaning: inout RecordMeaning) {
        meaning.session = text(.session)
        meaning.originator = text(.originator)
        meaning.service = text(.service)
        meaning.errorType = text(.errorType)
        meaning.isRetried = isRetried
        meaning.originatorClass = originatorClass(meaning.originator)
        switch meaning.operation {
        case .apiRequest, .turn: meaning.subject = text(.model)
        case .tool: meaning.subject = text(.tool)
        case .command: meaning.subject = text(.command)
        case .file: meaning.subject = text(.fileOperation)
        case .approval:
            meaning.subject = text(.tool)
            if meaning.subject.isNone { meaning.subject = text(.command) }
        case .attachmentCleanup, nil: break
        }
    }

    private var isRetried: Bool {
        if let value = integer(.resends), value > 0 { return true }
        if case .int(let value) = slots[AttributeRole.attempt.index].value, value > 1 {
            return true
        }
        return false
    }

    // MARK: Judgement

    private mutating func originatorClass(_ originator: MeaningText) -> OriginatorClass {
        if case .text(let ref) = text(.originatorClass) {
            for known in OriginatorClass.allCases where batch.matches(ref, known.name.description) {
                return known
            }
            return .other
        }
        guard case .text(let ref) = originator else { return .other }
        if let known = originatorClasses[ref] { return known }
        let found = OriginatorClass(originator: batch.utf8(ref))
        originatorClasses[ref] = found
        return found
    }

    private func status(
        said: SpanStatus, severity: UInt8, errorType: MeaningText
    ) -> OperationStatus {
        if case .string(let ref) = slots[AttributeRole.status.index].value {
            for known in OperationStatus.allCases
            where batch.matches(ref, known.name.description) { return known }
        }
        if let decided = statusOfDecision() { return decided }
        if !errorType.isNone, said != .ok {
            guard case .text(let ref) = errorType else { return .error }
            if batch.matches(ref, "approval_denied") || batch.matches(ref, "sandbox_denied") {
                return .denied
            }
            return batch.matches(ref, "cancelled") ? .cancelled : .error
        }
        if severity >= 17 { return .error }
        switch said {
        case .ok: return .ok
        case .error: return .error
        default: return .unset
        }
    }

    /// What a log event says of its outcome in other words than status and error type.
    private func judgement(_ meaning: RecordMeaning, _ name: TextRef)
        -> (status: SpanStatus, errorType: MeaningText)
    {
        if meaning.operation == .apiRequest, let code = integer(.httpStatus) {
            return code < 400 ? (.ok, .none) : (.error, .fixed(Self.errorType(httpStatus: code)))
        }
        if meaning.operation != nil, let isSuccess = boolean(.success) {
            let failure: MeaningText = meaning.operation == .tool ? .fixed("tool_failed") : .none
            return isSuccess ? (.ok, .none) : (.error, failure)
        }
        let isOurs = meaning.operation != nil || batch.utf8(name).starts(with: "codex.".utf8)
        guard isOurs, case .string(let message) = slots[AttributeRole.errorMessage.index].value,
            !batch.utf8(message).isEmpty
        else { return (.unset, .none) }
        return (.error, meaning.operation == .apiRequest ? .fixed("transport") : .none)
    }

    private static func errorType(httpStatus code: Int64) -> StaticString {
        switch code {
        case 401, 403: "auth"
        case 408, 504: "timeout"
        case 429: "rate_limited"
        case 400..<500: "invalid_request"
        default: "server_error"
        }
    }

    /// The configuration allowed it: nobody was asked.
    private var isSettledWithoutAsking: Bool {
        guard case .string(let ref) = slots[AttributeRole.decisionSource.index].value else {
            return false
        }
        return batch.matches(ref, "Config") && statusOfDecision() == nil
    }

    private func integer(_ role: AttributeRole) -> Int64? {
        switch slots[role.index].value {
        case .int(let value): value
        // Some exporters send numbers as strings.
        case .string(let ref): Int64(batch.text(ref))
        default: nil
        }
    }

    private func boolean(_ role: AttributeRole) -> Bool? {
        switch slots[role.index].value {
        case .bool(let value): value
        case .string(let ref): Bool(batch.text(ref))
        default: nil
        }
    }

    private func statusOfDecision() -> OperationStatus? {
        guard case .string(let ref) = slots[AttributeRole.decision.index].value else { return nil }
        if batch.matches(ref, "denied") { return .denied }
        if batch.matches(ref, "abort") { return .cancelled }
        if batch.matches(ref, "cancelled") || batch.matches(ref, "timeout") { return .cancelled }
        return nil
    }

    private func priority(of meaning: RecordMeaning) -> Priority {
        switch meaning.status {
        case .error: return .error
        case .denied: return .warning
        case .ok, .cancelled, .unset: break
        }
        if meaning.isRetried || meaning.severity >= 13 { return .warning }
        switch meaning.signal {
        case .span: return meaning.operation == nil ? .debug : .info
        case .event: return meaning.severity > 0 && meaning.severity < 9 ? .debug : .info
        case .metrics: return .info
        }
    }
}

extension AttributeRole {
    var index: Int { Int(rawValue) }
}

extension OriginatorClass {
    /// What kind of program an originator's name belongs to: `codex_cli_rs`, `codex_vscode`, `sdk`.
    package init(originator: ArraySlice<UInt8>) {
        let words = String(decoding: originator, as: UTF8.self).lowercased()
            .split { !$0.isLetter && !$0.isNumber }
        let has = { (names: [Substring]) in words.contains { names.contains($0) } }
        if has(["vscode", "ide", "jetbrains", "xcode", "cursor", "zed"]) {
            self = .ide
        } else if has(["sdk"]) {
            self = .sdk
        } else if has(["cli", "exec", "tui"]) {
            self = .cli
        } else {
            self = .other
        }
    }
}
