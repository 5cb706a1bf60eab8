import SimulationKit
import Testing

@testable import simulate

/// A slice of what `contrib/test --full` and `contrib/soak simulate` run in a release build.
@Suite struct SimulatorTests {
    @Test func `what was promised holds in every simulated world`() {
        var options = Options()
        options.seeds = 120
        options.steps = 150
        let report = Campaign(options).run()
        for failure in report.failures {
            Issue.record("seed \(failure.seed) \(failure.what): \(options.replay(failure.seed))")
        }
        #expect(report.seeds == 120)
        // The faults were there, and struck.
        for tally in [
            Tally.deaths, .powerLosses, .failedSyncs, .shortWrites, .diskFull, .bitFlips,
            .duplicates, .interludes, .cursorsSaved, .readByReaders, .tornTails,
        ] {
            #expect(report.tallies[tally] > 0, "\(tally.name)")
        }
    }

    @Test(arguments: [3, 17, 58] as [UInt64])
    func `a seed's world is the same every time`(_ seed: UInt64) {
        let hashes = (0..<2).map { _ in
            let simulation = Simulation(seed: seed, prints: false)
            _ = simulation.run(steps: 200)
            simulation.disk.setPlan(nil)
            return simulation.trace.hash
        }
        #expect(hashes[0] == hashes[1])
        let other = Simulation(seed: seed + 1, prints: false)
        _ = other.run(steps: 200)
        #expect(other.trace.hash != hashes[0])
    }
}
