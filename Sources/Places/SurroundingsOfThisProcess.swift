internal import SystemIO

extension Surroundings {
    /// What this process sees.
    package static var ofThisProcess: Surroundings {
        Surroundings(
            environment: { ThisProcess.environment($0) }, euid: ThisProcess.euid,
            ownsDirectory: { path in
                do {
                    let facts = try Files.facts(path)
                    return facts.kind == .directory && facts.uid == ThisProcess.euid
                } catch {
                    return false
                }
            })
    }
}
