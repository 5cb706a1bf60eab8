import SystemIO

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// Makes logs, damages them and opens them, for the tests of Tests/Witness and contrib/soak.
@main
enum Main {
    static let usage = """
        usage: damage-check small DIRECTORY unclean|orderly   a small log of three segments
               damage-check open BASE SCRATCH < VARIANTS      one JSON line for each damaged copy of BASE
               damage-check large DIRECTORY BYTES             a large log, not closed
               damage-check measure DIRECTORY                 opens a log; time and memory of it as JSON
        """

    static func main() throws {
        let words = Array(CommandLine.arguments.dropFirst())
        switch (words.first, words.count) {
        case ("small", 3): try SmallLog.make(at: words[1], orderly: words[2] == "orderly")
        case ("open", 3): try openVariants(of: words[1], in: words[2])
        case ("large", 3): try LargeLog.make(at: words[1], bytes: UInt64(words[2]) ?? 0)
        case ("measure", 2): try LargeLog.measure(words[1])
        default:
            print(usage)
            exit(64)
        }
    }

    private static func openVariants(of base: String, in scratch: String) throws {
        let check = try DamagedOpening(base: base, scratch: scratch)
        while let line = readLine() {
            guard let variant = Variant(line) else {
                print("not a variant: \(line)")
                exit(65)
            }
            print(try check.run(variant))
        }
    }
}
