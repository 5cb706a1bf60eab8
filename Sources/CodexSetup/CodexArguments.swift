/// Where in Codex's command line settings of ours have to stand so that it takes them, and the user's own win.
package enum CodexArguments {
    /// Commands that take `-c` themselves.
    private static let commands: Set<String> = [
        "exec", "e", "review", "resume", "fork", "app-server", "mcp-server", "exec-server", "cloud",
        "sandbox", "debug", "mcp", "apply", "a", "login", "features",
    ]

    /// Before which words. Of the places where a `-c` may stand, behind the program's name and behind a command's,
    /// Codex takes only the last that has one; and of several in a place the last counts.
    ///
    /// - Parameter words: the command line, from the program's name on; at least that.
    package static func places(in words: [String]) -> [Int] {
        var places: [Int] = []
        var isOpen = true
        for (index, word) in words.enumerated().dropFirst() {
            if word == "--" { break }
            if commands.contains(word) {
                if index == 1 || (places.isEmpty && isOpen) { places.append(1) }
                isOpen = true
            } else if isOpen, isSetting(word) {
                places.append(index)
                isOpen = false
            }
        }
        return places.isEmpty ? [1] : Array(Set(places)).sorted()
    }

    private static func isSetting(_ word: String) -> Bool {
        word == "--config" || word.hasPrefix("--config=")
            || (word.hasPrefix("-c") && !word.hasPrefix("--"))
    }
}
