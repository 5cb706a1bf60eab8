/// A listening socket's name in the file system: names can be taken away, or given to another, while
/// whoever listens does not notice.
package struct SocketName: Sendable {
    /// What has the name now.
    package enum State: Sendable {
        /// The socket that had it first.
        case ours
        /// Nothing.
        case gone
        /// Something else.
        case another
    }

    /// The name.
    package let path: String
    private let device: UInt64
    private let inode: UInt64

    /// The name of the socket that was bound to `path` a moment ago.
    package init(_ path: String) throws(SystemError) {
        let facts = try Files.facts(path, following: false)
        self.path = path
        device = facts.device
        inode = facts.inode
    }

    /// Looks; what cannot be looked at is as good as gone.
    package var state: State {
        do {
            let facts = try Files.facts(path, following: false)
            return facts.device == device && facts.inode == inode ? .ours : .another
        } catch {
            return .gone
        }
    }

    /// Takes the name away, if it is still the socket's own.
    package func remove() throws(SystemError) {
        if state == .ours { try Files.remove(path) }
    }
}
