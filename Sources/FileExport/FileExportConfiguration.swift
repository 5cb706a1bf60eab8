/// Where a file exporter writes, and how (`exporters: file:` of the configuration).
package struct FileExportConfiguration: Sendable, Equatable {
    /// How requests are written.
    package enum Format: Sendable {
        /// One line of OTLP's JSON each.
        case json
        /// Protocol buffers, each behind its length in four bytes, the highest first.
        case protobuf
    }

    /// The file's absolute path.
    package var path = ""
    /// See `Format`.
    package var format = Format.json
    /// A file that would grow beyond it is set aside and begun anew; nil: never.
    package var bytesMax: UInt64? = 100 << 20
    /// Files that were set aside and are kept; nil: any number.
    package var backupsMax: Int? = 3
    /// How long those are kept; nil: for ever.
    package var backupAge: Duration?
    /// Whether their names have the local time.
    package var isLocalTime = false
    /// How long records wait for others.
    package var flushInterval = Duration.milliseconds(200)

    /// The defaults, without a path.
    package init() {}
}
