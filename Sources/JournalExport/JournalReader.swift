#if Journald && os(Linux)
    import CSystemd
    import Glibc
    import SystemIO

    /// libsystemd said no.
    struct JournalError: Error, Sendable, CustomStringConvertible {
        /// The C library's error number.
        let errno: Int32
        /// The function that failed.
        let operation: StaticString

        /// `sd_journal_open: Permission denied (13)`.
        var description: String {
            "\(operation): \(String(cString: strerror(errno))) (\(errno))"
        }
    }

    /// What stands in the journal under our log id.
    enum SeenEntry: Sendable {
        /// A record's entry.
        case entry(EntryID)
        /// A barrier.
        case barrier(UInt64)
        /// Something else.
        case other
    }

    /// Reads our own entries back, in the journal's order. It maps the journal's files: memory is
    /// bounded by closing it and opening another at its cursor.
    ///
    /// It sees what `journalctl -t codex-telemetry` sees, and looks into each entry for the rest. journald
    /// links an entry into the list of each of its fields, one after another, and may be killed between two
    /// of them: measured, such an entry is found by `SYSLOG_IDENTIFIER` and not by `_UID`. A search by other
    /// fields than our readers' would take it for missing, and it would be sent a second time.
    ///
    /// Unsafe code: libsystemd's pointers to data are valid until the next call on the journal, and are
    /// read before it.
    struct JournalReader: ~Copyable {
        private let journal: OpaquePointer
        private let logID: [UInt8]
        /// journald's own word on who sent an entry: anyone may write our fields.
        private let uid = Array(String(geteuid()).utf8)
        /// Entries read since it was opened.
        private(set) var entriesRead = 0
        /// Whether `next` gives the current entry, which a search for another one has found.
        private var holdsCurrent = false

        /// Opens this machine's journal for the entries of one log that this user sent. Blocks for file I/O.
        init(logID: String, namespace: String?) throws(JournalError) {
            self.logID = Array(logID.utf8)
            journal = try Self.open(namespace: namespace)
        }

        private static func open(namespace: String?) throws(JournalError) -> OpaquePointer {
            var opened: OpaquePointer?
            let result =
                if let namespace {
                    sd_journal_open_namespace(&opened, namespace, Int32(SD_JOURNAL_LOCAL_ONLY))
                } else {
                    sd_journal_open(&opened, Int32(SD_JOURNAL_LOCAL_ONLY))
                }
            try check(result, "sd_journal_open")
            guard let opened else {
                throw JournalError(errno: EINVAL, operation: "sd_journal_open")
            }
            do throws(JournalError) {
                // Either: records, and our barriers.
                for match in [
                    "SYSLOG_IDENTIFIER=codex-telemetry", "SYSLOG_IDENTIFIER=codex-telemetryd",
                ] {
                    try check(
                        sd_journal_add_match(opened, match, match.utf8.count),
                        "sd_journal_add_match")
                }
                // Watching begins here; without it files that journald makes later are not seen.
                try check(sd_journal_get_fd(opened), "sd_journal_get_fd")
                try check(
                    sd_journal_set_data_threshold(opened, 256), "sd_journal_set_data_threshold")
            } catch {
                sd_journal_close(opened)
                throw error
            }
            return opened
        }

        deinit { sd_journal_close(journal) }

        /// Takes notice of files that came and went.
        borrowing func refresh() throws(JournalError) {
            try Self.check(sd_journal_process(journal), "sd_journal_process")
        }

        /// So that `next` gives the first entry of all.
        borrowing func seekHead() throws(JournalError) {
            try Self.check(sd_journal_seek_head(journal), "sd_journal_seek_head")
        }

        /// So that `previous` gives the last entry of all.
        borrowing func seekTail() throws(JournalError) {
            try Self.check(sd_journal_seek_tail(journal), "sd_journal_seek_tail")
        }

        /// So that `next` gives what follows the entry with this cursor, whether it is still there or not.
        mutating func seek(after cursor: String) throws(JournalError) {
            try Self.check(sd_journal_seek_cursor(journal, cursor), "sd_journal_seek_cursor")
            guard try step(sd_journal_next(journal), "sd_journal_next") else { return }
            // The entry itself is gone: the first after it must be given, not passed over.
            if try Self.check(sd_journal_test_cursor(journal, cursor), "sd_journal_test_cursor")
                == 0
            {
                holdsCurrent = true
            }
        }

        /// The next entry, nil at the end for now.
        mutating func next() throws(JournalError) -> SeenEntry? {
            if holdsCurrent {
                holdsCurrent = false
                return current()
            }
            guard try step(sd_journal_next(journal), "sd_journal_next") else { return nil }
            return current()
        }

        /// The entry before, nil at the beginning.
        mutating func previous() throws(JournalError) -> SeenEntry? {
            guard try step(sd_journal_previous(journal), "sd_journal_previous") else { return nil }
            return current()
        }

        /// Names the current entry; nil if there is none.
        borrowing func cursor() throws(JournalError) -> String? {
            var text: UnsafeMutablePointer<CChar>?
            let result = sd_journal_get_cursor(journal, &text)
            if result == -EADDRNOTAVAIL { return nil }
            try Self.check(result, "sd_journal_get_cursor")
            guard let text else { return nil }
            defer { free(text) }
            return String(cString: text)
        }

        /// When journald took the oldest entry that it still has, of anyone: microseconds since 1970.
        borrowing func oldestMicroseconds() throws(JournalError) -> UInt64? {
            var from: UInt64 = 0
            var to: UInt64 = 0
            let result = sd_journal_get_cutoff_realtime_usec(journal, &from, &to)
            return try Self.check(result, "sd_journal_get_cutoff_realtime_usec") > 0 ? from : nil
        }

        private mutating func step(_ result: Int32, _ operation: StaticString) throws(JournalError)
            -> Bool
        {
            // A file that vanished or is damaged: libsystemd goes on without it.
            if result == -ENOENT || result == -EBADMSG { return false }
            guard try Self.check(result, operation) > 0 else { return false }
            entriesRead += 1
            return true
        }

        private borrowing func current() -> SeenEntry {
            let seen: SeenEntry
            if let id = data("CODEX_OFFSET", { EntryID(text: $0) }) {
                seen = .entry(id)
            } else if let nonce = data(
                "CODEX_BARRIER", { UInt64(String(decoding: $0, as: UTF8.self)) })
            {
                seen = .barrier(nonce)
            } else {
                return .other
            }
            let isOurs =
                data("CODEX_LOG_ID", { $0.elementsEqual(logID) }) == true
                && data("_UID", { $0.elementsEqual(uid) }) == true
            return isOurs ? seen : .other
        }

        private borrowing func data<Value>(
            _ field: StaticString, _ read: (UnsafeRawBufferPointer.SubSequence) -> Value?
        ) -> Value? {
            var pointer: UnsafeRawPointer?
            var count = 0
            let result = field.withUTF8Buffer { name in
                name.withMemoryRebound(to: CChar.self) {
                    sd_journal_get_data(journal, $0.baseAddress, &pointer, &count)
                }
            }
            guard result == 0, let pointer, count > field.utf8CodeUnitCount else { return nil }
            return read(
                UnsafeRawBufferPointer(start: pointer, count: count)[
                    (field.utf8CodeUnitCount + 1)...])
        }

        @discardableResult
        private static func check(_ result: Int32, _ operation: StaticString) throws(JournalError)
            -> Int32
        {
            if result < 0 { throw JournalError(errno: -result, operation: operation) }
            return result
        }
    }

    /// Whether this process may read what it writes.
    enum JournalAccess: Sendable, Equatable {
        /// It may.
        case readable
        /// It may not, and why, with what would help.
        case unreadable(String)

        /// Looks for the journal file that our entries go to.
        static func check(namespace: String?) -> JournalAccess {
            let machine: String
            do {
                machine = String(
                    decoding: try Files.read("/etc/machine-id", limit: 64), as: UTF8.self)
            } catch {
                return .unreadable("the machine's id cannot be read: \(error)")
            }
            let id = machine.prefix { $0.isHexDigit } + (namespace.map { "." + $0 } ?? "")
            var found = false
            for place in ["/run/log/journal/", "/var/log/journal/"] {
                for file in ["/system.journal", "/user-\(geteuid()).journal"] {
                    let path = place + id + file
                    if access(path, R_OK) == 0 { return .readable }
                    if errno == EACCES { found = true }
                }
            }
            if found {
                return .unreadable(
                    "the journal may not be read: add this user to the group systemd-journal")
            }
            return .unreadable("journald keeps no journal on this machine")
        }
    }
#endif
