import Synchronization
import SystemIO

/// A file that is replaced whole, and that both threads of the log write (`meta`, `dedupe`): the writer when it
/// needs that at once, the sync thread else. Never both at a time, or one would rename the other's half; and
/// never what is older over what is newer, or numbers and sequences that are in use would be forgotten.
final class VersionedFile: Sendable {
    private let storage: any Storage
    private let name: String
    /// The version that stands in the file. Held while it is written: that is what it is for.
    private let written = Mutex<UInt64>(0)

    init(_ storage: any Storage, _ name: String) {
        self.storage = storage
        self.name = name
    }

    /// Whether somebody is writing it: whoever wants to now, waits.
    var isBusy: Bool { written.withLockIfAvailable { _ in true } == nil }

    /// Writes it; does nothing if a newer version is there. Survives loss of power on return.
    func write(_ bytes: [UInt8], version: UInt64) throws(SystemError) {
        try written.withLock { newest throws(SystemError) in
            guard version > newest else { return }
            try replaceWhole(storage, name, bytes)
            newest = version
        }
    }
}
