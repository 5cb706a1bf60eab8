package import TelemetryBatch

/// Why a record was left out of a request that is otherwise taken.
package enum RejectionReason: UInt8, CaseIterable, Sendable {
    /// A trace id that is neither empty nor 16 bytes.
    case traceID
    /// A span id that is neither empty nor 8 bytes.
    case spanID
    /// An enumeration's value that the known version does not have.
    case enumeration
    /// Arrays and maps nested deeper than `BatchLimits.nestingMax`.
    case nesting
    /// Larger, or with more parts, than a batch may hold.
    case limit
    /// JSON of another type than the field's.
    case type
    /// Its resource, scope or metric passes a limit.
    case container
    /// It went out from this very agent.
    case loop

    /// What the sender is told.
    var text: String {
        switch self {
        case .traceID: "trace id of wrong length"
        case .spanID: "span id of wrong length"
        case .enumeration: "unknown value of an enumeration"
        case .nesting: "values nested too deep"
        case .limit: "larger than a batch may hold"
        case .type: "JSON of the wrong type"
        case .container: "resource, scope or metric too large"
        case .loop: "having come back to the agent that sent it"
        }
    }
}

/// The records of a request that were left out, by reason.
package struct Rejections: Equatable, Sendable {
    /// How many for each reason.
    package private(set) var counts: [RejectionReason: UInt64] = [:]
    /// How many.
    package private(set) var total: UInt64 = 0
    /// The first's place among the request's records, from 0.
    package private(set) var first: UInt64?

    mutating func note(_ reason: RejectionReason, record: UInt64, count: UInt64 = 1) {
        counts[reason, default: 0] += count
        total += count
        first = min(first ?? record, record)
    }

    mutating func add(_ other: Rejections) {
        for (reason, count) in other.counts { note(reason, record: other.first ?? 0, count: count) }
    }

    /// A sentence for the sender; empty if nothing was left out.
    package var description: String {
        guard let first else { return "" }
        let parts = RejectionReason.allCases.compactMap { reason in
            counts[reason].map { "\($0) for \(reason.text)" }
        }
        return "rejected " + parts.joined(separator: ", ") + "; the first is record \(first)"
    }
}

/// What a request had in fields that the known version does not know, or that are given twice.
package struct UnknownFields: Equatable, Sendable {
    /// One such field.
    package struct Field: Equatable, Sendable {
        let message: Message
        let number: UInt64
        let name: String
        /// How often it was there.
        package internal(set) var count: UInt64

        /// `Resource.3` in protobuf, `Resource.entityRefs` in JSON.
        package var path: String { "\(message.name).\(name.isEmpty ? "\(number)" : name)" }
    }

    /// How many in all.
    package private(set) var total: UInt64 = 0
    /// The first few of them.
    package private(set) var fields: [Field] = []

    /// The number of fields that are kept by name.
    package static let fieldsMax = 16
    /// The bytes of a JSON name that are kept.
    static let nameBytesMax = 64

    mutating func note(_ message: Message, number: UInt64) {
        total += 1
        for index in fields.indices
        where fields[index].number == number && fields[index].message == message {
            fields[index].count += 1
            return
        }
        if fields.count < UnknownFields.fieldsMax {
            fields.append(Field(message: message, number: number, name: "", count: 1))
        }
    }

    mutating func note(_ message: Message, name: some Collection<UInt8>) {
        total += 1
        let name = name.prefix(UnknownFields.nameBytesMax)
        for index in fields.indices
        where fields[index].message == message && name.elementsEqual(fields[index].name.utf8) {
            fields[index].count += 1
            return
        }
        if fields.count < UnknownFields.fieldsMax {
            fields.append(
                Field(
                    message: message, number: 0, name: String(decoding: name, as: UTF8.self),
                    count: 1))
        }
    }

    mutating func add(_ other: UnknownFields) {
        total += other.total
        fields = Array((fields + other.fields).prefix(UnknownFields.fieldsMax))
    }
}

/// A batch made of a request's records of one resource.
package struct DecodedBatch: Sendable {
    /// The payload (contrib/protocol/batch.md), in the reference encoding.
    package let payload: [UInt8]
    /// What `BatchValidator` finds in it.
    package let summary: BatchSummary
}

/// What a request held.
package struct DecodedRequest: Sendable {
    /// A request without records.
    package init() {}

    /// The batches, sequences rising.
    package internal(set) var batches: [DecodedBatch] = []
    /// The number of records in them.
    package internal(set) var accepted: UInt64 = 0
    /// The records that were left out: for partial success.
    package internal(set) var rejections = Rejections()
    /// What was passed over.
    package internal(set) var unknownFields = UnknownFields()
    /// Texts that were not UTF-8, and were repaired with U+FFFD.
    package internal(set) var repairedTexts: UInt64 = 0
    /// What the batches cost in memory: their bytes, and `OTLP.batchCost` for each.
    package internal(set) var byteCount = 0
    /// Which limit of a request was passed, and where.
    var overflow: OTLPError?
}
