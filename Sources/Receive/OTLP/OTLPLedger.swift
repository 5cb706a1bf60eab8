internal import OTLPCodec
internal import Synchronization

/// What an OTLP receiver met since the start, beside what `IntakeCounts` has of its batches.
package struct OTLPCounts: Sendable, Equatable {
    /// Requests that were answered, by HTTP status or gRPC code.
    package var answers: [String: UInt64] = [:]
    /// Records that were left out of requests that were taken.
    package var rejectedRecords: UInt64 = 0
    /// Fields that the known version of OTLP does not have, by path.
    package var unknownFields: [String: UInt64] = [:]
    /// Texts that were not UTF-8 and were repaired.
    package var repairedTexts: UInt64 = 0

    /// Zero.
    package init() {}
}

/// The one place where an OTLP receiver counts.
package final class OTLPLedger: Sendable {
    /// Different paths that are kept; the others are counted together.
    private static let pathsMax = 64
    /// Guards the counts; held for an addition only.
    private let counts = Mutex(OTLPCounts())

    /// Zero everywhere.
    package init() {}

    /// A consistent copy.
    package var snapshot: OTLPCounts { counts.withLock { $0 } }

    /// A request was answered.
    func answered(_ status: String) {
        counts.withLock { $0.answers[status, default: 0] += 1 }
    }

    /// A request was decoded.
    func note(_ decoded: DecodedRequest) {
        let unknown = decoded.unknownFields
        guard unknown.total > 0 || decoded.rejections.total > 0 || decoded.repairedTexts > 0 else {
            return
        }
        counts.withLock { counts in
            counts.rejectedRecords += decoded.rejections.total
            counts.repairedTexts += decoded.repairedTexts
            var named: UInt64 = 0
            for field in unknown.fields {
                let isKnown = counts.unknownFields[field.path] != nil
                let path =
                    isKnown || counts.unknownFields.count < Self.pathsMax ? field.path : "other"
                counts.unknownFields[path, default: 0] += field.count
                named += field.count
            }
            if unknown.total > named {
                counts.unknownFields["other", default: 0] += unknown.total - named
            }
        }
    }
}
