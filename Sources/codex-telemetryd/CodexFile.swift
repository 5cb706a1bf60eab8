import CodexSetup
import SystemIO

/// Codex's `config.toml` of this user, and beside it what `setup codex` needs to undo its work: the file as it was
/// and as it was written.
struct CodexFile {
    /// Its path as people name it; a link's target is what is written.
    let path: String

    private static let bytesMax = 1 << 20

    /// `$CODEX_HOME/config.toml`, else `~/.codex/config.toml`; nil without a home.
    static var ofThisUser: CodexFile? {
        if let home = ThisProcess.environment("CODEX_HOME"), !home.isEmpty {
            return CodexFile(path: home + "/config.toml")
        }
        let home = ThisProcess.environment("HOME") ?? ThisProcess.homeDirectory
        return home.map { CodexFile(path: $0 + "/.codex/config.toml") }
    }

    /// The file as it was before.
    var before: CodexFile { CodexFile(path: path + ".codex-telemetry-before") }
    /// The file as it was written.
    var after: CodexFile { CodexFile(path: path + ".codex-telemetry-after") }

    /// Its content; nil if it is not there.
    func read() throws(CommandFailure) -> [UInt8]? {
        do {
            return try Files.read(path, limit: Self.bytesMax)
        } catch {
            if error.isNotFound { return nil }
            throw CommandFailure(.failed, "\(error)")
        }
    }

    /// Refuses what is nothing to write to, before anything is written.
    func refuseUnfit() throws(CommandFailure) {
        do { _ = try resolved() } catch let failure as CommandFailure { throw failure } catch {
            throw CommandFailure(.failed, "\(error)")
        }
    }

    /// Writes it so that there is the old or the new content, never a mixture: with the mode that it has, or that
    /// of `model`; through links.
    ///
    /// - Parameter known: what was read of it; if that is not there any more, nothing is written.
    func write(_ bytes: [UInt8], knowing known: [UInt8]?, model: CodexFile? = nil)
        throws(CommandFailure)
    {
        do {
            let folder = path.split(separator: "/", omittingEmptySubsequences: false).dropLast()
            try Files.makeDirectories(folder.joined(separator: "/"))
            let target = try resolved()
            let temporary = target + ".codex-telemetry-new"
            _ = try Files.remove(temporary)
            let mode = try (model ?? self).mode()
            do {
                let file = try Files.open(temporary, [.write, .create, .exclusive, .noFollow])
                try Files.setMode(temporary, mode)
                try file.write(bytes.span.bytes, at: 0)
                try file.syncData()
            }
            guard try read() == known else {
                _ = try Files.remove(temporary)
                throw CommandFailure(.failed, "\(path) was changed meanwhile: nothing was written")
            }
            try Files.rename(temporary, to: target)
            let parent = target.split(separator: "/", omittingEmptySubsequences: false).dropLast()
            try Files.syncDirectory(parent.joined(separator: "/"))
        } catch let failure as CommandFailure {
            throw failure
        } catch {
            throw CommandFailure(.failed, "\(error)")
        }
    }

    /// Removes it.
    func remove() throws(CommandFailure) {
        do { _ = try Files.remove(path) } catch { throw CommandFailure(.failed, "\(error)") }
    }

    /// The mode of a file that is there, else one for the user alone: headers in it may hold secrets.
    private func mode() throws(SystemError) -> UInt32 {
        do {
            return try Files.facts(path).mode
        } catch {
            if error.isNotFound { return 0o600 }
            throw error
        }
    }

    /// What a link leads to; the path itself if nothing is there.
    private func resolved() throws -> String {
        let facts: FileFacts
        do {
            facts = try Files.facts(path, following: false)
        } catch {
            if error.isNotFound { return path }
            throw error
        }
        let target: String
        let found: FileFacts
        do {
            target = facts.kind == .symbolicLink ? try Files.resolve(path) : path
            found = try Files.facts(target)
        } catch {
            guard error.isNotFound else { throw error }
            throw CommandFailure(
                .failed,
                "\(path) is a link to a file that is not there: not edited; make that file, or take the link away"
            )
        }
        guard found.kind == .regular else {
            throw CommandFailure(
                .failed, "\(path) is no ordinary file: not edited; put one in its place")
        }
        guard found.uid == ThisProcess.euid else {
            throw CommandFailure(
                .failed, "\(target) belongs to uid \(found.uid), and would be ours: not edited")
        }
        return target
    }
}
