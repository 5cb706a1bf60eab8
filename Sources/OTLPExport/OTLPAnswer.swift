import Meaning
package import OTLPCodec

/// What came of sending a request.
package enum SendOutcome: Sendable, Equatable {
    /// An answer: its status, two of its headers, its body.
    case answered(status: Int, retryAfter: String?, contentType: String?, body: [UInt8])
    /// The answer to a call of gRPC.
    case answeredCall(code: GRPCCode, message: String, retryNanoseconds: UInt64?, body: [UInt8])
    /// None; why not, a sentence.
    case failed(String)

    /// Nothing is sent any more.
    static let closed = SendOutcome.failed("the exporter ends")
}

/// What an outcome means for the request (OTLP/HTTP 1.x, "OTLP/HTTP Response", "Failures", "Throttling").
enum OTLPAnswer: Equatable {
    /// It was taken but for so many records; what the backend said of them.
    case taken(rejected: UInt64, message: String)
    /// It may be sent again; how long the backend wants to be left alone, in seconds.
    case retry(seconds: UInt64?, reason: String)
    /// It must not be sent again.
    case rejected(reason: String)
    /// It must not be sent again as it is; a part of it may be.
    case tooLarge(reason: String)

    /// A backend that wants to be left alone for longer is asked again all the same.
    static let retrySecondsMax: UInt64 = 3600
    private static let retryable: Set<Int> = [429, 502, 503, 504]

    /// `wallSeconds`: since 1970, for a date in `Retry-After`.
    init(_ outcome: SendOutcome, _ signal: OTLPSignal, wallSeconds: UInt64) {
        switch outcome {
        case .failed(let reason): self = .retry(seconds: nil, reason: reason)
        case .answeredCall(let code, let message, let retryNanoseconds, let body):
            self = Self.answer(code, message, retryNanoseconds, body, signal)
        case .answered(let status, let retryAfter, let type, let body):
            let encoding: OTLPEncoding =
                type?.lowercased().hasPrefix("application/json") == true ? .json : .protobuf
            switch status {
            case 200..<300 where !body.isEmpty && Self.isPage(type):
                // Whoever answered knows nothing of OTLP, and has not kept the records.
                self = .retry(seconds: nil, reason: Self.pageReason(status))
            case 200..<300: self = Self.taken(body, signal, encoding)
            case _ where Self.retryable.contains(status):
                let seconds = retryAfter.flatMap { Self.seconds($0, wallSeconds: wallSeconds) }
                self = .retry(
                    seconds: seconds.map { min($0, Self.retrySecondsMax) },
                    reason: "answered \(status)\(Self.message(body, encoding))")
            case 413:
                self = .tooLarge(reason: "answered 413\(Self.message(body, encoding))")
            default:
                self = .rejected(reason: "answered \(status)\(Self.message(body, encoding))")
            }
        }
    }

    /// OTLP/gRPC 1.x, "Failures", "OTLP/gRPC Throttling".
    private static let retryableCodes: Set<GRPCCode> = [
        .cancelled, .deadlineExceeded, .aborted, .outOfRange, .unavailable, .dataLoss,
    ]

    private static func answer(
        _ code: GRPCCode, _ message: String, _ retryNanoseconds: UInt64?, _ body: [UInt8],
        _ signal: OTLPSignal
    ) -> OTLPAnswer {
        let reason = "answered \(code.name)" + said(message)
        switch code {
        case .ok: return taken(body, signal, .protobuf)
        case _ where retryableCodes.contains(code),
            .resourceExhausted where retryNanoseconds != nil:
            let seconds = retryNanoseconds.map { ($0 + 999_999_999) / 1_000_000_000 }
            return .retry(seconds: seconds.map { min($0, retrySecondsMax) }, reason: reason)
        // Without a time to come again it is too large, or a quota that no waiting mends, which smaller
        // requests show.
        case .resourceExhausted: return .tooLarge(reason: reason)
        default: return .rejected(reason: reason)
        }
    }

    private static func taken(
        _ body: [UInt8], _ signal: OTLPSignal, _ encoding: OTLPEncoding
    ) -> OTLPAnswer {
        do throws(OTLPError) {
            let response = try ExportResponse(body.span.bytes, signal, encoding)
            return .taken(
                rejected: UInt64(max(response.rejected, 0)), message: printable(response.message))
        } catch {
            // The status says that it was taken; not every backend answers with the message.
            return .taken(rejected: 0, message: "")
        }
    }

    private static func message(_ body: [UInt8], _ encoding: OTLPEncoding) -> String {
        do throws(OTLPError) {
            let status = try RPCStatus(body.span.bytes, encoding)
            return said(status.message)
        } catch {
            return ""
        }
    }

    /// A backend's words, fit for a terminal and not long.
    private static func printable(_ words: String) -> String {
        PrintableText.text(words, limit: 300)
    }

    private static func said(_ words: String) -> String {
        words.isEmpty ? "" : ": \(printable(words))"
    }

    // MARK: Web pages

    private static func isPage(_ type: String?) -> Bool {
        let media = type?.lowercased().prefix { $0 != ";" && $0 != " " }
        return media == "text/html" || media == "application/xhtml+xml"
    }

    private static func pageReason(_ status: Int) -> String {
        "answered \(status) with a web page, which no receiver of OTLP does: a login page, or another "
            + "service's port; correct the exporter's endpoint, or log in to the network"
    }

    // MARK: Retry-After (RFC 9110, 10.2.3)

    static func seconds(_ text: String, wallSeconds: UInt64) -> UInt64? {
        if let seconds = UInt64(text) { return seconds }
        guard let date = dateSeconds(text) else { return nil }
        return date > wallSeconds ? date - wallSeconds : 0
    }

    private static let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]

    /// `Sun, 06 Nov 1994 08:49:37 GMT` as seconds since 1970.
    private static func dateSeconds(_ text: String) -> UInt64? {
        let parts = text.split(separator: " ")
        guard parts.count == 6, parts[5] == "GMT", let day = Int(parts[1]),
            let month = months.firstIndex(of: String(parts[2])), let year = Int(parts[3]),
            (1970...9999).contains(year), (1...31).contains(day)
        else { return nil }
        let clock = parts[4].split(separator: ":").compactMap { Int($0) }
        guard clock.count == 3, (0..<24).contains(clock[0]), (0..<60).contains(clock[1]),
            (0...60).contains(clock[2])
        else { return nil }
        // Days since 1970 by the calendar whose year begins in March.
        let shifted = month < 2 ? year - 1 : year
        let (era, ofEra) = (shifted / 400, shifted % 400)
        let dayOfYear = (153 * ((month + 10) % 12) + 2) / 5 + day - 1
        let days = era * 146_097 + ofEra * 365 + ofEra / 4 - ofEra / 100 + dayOfYear - 719_468
        return UInt64(days * 86_400 + clock[0] * 3600 + clock[1] * 60 + clock[2])
    }
}
