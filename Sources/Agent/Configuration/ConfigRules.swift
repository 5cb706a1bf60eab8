internal import Export

/// What no single value shows.
extension ConfigWalk {
    /// Looks at the whole, once everything is read.
    mutating func checkWhole() {
        resolveProcessors()
        for name in config.pipelines.keys.sorted() { checkPipeline(name) }
        checkForms()
        checkUse()
        takeBatching()
        settleEnvironment()
        takeEnvironmentResource()
        checkProxies()
        // An endpoint that could not be read is not missing, too.
        guard problems.isEmpty else { return }
        if config.otlp.enabled { checkReceivers() }
        for (name, exporter) in config.exporters.sorted(by: { $0.key < $1.key }) {
            let settings = exporter.settings
            guard settings.basics.enabled else { continue }
            let path = "exporters.\(name)"
            for (key, message) in settings.mistakes(in: config) {
                let full = key.isEmpty ? path : "\(path).\(key)"
                report(places[full] ?? places[path], "\(full) \(message)")
            }
        }
    }

    private mutating func checkReceivers() {
        let otlp = config.otlp
        let path = "receivers.otlp.protocols"
        let protocols = [("http", otlp.http, otlp.httpTLS), ("grpc", otlp.grpc, otlp.grpcTLS)]
        for (name, endpoint, tls) in protocols {
            guard let (key, message) = tls.mistake(at: endpoint) else { continue }
            let full = "\(path).\(name).\(key)"
            report(places[full] ?? places["\(path).\(name)"], "\(full) \(message)")
        }
        if otlp.http.port == otlp.grpc.port, otlp.httpTLS.isOn || otlp.grpcTLS.isOn {
            report(
                places["\(path).grpc.endpoint"] ?? places["\(path).http.endpoint"],
                "\(path).grpc.endpoint has the port of http; with TLS each needs one of its own")
        }
    }

    // MARK: Pipelines

    private mutating func checkPipeline(_ name: String) {
        guard let pipeline = config.pipelines[name] else { return }
        let path = "service.pipelines.\(name)"
        if pipeline.exporters.isEmpty {
            report(places[path], "\(path) needs exporters, as exporters: [\(anExporter)]")
        }
        checkSampling(name, pipeline)
        checkChoices(name, pipeline)
        check(
            "\(path).receivers", pipeline.receivers, known: ["codex", "otlp"],
            remedy: "there are these receivers")
        check(
            "\(path).processors", pipeline.processors, known: Set(config.processors.keys),
            remedy: "define it under processors, or take it out; defined are")
        check(
            "\(path).exporters", pipeline.exporters,
            known: Set(config.exporters.keys).union(["journald"]),
            remedy: "define it under exporters, or take it out; defined are")
    }

    /// Points have no trace.
    private mutating func checkSampling(_ name: String, _ pipeline: Pipeline) {
        guard Pipeline.signal(of: name) == .metrics else { return }
        let path = "service.pipelines.\(name).processors"
        for (index, processor) in pipeline.processors.enumerated() {
            guard case .sampler = config.processors[processor] else { continue }
            let place = items[path].flatMap { index < $0.count ? $0[index] : nil }
            report(
                place ?? places[path],
                "\(path) names \(processor), and metrics cannot be sampled; take it out")
        }
    }

    private mutating func resolveProcessors() {
        for (name, processor) in config.processors.sorted(by: { $0.key < $1.key }) {
            let path = "processors.\(name)"
            do throws(ProcessorMistake) {
                config.steps[name] = try processor.steps()
            } catch {
                let full = error.key.isEmpty ? path : "\(path).\(error.key)"
                // A value that could not be read is not missing, too.
                if !problems.contains(where: { $0.message.hasPrefix(full) }) {
                    report(places[full] ?? places[path], "\(full) \(error.message)")
                }
            }
        }
    }

    /// What a pipeline's processors ask of records must be something that these have.
    private mutating func checkChoices(_ name: String, _ pipeline: Pipeline) {
        guard let signal = Pipeline.signal(of: name) else { return }
        for processor in pipeline.processors {
            guard case .attributes(let it) = config.processors[processor] else { continue }
            for (key, match) in [("include", it.choice.include), ("exclude", it.choice.exclude)] {
                guard let property = match?.misfit(signal) else { continue }
                let path = "processors.\(processor).\(key).\(property)"
                report(
                    places[path],
                    "\(path) is nothing that \(signal.rawValue) have, and service.pipelines.\(name) "
                        + "names \(processor); give that pipeline a processor of its own")
            }
        }
    }

    /// An exporter gets a record once: then it must be clear in which form.
    private mutating func checkForms() {
        for exporter in Set(config.pipelines.values.flatMap(\.exporters)).sorted() {
            let named = config.pipelines.filter { $0.value.exporters.contains(exporter) }
            for signal in RecordRules.Signal.allCases {
                let mine = named.filter { Pipeline.signal(of: $0.key) == signal }
                    .sorted { $0.key < $1.key }
                guard let first = mine.first else { continue }
                let steps = config.steps(of: first.value, signal)
                for other in mine.dropFirst() where config.steps(of: other.value, signal) != steps {
                    let path = "service.pipelines.\(other.key)"
                    report(
                        places["\(path).exporters"] ?? places[path],
                        "\(path) leads to \(exporter), as \(first.key) does, with other processors; an exporter "
                            + "gets a record once: give this pipeline an exporter of its own, as "
                            + "\(exporter.prefix { $0 != "/" })/NAME")
                }
            }
        }
    }

    private var anExporter: String { config.exporters.keys.sorted().first ?? "journald" }

