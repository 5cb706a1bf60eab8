/// When an attempt that failed is made again: exponential backoff with jitter.
package struct RetryPolicy: Sendable, Equatable {
    /// The wait after the first failure.
    package var initial: Duration
    /// The longest wait.
    package var longest: Duration
    /// What a wait is of the one before it.
    package var multiplier: Double
    /// A wait is shortened by a random part of itself, at most this: 0…1.
    package var jitter: Double
    /// How long after the first failure the attempt is given up; nil: never.
    package var giveUpAfter: Duration?

    /// A policy. Waits are clamped to at least one millisecond.
    package init(
        initial: Duration = .seconds(1), longest: Duration = .seconds(30), multiplier: Double = 2,
        jitter: Double = 0.5, giveUpAfter: Duration? = nil
    ) {
        self.initial = max(initial, .milliseconds(1))
        self.longest = max(longest, self.initial)
        self.multiplier = max(multiplier, 1)
        self.jitter = min(max(jitter, 0), 1)
        self.giveUpAfter = giveUpAfter
    }
}

/// Why an attempt failed, as far as retrying goes.
package enum AttemptFailure: Sendable, Equatable {
    /// Trying again may help; the sink may have said when.
    case retryable(after: Duration?)
    /// Trying again cannot help.
    case permanent
}

/// What follows a failed attempt.
package enum RetryDecision: Sendable, Equatable {
    /// Try again at this time of the monotonic clock.
    case retry(atNanoseconds: UInt64)
    /// Count it as lost.
    case giveUp
}

/// The state of retrying one thing: a pure state machine, the time is handed in.
///
/// `idle` → (failure) → `waiting` → (failure) → `waiting`, longer; a success leads back to `idle`
/// from anywhere.
package struct RetryState: Sendable, Equatable {
    /// The rule.
    package let policy: RetryPolicy
    /// Failures since the last success.
    package private(set) var failures = 0
    /// The time of the first failure since the last success.
    private var firstFailureNanoseconds: UInt64?
    /// The earliest time of the next attempt.
    package private(set) var nextAttemptNanoseconds: UInt64 = 0

    /// A state without failures.
    package init(_ policy: RetryPolicy) { self.policy = policy }

    /// Whether an attempt may be made now.
    package func mayAttempt(nowNanoseconds: UInt64) -> Bool {
        nowNanoseconds >= nextAttemptNanoseconds
    }

    /// An attempt succeeded.
    package mutating func succeeded() {
        failures = 0
        firstFailureNanoseconds = nil
        nextAttemptNanoseconds = 0
    }

    /// An attempt failed. `random` is uniform in 0..<1. A sink that asks for no wait at all, or for one that by our
    /// clock is over, is waited for as one that does not say when.
    package mutating func failed(
        _ failure: AttemptFailure, nowNanoseconds: UInt64, random: Double
    ) -> RetryDecision {
        guard case .retryable(let asked) = failure else { return .giveUp }
        let first = firstFailureNanoseconds ?? nowNanoseconds
        firstFailureNanoseconds = first
        let wished = asked.map(nanoseconds(of:)) ?? 0
        let wait = wished > 0 ? wished : backoffNanoseconds(random: random)
        failures += 1
        if let limit = policy.giveUpAfter,
            nowNanoseconds &- first &+ wait > nanoseconds(of: limit)
        {
            return .giveUp
        }
        nextAttemptNanoseconds = nowNanoseconds &+ wait
        return .retry(atNanoseconds: nextAttemptNanoseconds)
    }

    private func backoffNanoseconds(random: Double) -> UInt64 {
        let longest = Double(nanoseconds(of: policy.longest))
        var wait = Double(nanoseconds(of: policy.initial))
        for _ in 0..<min(failures, 64) where wait < longest { wait *= policy.multiplier }
        return UInt64(min(wait, longest) * (1 - policy.jitter * min(max(random, 0), 1)))
    }
}

/// A duration in nanoseconds; negative ones are 0.
package func nanoseconds(of duration: Duration) -> UInt64 {
    let parts = duration.components
    guard parts.seconds >= 0, parts.attoseconds >= 0 else { return 0 }
    return UInt64(parts.seconds) &* 1_000_000_000 &+ UInt64(parts.attoseconds / 1_000_000_000)
}
