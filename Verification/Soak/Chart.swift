import Foundation

/// Lines over one time axis, one above the other, as SVG.
struct Chart {
    struct Panel {
        var name: String
        var points: [(time: Double, value: Double)]
    }

    var title: String
    var panels: [Panel]

    private static let (width, panelHeight, gap) = (820.0, 110.0, 34.0)
    private static let (left, right, top) = (60.0, 20.0, 40.0)

    var svg: String {
        let height = Self.top + Double(panels.count) * (Self.panelHeight + Self.gap) + 24
        let end = max(1, panels.flatMap(\.points).map(\.time).max() ?? 1)
        var parts = [
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 \(Int(Self.width)) \(Int(height))\" "
                + "font-family=\"system-ui, sans-serif\" font-size=\"12\">",
            "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>",
            "<text x=\"\(Self.left)\" y=\"22\" font-size=\"15\" font-weight=\"600\">\(title)</text>",
        ]
        for (index, panel) in panels.enumerated() {
            let top = Self.top + Double(index) * (Self.panelHeight + Self.gap) + 20
            parts += draw(panel, from: top, until: end)
        }
        let bottom = Self.top + Double(panels.count) * (Self.panelHeight + Self.gap) + 4
        for minute in ticks(until: end / 60) {
            parts.append(
                "<text x=\"\(place(minute * 60, of: end))\" y=\"\(bottom)\" text-anchor=\"middle\" fill=\"#475569\">"
                    + "\(number(minute)) min</text>")
        }
        return parts.joined(separator: "\n") + "\n</svg>\n"
    }

    private func draw(_ panel: Panel, from top: Double, until end: Double) -> [String] {
        let most = max(1, panel.points.map(\.value).max() ?? 1) * 1.1
        func height(_ value: Double) -> Double { top + Self.panelHeight * (1 - value / most) }
        let path = panel.points.map { point in
            String(format: "%.1f,%.1f", place(point.time, of: end), height(point.value))
        }
        let marks = ticks(until: most).flatMap { value in
            [
                "<line x1=\"\(Self.left)\" x2=\"\(Self.width - Self.right)\" y1=\"\(height(value))\" "
                    + "y2=\"\(height(value))\" stroke=\"#e2e8f0\"/>",
                "<text x=\"\(Self.left - 8)\" y=\"\(height(value) + 4)\" text-anchor=\"end\" fill=\"#475569\">"
                    + "\(number(value))</text>",
            ]
        }
        return [
            "<text x=\"\(Self.left)\" y=\"\(top - 6)\" font-weight=\"600\">\(panel.name)</text>"
        ] + marks + [
            "<polyline fill=\"none\" stroke=\"#2563eb\" points=\"\(path.joined(separator: " "))\"/>"
        ]
    }

    private func place(_ time: Double, of end: Double) -> Double {
        Self.left + (Self.width - Self.left - Self.right) * time / end
    }

    /// Up to five round numbers from zero.
    private func ticks(until most: Double) -> [Double] {
        let rough = most / 4
        let power = pow(10, floor(log10(rough)))
        let step = [1, 2, 5, 10].map { $0 * power }.first { $0 >= rough } ?? rough
        return Array(stride(from: 0, through: most, by: step))
    }

    private func number(_ value: Double) -> String {
        value == value.rounded() ? "\(Int(value))" : String(format: "%.1f", value)
    }
}
