import Testing

@testable import Export

private let second: UInt64 = 1_000_000_000

@Suite struct RetryStateTests {
    @Test func `waits double up to the longest`() {
        var state = RetryState(RetryPolicy(initial: .seconds(1), longest: .seconds(5), jitter: 0))
        var now: UInt64 = 100 * second
        for wait: UInt64 in [1, 2, 4, 5, 5] {
            let decision = state.failed(
                .retryable(after: nil), nowNanoseconds: now, random: 0.7)
            #expect(decision == .retry(atNanoseconds: now + wait * second))
            #expect(!state.mayAttempt(nowNanoseconds: now + wait * second - 1))
            now += wait * second
            #expect(state.mayAttempt(nowNanoseconds: now))
        }
        state.succeeded()
        #expect(state.failures == 0)
        let decision = state.failed(.retryable(after: nil), nowNanoseconds: now, random: 0)
        #expect(decision == .retry(atNanoseconds: now + second))
    }

    @Test func `jitter shortens a wait by its part at most`() {
        for random in [0.0, 0.25, 0.999] {
            var state = RetryState(RetryPolicy(initial: .seconds(1), jitter: 0.5))
            guard
                case .retry(let at) = state.failed(
                    .retryable(after: nil), nowNanoseconds: 0, random: random)
            else {
                Issue.record("gave up")
                return
            }
            #expect(at <= second && at >= second / 2)
        }
    }

    @Test func `the sink's own word counts`() {
        var state = RetryState(RetryPolicy(initial: .seconds(1)))
        let decision = state.failed(
            .retryable(after: .seconds(17)), nowNanoseconds: 5, random: 0)
        #expect(decision == .retry(atNanoseconds: 5 + 17 * second))
    }

    @Test func `a sink that asks for no wait is not asked without end`() {
        for asked: Duration in [.zero, .seconds(-5)] {
            var state = RetryState(RetryPolicy(initial: .seconds(1), jitter: 0))
            var now = second
            for wait: UInt64 in [1, 2, 4] {
                let decision = state.failed(
                    .retryable(after: asked), nowNanoseconds: now, random: 0)
                #expect(decision == .retry(atNanoseconds: now + wait * second))
                now += wait * second
            }
        }
    }

    @Test func `a permanent failure is never tried again`() {
        var state = RetryState(RetryPolicy())
        #expect(state.failed(.permanent, nowNanoseconds: 5, random: 0) == .giveUp)
    }

    @Test func `it gives up once the next attempt would come too late`() {
        var state = RetryState(
            RetryPolicy(initial: .seconds(1), jitter: 0, giveUpAfter: .seconds(4)))
        var now: UInt64 = 0
        var decisions: [RetryDecision] = []
        for _ in 0..<3 {
            let decision = state.failed(.retryable(after: nil), nowNanoseconds: now, random: 0)
            decisions.append(decision)
            if case .retry(let at) = decision { now = at }
        }
        #expect(
            decisions == [
                .retry(atNanoseconds: second), .retry(atNanoseconds: 3 * second), .giveUp,
            ])
    }
}
