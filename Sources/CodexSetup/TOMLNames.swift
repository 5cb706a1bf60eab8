/// Which names a TOML document has given, and to what: each is given once.
struct TOMLNames {
    private enum Use {
        case value
        /// By its own header.
        case table
        /// By the header of a table in it.
        case above
        /// By a key with dots.
        case dotted
        case arrayOfTables
    }

    private var uses: [[String]: Use] = [:]
    private var elements: [[String]: Int] = [:]
    /// The table that keys belong to.
    private var table: [String] = []

    /// Takes `[key]`, or `[[key]]`; what is wrong with it.
    mutating func takeHeader(_ key: [String], isArray: Bool) -> String? {
        var path: [String] = []
        for part in key.dropLast() {
            path.append(part)
            switch uses[path] {
            case nil: uses[path] = .above
            case .value: return "a table has the name of a value, \(part)"
            case .arrayOfTables: path.append(element(of: path))
            case .table, .above, .dotted: break
            }
        }
        path += key.suffix(1)
        let name = key.joined(separator: ".")
        switch uses[path] {
        case nil: break
        case .above where !isArray: break
        case .arrayOfTables where isArray: break
        case .value: return "a table has the name of a value, \(name)"
        default: return "a second table \(name)"
        }
        uses[path] = isArray ? .arrayOfTables : .table
        if isArray {
            elements[path, default: 0] += 1
            path.append(element(of: path))
        }
        table = path
        return nil
    }

    /// Takes `key = …`; what is wrong with it.
    mutating func takePair(_ key: [String]) -> String? {
        var path = table
        for part in key.dropLast() {
            path.append(part)
            switch uses[path] {
            case nil: uses[path] = .dotted
            case .dotted: break
            case .value: return "a key below \(part), which is a value"
            case .table, .above, .arrayOfTables: return "a key below \(part), which is a table"
            }
        }
        path += key.suffix(1)
        guard uses[path] == nil else { return "a second \(key.joined(separator: "."))" }
        uses[path] = .value
        return nil
    }

    /// No key has a line's end in it.
    private func element(of path: [String]) -> String { "\n\(elements[path] ?? 0)" }
}