    private mutating func check(
        _ path: String, _ names: [String], known: Set<String>, remedy: String
    ) {
        var seen: Set<String> = []
        for (index, name) in names.enumerated() {
            let place = items[path].flatMap { index < $0.count ? $0[index] : nil } ?? places[path]
            if !known.contains(name) {
                let list = known.isEmpty ? "none" : known.sorted().joined(separator: ", ")
                report(place, "\(path) names \(name), which is not defined; \(remedy): \(list)")
            } else if !seen.insert(name).inserted {
                report(place, "\(path) names \(name) twice; keep one of them")
            }
        }
    }

    /// What is defined and named nowhere does nothing, as in a Collector.
    private mutating func checkUse() {
        let pipelines = config.pipelines.values
        let processors = Set(pipelines.flatMap(\.processors))
        for name in config.processors.keys.sorted() where !processors.contains(name) {
            warn(
                places["processors.\(name)"],
                "processors.\(name) is in no pipeline and does nothing")
        }
        for name in config.exporters.keys.sorted() where !config.isUsed(name) {
            warn(
                places["exporters.\(name)"],
                "exporters.\(name) is in no pipeline and gets nothing; name it in one, "
                    + "or leave service.pipelines out: then every exporter gets every signal")
        }
    }

    // MARK: Processors

    /// `batch` sets the exporters of its pipelines, where they say nothing themselves.
    private mutating func takeBatching() {
        for name in config.processors.keys.sorted() {
            guard case .batch(let batching)? = config.processors[name] else { continue }
            let pipelines = config.pipelines.values.filter { $0.processors.contains(name) }
            if pipelines.isEmpty { continue }
            warn(
                places["processors.\(name)"],
                "processors.\(name): each exporter batches by itself, from the log; "
                    + "timeout and size are taken for those of OTLP in its pipelines")
            for exporter in Set(pipelines.flatMap(\.exporters)).sorted() {
                take(batching, from: name, by: exporter)
            }
        }
    }
}

extension ConfigWalk {
    private mutating func take(_ batching: BatchProcessor, from name: String, by exporter: String) {
        guard var changed = config.exporters[exporter] else { return }
        let path = "exporters.\(exporter)"
        let before = Dictionary(changed.settings.entries) { first, _ in first }
        changed.take(batching) { origins["\(path).\($0)"] != nil }
        for (key, value) in changed.settings.entries where before[key] != value {
            origins["\(path).\(key)"] = "processors.\(name)"
        }
        config.exporters[exporter] = changed
    }
}

extension ExporterConfig {
    /// The batching of a pipeline.
    mutating func take(_ batching: BatchProcessor, isSet: (String) -> Bool) {
        switch self {
        case .otlpHTTP(var settings):
            settings.take(batching, isSet: isSet)
            self = .otlpHTTP(settings)
        case .otlpGRPC(var settings):
            settings.take(batching, isSet: isSet)
            self = .otlpGRPC(settings)
        case .file, .debug: break
        }
    }
}

extension AgentConfig {
    /// Whether an exporter of the user's naming gets anything: all do where there are no pipelines.
    func isUsed(_ exporter: String) -> Bool {
        pipelines.isEmpty || environmentExporters[exporter] != nil
            || pipelines.values.contains { $0.exporters.contains(exporter) }
    }

    /// What an exporter gets: what any of its pipelines lets through, and each record once.
    func rules(of exporter: String) -> RecordRules {
        var rules = selection(of: exporter)
        guard environmentExporters[exporter] != nil, let step = environmentResource else {
            return rules
        }
        for signal in rules.signals { rules.steps[signal] = [step] + (rules.steps[signal] ?? []) }
        return rules
    }

    private func selection(of exporter: String) -> RecordRules {
        let named = pipelines.filter { $0.value.exporters.contains(exporter) }
        var rules = RecordRules.everything
        rules.temporality = exporters[exporter]?.settings.temporality ?? .any
        if named.isEmpty {
            if case .some(.some(let signals)) = environmentExporters[exporter] {
                rules.signals = signals
            }
            return rules
        }
        let signals = Dictionary(grouping: named) { Pipeline.signal(of: $0.key) }
        // journald is built in and gets every signal: a pipeline that names it may only sample.
        if exporter != "journald" { rules.signals = Set(signals.keys.compactMap(\.self)) }
        for case (let signal?, let pipelines) in signals {
            rules.thresholds[signal] = pipelines.map { threshold(of: $0.value) }.min()
            // Those of all pipelines are the same.
            let steps = pipelines.first.map { self.steps(of: $0.value, signal) } ?? []
            if !steps.isEmpty { rules.steps[signal] = steps }
        }
        return rules
    }

    /// What a pipeline's processors do with its records.
    func steps(of pipeline: Pipeline, _ signal: RecordRules.Signal) -> [RecordStep] {
        pipeline.processors.compactMap { steps[$0]?[signal] }
    }

    /// What all samplers of a pipeline leave.
    private func threshold(of pipeline: Pipeline) -> UInt64 {
        pipeline.processors.map { name in
            if case .sampler(let sampler) = processors[name] { sampler.threshold } else { 0 }
        }.max() ?? 0
    }

    /// Why an exporter must not send to an address: it is this agent's own receiver; nil if it is not.
    func ownReceiver(_ address: HTTPAddress) -> String? {
        guard otlp.enabled, address.isThisHost, otlp.ports.contains(address.port) else {
            return nil
        }
        return "would send to this agent's own receiver, \(address.shown), without end; "
            + "name the backend's endpoint, or move the receiver"
    }
}

extension AgentConfig.OTLP {
    /// Where requests are taken.
    var ports: [Int] { [http.port, grpc.port] }
}
