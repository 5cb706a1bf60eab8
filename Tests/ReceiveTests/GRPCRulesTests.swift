import NIOCore
import NIOHPACK
import OTLPCodec
import TelemetryBatch
import Testing

@testable import Receive

@Suite struct `The headers of a call` {
    private func code(
        _ changes: [(String, String)], rules: GRPCRules = GRPCRules()
    ) -> GRPCCode {
        var headers: HPACKHeaders = [
            ":method": "POST", ":path": OTLPSignal.logs.grpcPath, ":authority": "localhost:4317",
            "content-type": "application/grpc",
        ]
        for (name, value) in changes { headers.replaceOrAdd(name: name, value: value) }
        do throws(GRPCRefusal) {
            _ = try rules.plan(headers)
            return .ok
        } catch {
            return error.code
        }
    }

    @Test(arguments: ["application/grpc", "application/grpc+proto", "Application/gRPC; x=1"])
    func `these are calls`(_ type: String) { #expect(code([("content-type", type)]) == .ok) }

    @Test(arguments: [
        "application/grpc+json", "application/grpc-web", "application/x-protobuf", "",
    ])
    func `these are none`(_ type: String) {
        #expect(code([("content-type", type)]) == .invalidArgument)
    }

    @Test(arguments: ["localhost", "127.0.0.1:4317", "[::1]:4317"])
    func `this host may be named`(_ host: String) { #expect(code([(":authority", host)]) == .ok) }

    @Test(arguments: ["example.com", "localhost.example.com:4317", "10.0.0.1", ""])
    func `another host may not`(_ host: String) {
        #expect(code([(":authority", host)]) == .permissionDenied)
        #expect(code([(":authority", host)], rules: GRPCRules(hosts: nil)) == .ok)
    }

    @Test func `a refusal says when to come again where that helps`() {
        let busy = GRPCAnswer.refusal(.busy)
        #expect(busy.first(name: "grpc-status") == "8")
        let details = busy.first(name: "grpc-status-details-bin").flatMap {
            RPCStatus(grpcDetails: $0)
        }
        #expect(details?.code == 8 && details?.retryNanoseconds == 1_000_000_000)
        let large = GRPCAnswer.refusal(.tooLarge(7))
        #expect(large.first(name: "grpc-status") == "8")
        #expect(!large.contains(name: "grpc-status-details-bin"))
        #expect(GRPCRefusal(.failed(.storageFull))?.retryAfter == 5)
        #expect(GRPCRefusal(.failed(.limitExceeded))?.retryAfter == nil)
    }
}

@Suite struct `The message of a call` {
    @Test func `it is whole when all of it is here`() throws {
        for cut in 0...9 {
            var message = GRPCMessage(bytesMax: 4, isGzip: false)
            let bytes: [UInt8] = [0, 0, 0, 0, 4, 1, 2, 3, 4]
            try message.append(ByteBuffer(bytes: bytes[..<cut]))
            try message.append(ByteBuffer(bytes: bytes[cut...]))
            let (body, isCompressed) = try message.finish()
            #expect(Array(body.readableBytesView) == [1, 2, 3, 4])
            #expect(!isCompressed)
        }
    }

    @Test func `what it says of itself is not believed`() throws {
        var long = GRPCMessage(bytesMax: 4, isGzip: false)
        #expect(throws: GRPCRefusal.tooLarge(4)) {
            try long.append(ByteBuffer(bytes: [0, 0, 0, 0, 5]))
        }
        var short = GRPCMessage(bytesMax: 4, isGzip: false)
        try short.append(ByteBuffer(bytes: [0, 0, 0, 0, 2, 7]))
        #expect(throws: GRPCRefusal.self) { try short.finish() }
        var packed = GRPCMessage(bytesMax: 4, isGzip: false)
        #expect(throws: GRPCRefusal.self) { try packed.append(ByteBuffer(bytes: [1])) }
    }
}
