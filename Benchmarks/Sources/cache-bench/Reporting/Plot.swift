import Foundation

/// A plot of lines over two axes, as SVG.
struct Plot {
    struct Line {
        var name: String
        var points: [(x: Double, y: Double)]
        /// Steps instead of a slanting line, filled below.
        var isArea = false
    }

    enum Scale: Equatable {
        case linear
        /// Equal distances for equal factors; ticks at powers of the base.
        case logarithmic(base: Double)
    }

    var title: String
    var xLabel: String
    var yLabel: String
    var xScale = Scale.linear
    var yScale = Scale.linear
    var lines: [Line]

    private static let colours = [
        "#2563eb", "#dc2626", "#16a34a", "#9333ea", "#ea580c", "#0891b2", "#be185d", "#4d7c0f", "#64748b", "#a16207",
        "#f472b6", "#111827", "#facc15", "#7dd3fc",
    ]
    private static let (width, height) = (820.0, 400.0)
    private static let (left, right, top, bottom) = (80.0, 230.0, 40.0, 55.0)

    var svg: String {
        let points = lines.flatMap(\.points)
        guard let x = Axis(points.map(\.x), xScale), let y = Axis(points.map(\.y), yScale, fromZero: true) else {
            return ""
        }
        let px = { Self.left + x.position(of: $0) * (Self.width - Self.left - Self.right) }
        let py = { Self.height - Self.bottom - y.position(of: $0) * (Self.height - Self.top - Self.bottom) }
        var parts = [
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 \(Int(Self.width)) \(Int(Self.height))\" "
                + "font-family=\"system-ui, sans-serif\" font-size=\"12\">",
            "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>",
            text(Self.left, 22, title, "font-size=\"15\" font-weight=\"600\""),
            text((Self.left + Self.width - Self.right) / 2, Self.height - 12, xLabel, "text-anchor=\"middle\""),
            "<text transform=\"translate(18 \((Self.top + Self.height - Self.bottom) / 2)) rotate(-90)\" "
                + "text-anchor=\"middle\">\(escape(yLabel))</text>",
        ]
        for tick in y.ticks {
            parts.append(rule(Self.left, py(tick), Self.width - Self.right, py(tick)))
            parts.append(text(Self.left - 8, py(tick) + 4, label(tick), "text-anchor=\"end\" fill=\"#475569\""))
        }
        for tick in x.ticks {
            parts.append(rule(px(tick), Self.top, px(tick), Self.height - Self.bottom))
            parts.append(
                text(px(tick), Self.height - Self.bottom + 18, label(tick), "text-anchor=\"middle\" fill=\"#475569\""))
        }
        for (index, line) in lines.enumerated() {
            let colour = Self.colours[index % Self.colours.count]
            let positions = line.points.map { (x: px($0.x), y: py($0.y)) }
            parts.append(path(positions, line.isArea, colour, base: py(y.ticks.first ?? 0)))
            if positions.count < 20 {
                for point in positions {
                    parts.append(
                        "<circle cx=\"\(short(point.x))\" cy=\"\(short(point.y))\" r=\"3\" fill=\"\(colour)\"/>")
                }
            }
            let legend = Self.top + 10 + Double(index) * 20
            parts.append(
                "<rect x=\"\(Self.width - Self.right + 16)\" y=\"\(legend - 9)\" width=\"12\" height=\"12\" "
                    + "fill=\"\(colour)\"/>")
            parts.append(text(Self.width - Self.right + 34, legend + 2, line.name))
        }
        return (parts + ["</svg>"]).joined(separator: "\n")
    }

    private func path(_ points: [(x: Double, y: Double)], _ isArea: Bool, _ colour: String, base: Double) -> String {
        guard let first = points.first, let last = points.last else { return "" }
        var commands = ["M\(short(first.x)) \(short(first.y))"]
        for point in points.dropFirst() {
            let (x, y) = (short(point.x), short(point.y))
            commands.append(isArea ? "H\(x)V\(y)" : "L\(x) \(y)")
        }
        guard isArea else {
            return "<path d=\"\(commands.joined())\" fill=\"none\" stroke=\"\(colour)\" stroke-width=\"2\"/>"
        }
        commands += ["L\(short(last.x)) \(short(base))", "L\(short(first.x)) \(short(base))Z"]
        return "<path d=\"\(commands.joined())\" fill=\"\(colour)\" fill-opacity=\"0.35\" stroke=\"\(colour)\"/>"
    }

    private func rule(_ x1: Double, _ y1: Double, _ x2: Double, _ y2: Double) -> String {
        "<path d=\"M\(short(x1)) \(short(y1))L\(short(x2)) \(short(y2))\" stroke=\"#e2e8f0\"/>"
    }

    private func text(_ x: Double, _ y: Double, _ text: String, _ attributes: String = "") -> String {
        "<text x=\"\(short(x))\" y=\"\(short(y))\" \(attributes)>\(escape(text))</text>"
    }

    private func escape(_ text: String) -> String {
        text.replacing("&", with: "&amp;").replacing("<", with: "&lt;")
    }

    private func short(_ value: Double) -> String { String(format: "%.1f", value) }

    private func label(_ value: Double) -> String {
        switch abs(value) {
        case 1e6...: "\(String(format: "%g", value / 1e6)) M"
        case 1e4...: "\(String(format: "%g", value / 1e3)) k"
        default: String(format: "%g", value)
        }
    }
}

/// The range of one axis, and where its ticks are.
private struct Axis {
    let ticks: [Double]
    private let scale: Plot.Scale

    /// `nil` for no values.
    init?(_ values: [Double], _ scale: Plot.Scale, fromZero: Bool = false) {
        let values = values.filter { scale == .linear || $0 > 0 }
        guard let lowest = values.min(), let highest = values.max() else { return nil }
        self.scale = scale
        switch scale {
        case .linear:
            let low = fromZero ? 0 : lowest
            let span = max(highest - low, 1e-9)
            let magnitude = pow(10, floor(log10(span / 4)))
            let step = [1, 2, 5, 10].map { $0 * magnitude }.first { span / $0 <= 6 } ?? magnitude * 10
            let first = floor(low / step) * step
            ticks = Array(
                stride(from: first, through: first + step * ceil((highest - first) / step) + step / 2, by: step))
        case .logarithmic(let base):
            let first = floor(log(lowest) / log(base) + 1e-9)
            let last = ceil(log(highest) / log(base) - 1e-9)
            ticks = stride(from: first, through: max(last, first + 1), by: 1).map { pow(base, $0) }
        }
    }

    /// 0 for the first tick, 1 for the last one.
    func position(of value: Double) -> Double {
        guard let first = ticks.first, let last = ticks.last else { return 0 }
        return switch scale {
        case .linear: (value - first) / (last - first)
        case .logarithmic: log(max(value, first) / first) / log(last / first)
        }
    }
}
