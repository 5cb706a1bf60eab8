internal import CLibYAML

/// A YAML document as libyaml reads it, with the place of every node: anchors are resolved, scalars stay
/// text, tags are left aside.
indirect enum YAMLNode {
    case scalar(String, YAMLPlace, isPlain: Bool)
    case sequence([YAMLNode], YAMLPlace)
    case mapping([(key: YAMLNode, value: YAMLNode)], YAMLPlace)

    /// Where it begins.
    var place: YAMLPlace {
        switch self {
        case .scalar(_, let place, _), .sequence(_, let place), .mapping(_, let place): place
        }
    }

    /// A scalar's text.
    var text: String? {
        if case .scalar(let text, _, _) = self { return text }
        return nil
    }

    /// Whether it is a scalar without quotation marks, whose type is what it looks like.
    var isPlain: Bool { if case .scalar(_, _, let isPlain) = self { isPlain } else { false } }

    /// Whether it says nothing: `key:` with nothing behind it, `null`, `~`.
    var isEmpty: Bool { text.map { ["", "null", "~"].contains($0) } ?? false }
}

/// Line and column, from 1.
struct YAMLPlace: Equatable {
    let line: Int
    let column: Int

    init(_ mark: yaml_mark_t) {
        line = mark.line + 1
        column = mark.column + 1
    }
}

/// Why a text is no YAML document that we take.
struct YAMLProblem: Error {
    let message: String
    /// Whether libyaml says so: then the cause may stand before the place.
    var isSyntax = false
    let place: YAMLPlace?
}

extension YAMLNode {
    /// Nesting beyond it is refused; an alias inside its own anchor never ends otherwise.
    private static let depthMax = 32
    /// Nodes beyond it are refused: aliases of aliases multiply.
    private static let nodesMax = 10_000

    /// Reads the first document of `yaml`; nil if there is none.
    static func read(_ yaml: String) throws(YAMLProblem) -> YAMLNode? {
        let bytes = Array(yaml.utf8)
        var result: Result<YAMLNode?, YAMLProblem> = .success(nil)
        // Sound: libyaml reads only inside the buffer, whose lifetime encloses parser and document.
        bytes.withUnsafeBufferPointer { buffer in
            var parser = yaml_parser_t()
            guard yaml_parser_initialize(&parser) == 1 else {
                result = .failure(YAMLProblem(message: "out of memory", place: nil))
                return
            }
            defer { yaml_parser_delete(&parser) }
            if let excess = Self.excess(buffer) {
                result = .failure(excess)
                return
            }
            yaml_parser_set_input_string(&parser, buffer.baseAddress, buffer.count)
            var document = yaml_document_t()
            guard yaml_parser_load(&parser, &document) == 1 else {
                let message = parser.problem.map { String(cString: $0) } ?? "it cannot be read"
                result = .failure(
                    YAMLProblem(
                        message: message, isSyntax: true,
                        place: YAMLPlace(parser.problem_mark)))
                return
            }
            defer { yaml_document_delete(&document) }
            guard yaml_document_get_root_node(&document) != nil else { return }
            if let second = secondDocument(&parser) {
                result = .failure(
                    YAMLProblem(
                        message: "a second document begins; a file has one: take the other out",
                        place: second))
                return
            }
            var budget = nodesMax
            do throws(YAMLProblem) {
                result = .success(try node(1, of: &document, depth: 0, budget: &budget))
            } catch {
                result = .failure(error)
            }
        }
        return try result.get()
    }

    private static func tooMuch(_ place: YAMLPlace) -> YAMLProblem {
        YAMLProblem(
            message:
                "more than \(depthMax) levels or \(nodesMax) values, aliases counted each time; take the nesting "
                + "or the aliases out",
            place: place)
    }

