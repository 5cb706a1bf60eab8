/// Why a file's bytes are no text that a configuration can be: where, and what to do.
struct TextProblem: Equatable {
    let line: Int
    let column: Int
    let message: String

    /// Nil: nothing is wrong. A byte order mark of UTF-8 at the beginning is as it may be.
    init?(_ bytes: [UInt8]) {
        let start = bytes.prefix(2)
        // Of an ASCII character one of the two bytes is 0, and no YAML begins with that.
        if start.elementsEqual([0xFF, 0xFE]) || start.elementsEqual([0xFE, 0xFF])
            || start.count == 2 && start.contains(0)
        {
            (line, column) = (0, 0)
            message = "it is UTF-16, as some editors save what they call Unicode; save it as UTF-8"
            return
        }
        var iterator = bytes.makeIterator()
        var parser = Unicode.UTF8.ForwardParser()
        var (line, column) = (1, 1)
        var isFirst = true
        while true {
            switch parser.parseScalar(from: &iterator) {
            case .emptyInput: return nil
            case .error:
                (self.line, self.column) = (line, column)
                message = "it is not UTF-8; save it as UTF-8"
                return
            case .valid(let encoded):
                let scalar = Unicode.UTF8.decode(encoded)
                if scalar == "\u{FEFF}", !isFirst {
                    (self.line, self.column) = (line, column)
                    message =
                        "a byte order mark (U+FEFF), which no editor shows, stands inside, as where two files were "
                        + "joined; take it out"
                    return
                }
                isFirst = false
                (line, column) = scalar == "\n" ? (line + 1, 1) : (line, column + 1)
            }
        }
    }

    func inFile(_ file: String) -> ConfigProblem {
        ConfigProblem(file: file, line: line, column: column, message: message)
    }
}
