import Foundation

extension Report {
    /// Throughput against concurrency, for everything that was measured at more than one concurrency, and the ceiling.
    var throughputPlot: Plot {
        Plot(
            title: "Gets per second against concurrency", xLabel: "tasks, or threads of blocking clients",
            yLabel: "gets per second", xScale: .logarithmic(base: 4), yScale: .logarithmic(base: 10),
            lines: lines { $0.ops_per_second } + ceiling)
    }

    /// The multi-gets as they are with as many threads as the store has connections: over TCP, there is no more to be
    /// had with any number of tasks.
    private var ceiling: [Plot.Line] {
        let most = scenarios.map(\.tasks).max() ?? 1
        return scenarios.filter { $0.subject == "libmemcached-mget" }.map { mget in
            Plot.Line(name: mget.subject, points: [1, most].map { (x: Double($0), y: mget.ops_per_second) })
        }
    }

    private var latencyPlots: [Plot] {
        [("p50", \Entry.p50_us), ("p99", \Entry.p99_us)].map { name, latency in
            Plot(
                title: "Latency, \(name)", xLabel: "tasks, or threads of blocking clients", yLabel: "µs",
                xScale: .logarithmic(base: 4), yScale: .logarithmic(base: 10), lines: lines { $0[keyPath: latency] })
        }
    }

    private func lines(_ value: (Entry) -> Double) -> [Plot.Line] {
        var names: [String] = []
        for name in ["cached", "store"] + scenarios.map(\.subject) where !names.contains(name) { names.append(name) }
        return names.compactMap { name in
            let points = scenarios.filter { $0.subject == name }.map { (x: Double($0.tasks), y: value($0)) }
            return Set(points.map(\.x)).count > 1 ? Plot.Line(name: name, points: points) : nil
        }
    }

    private var stampedePlots: [Plot] {
        stampedes.flatMap { stampede in
            let moments = stampede.timeline
            return [
                Plot(
                    title: "Stampede, \(stampede.name): loads that run", xLabel: "ms since the first call",
                    yLabel: "loads",
                    lines: [
                        .init(name: "loads", points: moments.map { (Double($0.at), Double($0.loads)) }, isArea: true)
                    ]),
                Plot(
                    title: "Stampede, \(stampede.name): the longest call of each 10 ms",
                    xLabel: "ms since the first call", yLabel: "µs", yScale: .logarithmic(base: 10),
                    lines: [.init(name: "longest call", points: moments.map { (Double($0.at), max($0.worst, 1)) })]),
            ]
        }
    }

    /// A page that needs nothing but itself.
    var html: String {
        let plots = ([throughputPlot] + latencyPlots + stampedePlots).map { "<figure>\($0.svg)</figure>" }
        return """
            <!doctype html>
            <html lang="en">
            <meta charset="utf-8">
            <meta name="viewport" content="width=device-width">
            <title>cache-bench</title>
            <style>
            body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
            table { border-collapse: collapse; margin: 1rem 0; }
            td, th { padding: 0.15rem 0.7rem; border-bottom: 1px solid #ddd; text-align: right; }
            td:first-child, th:first-child, td:last-child { text-align: left; }
            figure { margin: 1.5rem 0; }
            </style>
            <h1>cache-bench</h1>
            \(Self.htmlBody(ofMarkdown: markdown))
            \(plots.joined(separator: "\n"))
            </html>

            """
    }

    /// The few things that ``markdown`` uses: paragraphs, tables, lists.
    private static func htmlBody(ofMarkdown markdown: String) -> String {
        markdown.components(separatedBy: "\n\n").map { block in
            let lines = block.split(separator: "\n").map {
                $0.replacing("&", with: "&amp;").replacing("<", with: "&lt;")
            }
            if lines.first?.hasPrefix("|") == true {
                let rows = lines.filter { !$0.hasPrefix("| ---") }.enumerated().map { index, line in
                    let tag = index == 0 ? "th" : "td"
                    let cells = line.dropFirst().dropLast().split(separator: "|", omittingEmptySubsequences: false)
                    let row = cells.map { "<\(tag)>\($0.trimmingCharacters(in: .whitespaces))</\(tag)>" }
                    return "<tr>\(row.joined())</tr>"
                }
                return "<table>\(rows.joined(separator: "\n"))</table>"
            }
            if lines.first?.hasPrefix("- ") == true {
                return "<ul>\(lines.map { "<li>\($0.dropFirst(2))</li>" }.joined(separator: "\n"))</ul>"
            }
            return "<p>\(lines.joined(separator: " "))</p>"
        }.joined(separator: "\n")
    }
}
