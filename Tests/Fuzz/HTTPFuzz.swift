import Compression
import NIOCore
import NIOHPACK
import NIOHTTP1
import OTLPCodec

@testable import Receive

/// A request over HTTP as the parser hands it on: its head by the rules, its body unpacked; or a call of
/// gRPC. The input is flags, then lines: method, URI, headers, an empty one; the rest is the body.
enum HTTPFuzz {
    /// The body is packed here, in so many members as the flags say, so that what comes out is known.
    private static let packs: UInt8 = 1
    /// It came over a socket of the file system.
    private static let isLocal: UInt8 = 2
    /// The limit is small.
    private static let isTight: UInt8 = 4
    /// The headers and the message are gRPC's.
    private static let isCall: UInt8 = 8
    private static let headersMax = 64

    static func seeds(_ folder: SeedFolder) throws -> [(name: String, bytes: [UInt8])] {
        let head = "POST\n/v1/traces\nHost: localhost:4318\nContent-Encoding: gzip\n"
        let others = [
            "Content-Type: application/json; charset=utf-8\nExpect: 100-continue\n",
            "Content-Type: application/x-protobuf\nContent-Length: 20971521\n",
            "Content-Type: application/protobuf\nOrigin: http://localhost\nTransfer-Encoding: chunked\n",
        ]
        var seeds: [(name: String, bytes: [UInt8])] = []
        for (number, more) in others.enumerated() {
            for flags: UInt8 in [0, packs, packs | isLocal | isTight, packs | 0x30] {
                let packed = try Compressor().gzip(Array("{}".utf8).span.bytes)
                seeds.append(
                    ("\(number)-\(flags)", [flags] + Array((head + more + "\n").utf8) + packed))
            }
        }
        let call = "POST\n\(OTLPSignal.logs.grpcPath)\nContent-Type: application/grpc+proto\n"
        let message = GRPCFormat.prefix(count: 3, isCompressed: false) + [1, 2, 3]
        for more in ["", "grpc-encoding: gzip\n", "host: localhost:4317\n"] {
            let head = [isCall | isLocal] + Array((call + more + "\n").utf8)
            seeds.append(("call-\(more.utf8.count)", head + message))
        }
        return seeds
    }

    static func run(_ bytes: [UInt8]) {
        var input = FuzzInput(bytes)
        let flags = input.byte()
        var rules = HTTPRules(bodyBytesMax: flags & isTight != 0 ? 64 : 65_536)
        if flags & isLocal != 0 { rules.hosts = nil }
        var head = HTTPRequestHead(
            version: .http1_1, method: HTTPMethod(rawValue: input.line()), uri: input.line())
        while head.headers.count < headersMax {
            let line = input.line()
            // Names are tokens: the parser lets nothing else through.
            guard let colon = line.firstIndex(of: ":"), line[..<colon].utf8.allSatisfy(isToken)
            else { break }
            let value = line[line.index(after: colon)...].drop { $0 == " " }
            head.headers.add(name: String(line[..<colon]), value: String(value))
        }
        if flags & isCall != 0 {
            return check(call: head, body: Array(input.rest), flags, rules)
        }
        check(head, rules)
        unpack(Array(input.rest), members: Int(flags >> 4) + 1, flags, rules.bodyBytesMax)
    }

    /// RFC 9110, 5.6.2, as far as it matters: neither controls, nor spaces, nor separators, nor other than ASCII.
    private static func isToken(_ byte: UInt8) -> Bool {
        (0x21...0x7E).contains(byte) && !"\"(),/:;<=>?@[\\]{}".utf8.contains(byte)
    }

    private static func check(_ head: HTTPRequestHead, _ rules: HTTPRules) {
        do throws(HTTPRefusal) {
            let plan = try rules.plan(head)
            promise(head.method == .POST, "another method than POST is taken")
            promise(head.uri.hasPrefix("/v1/\(plan.signal.rawValue)"), "a path of another signal")
            promise(!head.headers.contains(name: "origin"), "a web page is heard")
            let length = head.headers.first(name: "content-length").flatMap { Int($0) } ?? 0
            promise(length <= rules.bodyBytesMax, "a body is let in that says it is too large")
        } catch {
            promise(!error.message.isEmpty, "a refusal without a word")
            promise((400..<500).contains(error.status.code), "a refusal that is none")
        }
    }

    private static func check(
        call head: HTTPRequestHead, body: [UInt8], _ flags: UInt8, _ http: HTTPRules
    ) {
        var headers = HPACKHeaders(httpHeaders: head.headers)
        headers.add(name: ":method", value: head.method.rawValue)
        headers.add(name: ":path", value: head.uri)
        var rules = GRPCRules()
        rules.hosts = http.hosts
        do throws(GRPCRefusal) {
            let plan = try rules.plan(headers)
            promise(head.uri == plan.signal.grpcPath, "a method of another signal")
            promise(!head.headers.contains(name: "origin"), "a web page is heard")
        } catch {
            check(error)
        }
        // Pieces change nothing.
        let whole = message([body[...]], flags, http.bodyBytesMax)
        let pieces = stride(from: 0, to: body.count, by: 3).map {
            body[$0..<min($0 + 3, body.count)]
        }
        promise(message(pieces, flags, http.bodyBytesMax) == whole, "pieces change a message")
        guard let whole else { return }
        promise(
            body == GRPCFormat.prefix(count: whole.count, isCompressed: body[0] == 1) + whole,
            "a message that is not what was sent")
    }

    private static func message(
        _ pieces: [ArraySlice<UInt8>], _ flags: UInt8, _ limit: Int
    ) -> [UInt8]? {
        var message = GRPCMessage(bytesMax: limit, isGzip: flags & packs != 0)
        do throws(GRPCRefusal) {
            for piece in pieces { try message.append(ByteBuffer(bytes: piece)) }
            let (found, _) = try message.finish()
            promise(found.readableBytes <= limit, "more than the limit is a message")
            return Array(found.readableBytesView)
        } catch {
            check(error)
            return nil
        }
    }

    private static func check(_ refusal: GRPCRefusal) {
        promise(refusal.code != .ok && !refusal.message.isEmpty, "a refusal that is none")
        let encoded = GRPCFormat.percentEncoded(refusal.message)
        promise(
            GRPCFormat.percentDecoded(encoded) == refusal.message, "a message is not understood")
    }

    private static func unpack(_ body: [UInt8], members: Int, _ flags: UInt8, _ limit: Int) {
        do {
            let decompressor = try Decompressor()
            guard flags & packs != 0 else {
                let found = try decompressor.gunzip(body.span.bytes, limit: limit)
                return promise(found.count <= limit, "more than the limit comes out")
            }
            let compressor = try Compressor()
            var packed: [UInt8] = []
            for member in 0..<members {
                let part = body[body.count * member / members..<body.count * (member + 1) / members]
                packed += compressor.gzip(Array(part).span.bytes)
            }
            let found = try decompressor.gunzip(packed.span.bytes, limit: limit)
            promise(found == body && body.count <= limit, "what was packed does not come out")
        } catch CompressionError.tooLarge {
            promise(flags & packs == 0 || body.count > limit, "what fits is refused")
        } catch CompressionError.damaged, CompressionError.tooManyMembers {
            promise(flags & packs == 0, "what was packed is refused")
        } catch {
            fail("\(error)")
        }
    }
}
