import SystemIO

/// A directory of a test's own, removed with it.
final class Scratch {
    let path: String

    init() throws {
        let name = try ThisProcess.randomBytes(8).map { String($0, radix: 16) }.joined()
        path = "/tmp/systemio-test-" + name
        try Files.makeDirectories(path)
    }

    deinit {
        do {
            for name in try Files.list(path) { try Files.remove(path + "/" + name) }
            try Files.removeDirectory(path)
        } catch {
            print("left behind: \(path): \(error)")
        }
    }
}
