import OTLPExport
import Testing

@Suite struct HostAndPortTests {
    @Test(
        arguments: [
            ("a", "a", nil), ("a-b.c_d:1", "a-b.c_d", 1), ("127.0.0.1:65535", "127.0.0.1", 65_535),
            ("[::1]", "[::1]", nil), ("[::1]:80", "[::1]", 80),
            ("[::ffff:1.2.3.4]:1", "[::ffff:1.2.3.4]", 1),
            ("[fe80::1%25eth0]:1", "[fe80::1%25eth0]", 1),
        ] as [(String, String, Int?)])
    func `a host with or without a port`(text: String, host: String, port: Int?) throws {
        let found = try #require(HostAndPort(text))
        #expect(found.host == host)
        #expect(found.port == port)
    }

    @Test(arguments: [
        "", ":1", "a:", "a:0", "a:65536", "a:+1", "a:1:2", "::1", "[::1", "::1]", "[::1:80", "[]",
        "[a]",
        "[::1]x", "[::1]:", "[::x]", "a b", "a/b", "a@b", "<a>", "[fe80::1%]",
    ])
    func `what is none`(text: String) {
        #expect(HostAndPort(text) == nil)
    }
}
