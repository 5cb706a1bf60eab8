import SimulationKit
import Synchronization
import SystemIO

/// What the command line asks for.
struct Options: Sendable {
    static let usage = """
        usage: simulate --seeds N [--from N] [--steps N] [--threads N] [--all]
               simulate --seed N [--steps N] [--trace]
        """

    var seeds = 1
    var from: UInt64 = 1
    var steps = 250
    var threads = 2
    var traces = false
    /// Goes on after a violation.
    var runsAll = false

    struct Problem: Error, CustomStringConvertible { let description: String }

    init() {}

    init(_ arguments: [String]) throws(Problem) {
        var rest = arguments[...]
        while let option = rest.popFirst() {
            switch option {
            case "--trace": traces = true
            case "--all": runsAll = true
            case "--seeds", "--seed", "--from", "--steps", "--threads":
                guard let word = rest.popFirst(), let value = Int(word), value > 0 else {
                    throw Problem(description: "\(option) wants a number")
                }
                switch option {
                case "--seeds": seeds = value
                case "--steps": steps = value
                case "--threads": threads = value
                default: from = UInt64(value)
                }
            default: throw Problem(description: "\(option) is not known")
            }
        }
    }

    /// The command that runs one seed again.
    func replay(_ seed: UInt64) -> String {
        let steps = steps == Options().steps ? "" : " --steps \(steps)"
        return "swift run -c release simulate --seed \(seed)\(steps) --trace"
    }
}

/// Many seeds.
struct Campaign {
    struct Failure: Sendable {
        let seed: UInt64
        let what: String
    }

    struct Report: Sendable {
        var seeds = 0
        var tallies = Tallies()
        var failures: [Failure] = []
        var hash: UInt64 = 0
    }

    private let options: Options

    init(_ options: Options) { self.options = options }

    func run() -> Report {
        let state = Work()
        let options = self.options
        var threads: [SystemThread] = []
        for number in 1..<max(1, min(options.threads, options.seeds)) {
            do {
                threads.append(
                    try SystemThread.start(name: "simulate-\(number)") {
                        Campaign.work(options, state)
                    })
            } catch {
                print("a thread less: \(error)")
            }
        }
        Campaign.work(options, state)
        for thread in threads { thread.join() }
        return state.report.withLock { report in
            report.failures.sort { $0.seed < $1.seed }
            return report
        }
    }

    /// What the threads share.
    private final class Work: Sendable {
        // Guards what came of the seeds so far.
        let report = Mutex(Report())
        let next = Atomic<Int>(0)
        let isOver = Atomic<Bool>(false)
    }

    private static func work(_ options: Options, _ state: Work) {
        while !state.isOver.load(ordering: .relaxed) {
            let index = state.next.wrappingAdd(1, ordering: .relaxed).oldValue
            guard index < options.seeds else { return }
            let seed = options.from + UInt64(index)
            let simulation = Simulation(seed: seed, prints: options.traces)
            let wrong = simulation.run(steps: options.steps)
            simulation.disk.setPlan(nil)
            state.report.withLock { report in
                report.seeds += 1
                report.tallies.add(simulation.tallies)
                report.hash = simulation.trace.hash
                if let wrong { report.failures.append(Failure(seed: seed, what: wrong)) }
            }
            if wrong != nil, !options.runsAll { state.isOver.store(true, ordering: .relaxed) }
        }
    }
}
