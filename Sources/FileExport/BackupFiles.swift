import SystemIO

/// Files that were set aside when they were full: `traces-2026-11-22T01-02-03.456.json` beside `traces.json`, as
/// the Collector's rotation names them.
struct BackupFiles {
    private static let timeCount = 23

    private let directory: String
    private let stem: String
    private let ending: String
    private let configuration: FileExportConfiguration

    init(_ configuration: FileExportConfiguration) {
        self.configuration = configuration
        directory = OutputFile.directory(of: configuration.path)
        let name = configuration.path.split(separator: "/").last.map(String.init) ?? ""
        let dot = name.lastIndex(of: ".") ?? name.endIndex
        stem = String(name[..<dot])
        ending = String(name[dot...])
    }

    /// Gives the file a name with a time.
    func setAside(wallNanoseconds: UInt64) throws(SystemError) {
        var milliseconds = wallNanoseconds / 1_000_000
        while Files.exists(path(milliseconds)) { milliseconds += 1 }
        try Files.rename(configuration.path, to: path(milliseconds))
    }

    /// Removes those that are too many or too old; the first that could not be removed.
    func removeOld(wallNanoseconds: UInt64) -> SystemError? {
        let names: [String]
        do throws(SystemError) {
            names = try Files.list(directory).filter { time(of: $0) != nil && isOurs($0) }
        } catch {
            return error
        }
        var oldest = ""
        if let age = configuration.backupAge {
            let milliseconds = UInt64(max(0, age.components.seconds)) * 1000
            let now = wallNanoseconds / 1_000_000
            oldest = now > milliseconds ? text(now - milliseconds) : ""
        }
        var problem: SystemError?
        // Their names sort by time.
        for (index, name) in names.reversed().enumerated() {
            let isTooMany = configuration.backupsMax.map { index >= $0 } ?? false
            guard isTooMany || (time(of: name) ?? "") < oldest else { continue }
            do throws(SystemError) {
                try Files.remove("\(directory)/\(name)")
            } catch {
                problem = problem ?? error
            }
        }
        return problem
    }

    /// In a directory as /tmp others may have files of such names: they are none of our number.
    private func isOurs(_ name: String) -> Bool {
        do throws(SystemError) {
            let facts = try Files.facts("\(directory)/\(name)", following: false)
            return facts.kind == .regular && facts.uid == ThisProcess.euid
        } catch {
            return false
        }
    }

    /// The one with an inode, nil if there is none.
    func path(withInode inode: UInt64) throws(SystemError) -> String? {
        for name in try Files.list(directory) where name.hasPrefix(stem) {
            let path = "\(directory)/\(name)"
            let facts = try Files.facts(path, following: false)
            if facts.inode == inode, facts.kind == .regular { return path }
        }
        return nil
    }

    private func path(_ milliseconds: UInt64) -> String {
        "\(directory)/\(stem)-\(text(milliseconds))\(ending)"
    }

    private func time(of name: String) -> String? {
        guard name.hasPrefix(stem + "-"), name.hasSuffix(ending) else { return nil }
        let time = name.dropFirst(stem.count + 1).dropLast(ending.count)
        let isTime = zip(time, "0000-00-00T00-00-00.000").allSatisfy { found, form in
            form == "0" ? found.isASCII && found.isNumber : found == form
        }
        return isTime && time.count == Self.timeCount ? String(time) : nil
    }

    private func text(_ milliseconds: UInt64) -> String {
        var seconds = Int64(milliseconds / 1000)
        if configuration.isLocalTime { seconds += LocalZone.secondsEast(at: seconds) }
        let day = (seconds % 86_400 + 86_400) % 86_400
        let (year, month, date) = Self.civil(days: (seconds - day) / 86_400)
        let clock = [day / 3600, day / 60 % 60, day % 60].map { Self.digits($0, 2) }
        return "\(Self.digits(year, 4))-\(Self.digits(month, 2))-\(Self.digits(date, 2))T"
            + clock.joined(separator: "-") + "." + Self.digits(Int64(milliseconds % 1000), 3)
    }

    private static func digits(_ value: Int64, _ count: Int) -> String {
        let text = String(value)
        return String(repeating: "0", count: max(0, count - text.count)) + text
    }

    /// The Gregorian calendar's date so many days after 1970 began, by years that begin in March.
    private static func civil(days: Int64) -> (year: Int64, month: Int64, day: Int64) {
        let shifted = days + 719_468
        let era = shifted / 146_097
        let dayOfEra = shifted % 146_097
        let yearOfEra =
            (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let fromMarch = (5 * dayOfYear + 2) / 153
        let month = fromMarch < 10 ? fromMarch + 3 : fromMarch - 9
        return (
            yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month,
            dayOfYear - (153 * fromMarch + 2) / 5 + 1
        )
    }
}
