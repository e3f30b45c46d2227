"""Small SVG plots: intervals around a truth, and lines."""

import html
import math

STYLE = ("<style>text{font:12px sans-serif;fill:#333}.axis{stroke:#999;fill:none}.truth{stroke:#c33;fill:none}"
         ".in{stroke:#268;fill:none;stroke-width:1.5}.out{stroke:#d70;fill:none;stroke-width:1.5}"
         "line.in,line.out{stroke-width:1}</style>")


def document(width, height, body):
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">'
            f'{STYLE}<rect width="{width}" height="{height}" fill="#fff"/>' + "\n".join(body) + "</svg>\n")


def text(x, y, words, anchor="start"):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{html.escape(str(words))}</text>'


def ticks(low, high, about=6):
    step = 10 ** math.floor(math.log10((high - low) / about))
    step *= next(m for m in (1, 2, 5, 10) if (high - low) / (step * m) <= about)
    first = math.ceil(low / step - 1e-9)
    return [round(k * step, 12) for k in range(first, int(math.floor(high / step + 1e-9)) + 1)]


def forest(title, rows, reach):
    """rows: (label, [(value, low, high)]) as shares of the truth, 1 is right; the axis is 1 - reach to 1 + reach."""
    left, width, top = 350, 920, 40
    scale = (width - left - 20) / (2 * reach)
    body, y = [text(10, 20, title)], top

    def at(share):
        return left + (min(max(share, 1 - reach), 1 + reach) - 1 + reach) * scale

    for label, readings in rows:
        body.append(text(left - 8, y + 4 * len(readings) / 2 + 8, label, "end"))
        for value, low, high in readings:
            inside = "in" if low is not None and low <= 1 <= high else "out"
            if low is not None:
                body.append(f'<line class="{inside}" x1="{at(low):.1f}" x2="{at(high):.1f}" y1="{y}" y2="{y}"/>')
            body.append(f'<circle class="{inside}" cx="{at(value):.1f}" cy="{y}" r="1.2"/>')
            y += 4
        y += 14
    body.append(f'<line class="truth" x1="{at(1):.1f}" x2="{at(1):.1f}" y1="{top - 8}" y2="{y}"/>')
    for tick in ticks(1 - reach, 1 + reach):
        body.append(text(at(tick), y + 16, f"{tick:g}", "middle"))
    body.append(text(left, y + 34, "reading / truth; orange: the 95% interval leaves out the truth"))
    return document(width, y + 46, body)


def lines(title, x_name, y_name, series, x_range, y_range, marks=()):
    """series: (class or "dots", [(x, y)]); marks: (y, label) of level lines."""
    width, height, left, bottom = 760, 380, 60, 330
    sx, sy = (width - left - 20) / (x_range[1] - x_range[0]), (bottom - 40) / (y_range[1] - y_range[0])

    def point(x, y):
        return left + (x - x_range[0]) * sx, bottom - (min(max(y, y_range[0]), y_range[1]) - y_range[0]) * sy

    body = [text(10, 20, title), text(width - 20, bottom + 38, x_name, "end"), text(left + 6, 36, y_name),
            f'<path class="axis" d="M{left} 40V{bottom}H{width - 20}"/>']
    for tick in ticks(*x_range):
        body.append(text(point(tick, y_range[0])[0], bottom + 18, f"{tick:g}", "middle"))
    for tick in ticks(*y_range):
        body.append(text(left - 6, point(x_range[0], tick)[1] + 4, f"{tick:g}", "end"))
    for level, label in marks:
        y = point(x_range[0], level)[1]
        body += [f'<path class="truth" stroke-dasharray="4 4" d="M{left} {y:.1f}H{width - 20}"/>',
                 text(left + 6, y - 4, label)]
    for kind, points in series:
        places = [point(*p) for p in points]
        if kind == "dots":
            body += [f'<circle class="in" cx="{x:.1f}" cy="{y:.1f}" r="2"/>' for x, y in places]
        else:
            path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
            body.append(f'<polyline class="{kind}" points="{path}"/>')
    return document(width, height, body)
