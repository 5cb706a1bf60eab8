import SystemIO

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// `simulate --seeds N [--from M] [--steps S] [--threads T] | --seed N [--trace]`
@main
enum Simulate {
    static func main() {
        let options: Options
        do {
            options = try Options(Array(CommandLine.arguments.dropFirst()))
        } catch {
            print("\(error)\n\(Options.usage)")
            exit(64)
        }
        exit(run(options) ? 0 : 1)
    }

    private static func run(_ options: Options) -> Bool {
        let began = Clocks.monotonic()
        let report = Campaign(options).run()
        let seconds = Double(Clocks.monotonic() - began) / 1e9
        print("\(report.seeds) seeds from \(options.from), \(options.steps) steps each")
        for tally in Tally.allCases {
            let count = String(report.tallies[tally])
            print(String(repeating: " ", count: max(0, 12 - count.utf8.count)) + count, tally.name)
        }
        print("\((seconds * 10).rounded() / 10) seconds")
        if options.seeds == 1 { print("trace hash \(String(report.hash, radix: 16))") }
        for failure in report.failures {
            print("VIOLATED by seed \(failure.seed) \(failure.what)")
            print("replay: \(options.replay(failure.seed))")
        }
        if report.failures.isEmpty { print("all held") }
        return report.failures.isEmpty
    }
}
