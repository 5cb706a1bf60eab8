/// One way to damage a log: a file of it, and what happens to that file.
///
/// As text, fields parted by blanks: `FILE flip POSITION BITS`, `FILE cut LENGTH`, `FILE zero POSITION COUNT`,
/// `FILE missing`.
struct Variant {
    enum Change {
        case flip(position: Int, bits: UInt8)
        case cut(length: Int)
        case zero(position: Int, count: Int)
        case missing
    }

    let text: String
    let file: String
    let change: Change

    init?(_ line: String) {
        let words = line.split(separator: " ")
        guard words.count >= 2 else { return nil }
        let numbers = words.dropFirst(2).compactMap { Int($0) }
        switch (words[1], numbers.count) {
        case ("flip", 2):
            change = .flip(position: numbers[0], bits: UInt8(truncatingIfNeeded: numbers[1]))
        case ("cut", 1): change = .cut(length: numbers[0])
        case ("zero", 2): change = .zero(position: numbers[0], count: numbers[1])
        case ("missing", 0): change = .missing
        default: return nil
        }
        text = line
        file = String(words[0])
    }

    /// The file's bytes after it, nil if there is no file then.
    func applied(to bytes: [UInt8]) -> [UInt8]? {
        var changed = bytes
        switch change {
        case .flip(let position, let bits): changed[position] ^= bits
        case .cut(let length): changed.removeLast(changed.count - length)
        case .zero(let position, let count):
            for place in position..<min(position + count, changed.count) { changed[place] = 0 }
        case .missing: return nil
        }
        return changed
    }
}