    /// Where a text has more than is taken, found before the document is made of it: for that libyaml looks at every
    /// open bracket again with each further one, and at every anchor with each alias. Event by event it looks no
    /// further ahead than a line.
    private static func excess(_ buffer: UnsafeBufferPointer<UInt8>) -> YAMLProblem? {
        var parser = yaml_parser_t()
        guard yaml_parser_initialize(&parser) == 1 else {
            return YAMLProblem(message: "out of memory", place: nil)
        }
        defer { yaml_parser_delete(&parser) }
        // Sound: libyaml reads only inside the buffer, whose lifetime encloses the parser.
        yaml_parser_set_input_string(&parser, buffer.baseAddress, buffer.count)
        var (depth, nodes) = (0, 0)
        while true {
            var event = yaml_event_t()
            // What is no YAML is told when the document is made.
            guard yaml_parser_parse(&parser, &event) == 1 else { return nil }
            defer { yaml_event_delete(&event) }
            switch event.type {
            case YAML_STREAM_END_EVENT: return nil
            case YAML_SEQUENCE_END_EVENT, YAML_MAPPING_END_EVENT: depth -= 1
            case YAML_SEQUENCE_START_EVENT, YAML_MAPPING_START_EVENT:
                depth += 1
                nodes += 1
            case YAML_SCALAR_EVENT, YAML_ALIAS_EVENT: nodes += 1
            default: break
            }
            // The outermost collection is at depth 0, what is in it one deeper.
            guard depth <= depthMax + 1, nodes <= nodesMax else {
                return tooMuch(YAMLPlace(event.start_mark))
            }
        }
    }

    /// Where another document begins behind the first, or what no document is; nil at the end.
    private static func secondDocument(_ parser: inout yaml_parser_t) -> YAMLPlace? {
        var document = yaml_document_t()
        guard yaml_parser_load(&parser, &document) == 1 else {
            return YAMLPlace(parser.problem_mark)
        }
        defer { yaml_document_delete(&document) }
        return yaml_document_get_root_node(&document).map { YAMLPlace($0.pointee.start_mark) }
    }

    /// With what `<<` brings in: a key's own value stands before it.
    private static func merged(
        _ entries: [(key: YAMLNode, value: YAMLNode)]
    ) -> [(key: YAMLNode, value: YAMLNode)] {
        var found = entries.filter { $0.key.text != "<<" }
        var names = Set(found.compactMap(\.key.text))
        for (key, value) in entries where key.text == "<<" {
            let maps: [YAMLNode] = if case .sequence(let maps, _) = value { maps } else { [value] }
            for case .mapping(let brought, _) in maps {
                for entry in brought where names.insert(entry.key.text ?? "").inserted {
                    found.append(entry)
                }
            }
        }
        return found
    }

    private static func node(
        _ index: Int32, of document: inout yaml_document_t, depth: Int, budget: inout Int
    ) throws(YAMLProblem) -> YAMLNode {
        guard let found = yaml_document_get_node(&document, index)?.pointee else {
            throw YAMLProblem(message: "a node is missing", place: nil)
        }
        let place = YAMLPlace(found.start_mark)
        budget -= 1
        guard depth <= depthMax, budget >= 0 else { throw tooMuch(place) }
        switch found.type {
        case YAML_SCALAR_NODE:
            let scalar = found.data.scalar
            let text = UnsafeBufferPointer(start: scalar.value, count: scalar.length)
            return .scalar(
                String(decoding: text, as: UTF8.self), place,
                isPlain: scalar.style == YAML_PLAIN_SCALAR_STYLE)
        case YAML_SEQUENCE_NODE:
            let items = found.data.sequence.items
            var nodes: [YAMLNode] = []
            var next = items.start
            while let item = next, item != items.top {
                nodes.append(
                    try node(item.pointee, of: &document, depth: depth + 1, budget: &budget))
                next = item + 1
            }
            return .sequence(nodes, place)
        case YAML_MAPPING_NODE:
            let pairs = found.data.mapping.pairs
            var entries: [(key: YAMLNode, value: YAMLNode)] = []
            var next = pairs.start
            while let pair = next, pair != pairs.top {
                let key = try node(
                    pair.pointee.key, of: &document, depth: depth + 1, budget: &budget)
                let value = try node(
                    pair.pointee.value, of: &document, depth: depth + 1, budget: &budget)
                entries.append((key, value))
                next = pair + 1
            }
            return .mapping(merged(entries), place)
        default: throw YAMLProblem(message: "a node of no known kind", place: place)
        }
    }
}
