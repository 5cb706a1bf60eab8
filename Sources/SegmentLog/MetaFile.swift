import Synchronization
import SystemIO

/// The file `meta`. Both threads of the log write it: the writer when it needs numbers at once, the sync
/// thread else. Never both at a time, or one would rename the other's half; and never what is older
/// over what is newer, or numbers that are in use would not be safe any more.
final class MetaFile: Sendable {
    private let storage: any Storage
    /// The version that stands in the file. Held while it is written: that is what it is for.
    private let written = Mutex<UInt64>(0)

    init(_ storage: any Storage) { self.storage = storage }

    /// Writes it; does nothing if a newer version is there. Survives loss of power on return.
    func write(_ meta: LogMeta, version: UInt64) throws(SystemError) {
        try written.withLock { newest throws(SystemError) in
            guard version > newest else { return }
            try replaceWhole(storage, LogMeta.name, meta.encode())
            newest = version
        }
    }
}
