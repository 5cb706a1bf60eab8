import Synchronization
import SystemIO

/// Syncs of entries, one at a time. A file system tells of a failure once and forgets it: were two under way,
/// the second would succeed although what the first should have brought to the device is not there.
final class EntrySync: Sendable {
    /// The failure that stands for all later ones. Held while files are synced: that is what it is for.
    private let failure = Mutex<SystemError?>(nil)

    /// Whether somebody is syncing: whoever wants to now, waits.
    var isBusy: Bool { failure.withLockIfAvailable { _ in true } == nil }

    /// Runs `body`, which syncs; fails without it if one before failed. A shortage, because of which nothing
    /// was tried, is not remembered.
    func run(_ body: () throws(SystemError) -> Void) throws(SystemError) {
        try failure.withLock { failure throws(SystemError) in
            if let failure { throw failure }
            do throws(SystemError) {
                try body()
            } catch {
                if !error.isShortage { failure = error }
                throw error
            }
        }
    }
}
