import Testing

@testable import OTLPCodec

@Suite struct `gRPC's texts` {
    @Test(arguments: ["", "plain text", "100 %", "naïve — \u{1F9ED}", "line\nline", "%41"])
    func `a message is carried in ASCII`(_ text: String) {
        let encoded = GRPCFormat.percentEncoded(text)
        #expect(encoded.utf8.allSatisfy { (0x20...0x7E).contains($0) })
        #expect(GRPCFormat.percentDecoded(encoded) == text)
    }

    @Test func `what is not encoded right stays`() {
        #expect(GRPCFormat.percentDecoded("50% of %zz%") == "50% of %zz%")
    }

    @Test(arguments: [1, 2, 3, 4])
    func `details are carried in base64`(_ length: Int) throws {
        let status = RPCStatus(
            code: 8, message: String(repeating: "m", count: length),
            retryNanoseconds: 1_500_000_000)
        #expect(!status.grpcDetails.contains("="))
        #expect(RPCStatus(grpcDetails: status.grpcDetails) == status)
        #expect(RPCStatus(grpcDetails: "no base64!") == nil)
    }

    @Test func `a prefix has the length in network order`() {
        #expect(GRPCFormat.prefix(count: 0x010203, isCompressed: true) == [1, 0, 1, 2, 3])
    }
}
