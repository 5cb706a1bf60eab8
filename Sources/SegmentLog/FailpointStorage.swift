package import SystemIO

/// A state directory with failpoints on both sides of whatever changes a file in it. An agent without
/// plans does not have one.
package struct FailpointStorage: Storage {
    /// The directories of a state directory.
    private enum Part {
        case state, log, quarantine, cursors

        init(_ name: String) {
            switch name {
            case "log": self = .log
            case "quarantine": self = .quarantine
            default: self = .cursors
            }
        }
    }

    private let base: any Storage
    private let points: Failpoints
    private let part: Part

    /// Around a state directory.
    package init(_ state: any Storage, _ points: Failpoints) {
        self.init(state, points, .state)
    }

    private init(_ base: any Storage, _ points: Failpoints, _ part: Part) {
        self.base = base
        self.points = points
        self.part = part
    }

    package var place: String { base.place }

    package func list() throws(SystemError) -> [String] { try base.list() }

    package func space() throws(SystemError) -> StorageSpace { try base.space() }

    package func isNamed() throws(SystemError) -> Bool { try base.isNamed() }

    package func directory(_ name: String, create: Bool) throws(SystemError) -> any Storage {
        let inner = try points.around(create ? .directoryCreate : nil) {
            () throws(SystemError) in try base.directory(name, create: create)
        }
        return FailpointStorage(inner, points, Part(name))
    }

    package func open(_ name: String, _ mode: StorageOpenMode) throws(SystemError)
        -> any StorageFile
    {
        let kind = FileKind(name, isCopy: part == .quarantine)
        let makes = mode == .createNew || mode == .replace
        let file = try points.around(makes ? kind?.create : nil) { () throws(SystemError) in
            try base.open(name, mode)
        }
        guard let kind, mode != .read else { return file }
        return FailpointFile(file, points, kind)
    }

    package func rename(_ old: String, to new: String) throws(SystemError) {
        let kind = FileKind(new, isCopy: part == .quarantine)
        let step = new.hasSuffix(".bad") ? kind?.aside : kind?.rename
        try points.around(step) { () throws(SystemError) in try base.rename(old, to: new) }
    }

    @discardableResult
    package func remove(_ name: String) throws(SystemError) -> Bool {
        let kind = FileKind(name, isCopy: part == .quarantine)
        let step = name.hasSuffix(".tmp") ? .leftoverRemove : kind?.remove
        return try points.around(step) { () throws(SystemError) in try base.remove(name) }
    }

    package func syncNames() throws(SystemError) {
        let step: Failpoint.Step? =
            switch part {
            case .state: nil
            case .log: .logSync
            case .quarantine: .quarantineNamesSync
            case .cursors: .cursorNamesSync
            }
        try points.around(step) { () throws(SystemError) in try base.syncNames() }
    }
}

/// What a file is, by its name; a temporary one is what it will be.
private enum FileKind {
    case lock, meta, position, segment, dedupe, reserve, copy, cursor

    init?(_ name: String, isCopy: Bool) {
        var stem = name
        for suffix in [".tmp", ".bad"] where stem.hasSuffix(suffix) { stem.removeLast(4) }
        if isCopy {
            self = .copy
        } else if SegmentName.number(stem) != nil {
            self = .segment
        } else if stem.hasSuffix(".cursor") {
            self = .cursor
        } else {
            switch stem {
            case "lock": self = .lock
            case LogMeta.name: self = .meta
            case LogPosition.name: self = .position
            case "dedupe": self = .dedupe
            case Reserve.name: self = .reserve
            default: return nil
            }
        }
    }

    var create: Failpoint.Step {
        switch self {
        case .lock: .lockCreate
        case .meta: .metaCreate
        case .position: .positionCreate
        case .segment: .segmentCreate
        case .dedupe: .dedupeCreate
        case .reserve: .reserveCreate
        case .copy: .quarantineCreate
        case .cursor: .cursorCreate
        }
    }

    var sync: Failpoint.Step? {
        switch self {
        case .meta: .metaSync
        case .segment: .segmentSync
        case .dedupe: .dedupeSync
        case .copy: .quarantineSync
        case .cursor: .cursorSync
        case .lock, .position, .reserve: nil
        }
    }

    var rename: Failpoint.Step? {
        switch self {
        case .meta: .metaRename
        case .dedupe: .dedupeRename
        case .cursor: .cursorRename
        case .lock, .position, .segment, .reserve, .copy: nil
        }
    }

    var aside: Failpoint.Step? {
        switch self {
        case .dedupe: .dedupeAside
        case .cursor: .cursorAside
        default: nil
        }
    }

    var remove: Failpoint.Step? {
        switch self {
        case .segment: .segmentRemove
        case .reserve: .reserveRemove
        case .copy: .quarantineRemove
        default: nil
        }
    }

    var truncate: Failpoint.Step? {
        switch self {
        case .lock: .lockTruncate
        case .segment: .segmentTruncate
        default: nil
        }
    }

    var allocate: Failpoint.Step? {
        switch self {
        case .segment: .segmentAllocate
        case .reserve: .reserveAllocate
        default: nil
        }
    }

    func write(_ bytes: RawSpan, at position: UInt64) -> Failpoint.Step? {
        switch self {
        case .lock: .lockWrite
        case .meta: .metaWrite
        case .position: .positionWrite
        case .dedupe: .dedupeWrite
        case .copy: .quarantineWrite
        case .cursor: .cursorWrite
        case .reserve: nil
        case .segment:
            position == 0
                ? .segmentHeaderWrite
                : SegmentFooter.begins(bytes) ? .segmentFooterWrite : .segmentWrite
        }
    }
}

/// A file of such a directory; what it is was decided when it was opened.
private final class FailpointFile: StorageFile {
    private let base: any StorageFile
    private let points: Failpoints
    private let kind: FileKind

    init(_ base: any StorageFile, _ points: Failpoints, _ kind: FileKind) {
        self.base = base
        self.points = points
        self.kind = kind
    }

    func size() throws(SystemError) -> UInt64 { try base.size() }

    func allocated() throws(SystemError) -> UInt64 { try base.allocated() }

    func read(into bytes: inout [UInt8], range: Range<Int>, at position: UInt64)
        throws(SystemError) -> Int
    {
        try base.read(into: &bytes, range: range, at: position)
    }

    func write(_ bytes: RawSpan, at position: UInt64) throws(SystemError) {
        let step = kind.write(bytes, at: position)
        if let step { try points.reach(step, .before) }
        try base.write(bytes, at: position)
        if let step { try points.reach(step, .after) }
    }

    func setSize(_ size: UInt64) throws(SystemError) {
        try points.around(kind.truncate) { () throws(SystemError) in try base.setSize(size) }
    }

    func allocate(_ range: Range<UInt64>) throws(SystemError) {
        try points.around(kind.allocate) { () throws(SystemError) in try base.allocate(range) }
    }

    func sync() throws(SystemError) {
        try points.around(kind.sync) { () throws(SystemError) in try base.sync() }
    }

    func lock() throws(SystemError) -> Bool { try base.lock() }

    func isNamed() throws(SystemError) -> Bool { try base.isNamed() }

    func forget(_ range: Range<UInt64>) { base.forget(range) }
}

extension Failpoints {
    /// Does `body` between the step's places; nil: it has none.
    fileprivate func around<Result>(
        _ step: Failpoint.Step?, _ body: () throws(SystemError) -> Result
    ) throws(SystemError) -> Result {
        guard let step else { return try body() }
        try reach(step, .before)
        let result = try body()
        try reach(step, .after)
        return result
    }
}
