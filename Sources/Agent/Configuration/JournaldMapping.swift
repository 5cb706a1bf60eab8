internal import JournalExport

extension AgentConfig.Journald {
    /// The exporter's own configuration: 0 in the file is no cap.
    var exporter: JournalConfiguration {
        var exporter = JournalConfiguration()
        exporter.detail = detail == .all ? .all : .operations
        exporter.metricsInterval = metricsInterval
        exporter.entriesPerSecond = entriesPerSecondMax == 0 ? nil : entriesPerSecondMax
        exporter.bytesPerDay = bytesPerDayMax == 0 ? nil : bytesPerDayMax
        return exporter
    }
}
