/// What this build is. One program: the agent and the commands are the same binary.
package enum ProgramVersion {
    /// The program's version (semver.org).
    package static let text = "0.1.0"
    /// The version of the segment log's files (segment-log.md, "Segment").
    package static let logFormat = 0
}
