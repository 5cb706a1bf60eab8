import CSystemIO

#if canImport(Darwin)
    import Darwin
#elseif canImport(Musl)
    import Musl
#else
    import Glibc
#endif

/// The tail of this process's arguments as the kernel gave them: `CommandLine.arguments` repairs what is
/// not UTF-8, and a command must get its arguments byte for byte.
package struct ProcessArguments: Sendable {
    /// Index of the first one in this process's own arguments.
    package let start: Int

    /// This process's arguments from `start` on.
    package init(from start: Int) { self.start = min(max(start, 0), Int(CommandLine.argc)) }

    /// How many there are.
    package var count: Int { Int(CommandLine.argc) - start }

    /// The argument at `index`, repaired if it is not UTF-8: for people and records.
    package func text(_ index: Int) -> String? {
        guard index >= 0, index < count, let bytes = pointer[index] else { return nil }
        // Sound: the kernel's argument strings end in NUL and live as long as the process.
        return String(cString: bytes)
    }

    /// Whether one of them is not UTF-8, and `text` therefore tells something else.
    package var isRepaired: Bool {
        (0..<count).contains { index in
            guard let bytes = pointer[index] else { return false }
            // Sound: as in `text`.
            return String(validatingCString: bytes) == nil
        }
    }

    /// Replaces this process by the command that they name, found through `PATH`. Returns only if
    /// that fails.
    package func replaceSelf() -> SystemError {
        let name = text(0) ?? ""
        return SystemError(errno: -cxt_replace_self(name, pointer), operation: .spawn, path: name)
    }

    /// Sound: the array that the kernel made, ended by nil; nothing in this program changes it.
    var pointer: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?> {
        CommandLine.unsafeArgv + start
    }
}

/// A NULL-terminated array of C strings of which some are ours, freed with it, and some borrowed from the
/// process's arguments or environment, which nothing changes while it lives.
final class BorrowingCStrings {
    let pointers: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>
    private let owned: Set<Int>

    /// Our environment with some variables set (empty: removed). What is not changed is passed on byte
    /// for byte.
    init(environmentWith changes: [(name: String, value: String)]) {
        var entries: [UnsafeMutablePointer<CChar>?] = []
        var next = cxt_environment()
        while let at = next, let entry = at.pointee {
            let isChanged = changes.contains { change in
                let length = change.name.utf8.count
                return strncmp(entry, change.name, length) == 0
                    && entry[length] == CChar(UInt8(ascii: "="))
            }
            if !isChanged { entries.append(entry) }
            next = at + 1
        }
        let borrowed = entries.count
        for change in changes where !change.value.isEmpty {
            entries.append(strdup(change.name + "=" + change.value))
        }
        pointers = Self.vector(entries)
        owned = Set(borrowed..<entries.count)
    }

    /// Some strings, then arguments of this process, `words` before each of those at `places`.
    init(
        _ first: [String] = [], then rest: ProcessArguments, inserting words: [String],
        at places: [Int]
    ) {
        var entries = first.map { strdup($0) }
        var own = Set(entries.indices)
        for index in 0...rest.count {
            if places.contains(index) {
                own.formUnion(entries.count..<entries.count + words.count)
                for word in words { entries.append(strdup(word)) }
            }
            if index < rest.count { entries.append(rest.pointer[index]) }
        }
        pointers = Self.vector(entries)
        owned = own
    }

    /// Some strings, then arguments of this process.
    convenience init(_ first: [String], then rest: ProcessArguments) {
        self.init(first, then: rest, inserting: [], at: [])
    }

    deinit {
        for index in owned { free(pointers[index]) }
        pointers.deallocate()
    }

    private static func vector(_ entries: [UnsafeMutablePointer<CChar>?])
        -> UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>
    {
        let vector = UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>.allocate(
            capacity: entries.count + 1)
        for (index, entry) in entries.enumerated() { (vector + index).initialize(to: entry) }
        (vector + entries.count).initialize(to: nil)
        return vector
    }
}
