"""The comparison as one SVG: a panel a measure, a bar a peer, a line for Muster's target."""

from xml.sax.saxutils import escape

from .measures import MEASURES

WIDTH, BAR, GAP, LABEL, VALUE = 760, 16, 6, 90, 150
COLOURS = {"bare": "#b8bcc4", "haproxy": "#93a0b4", "nginx": "#5b7fa6", "dovecot": "#7d6aa0",
           "muster": "#c8553d"}


def _text(x, y, text, **style):
    attributes = "".join(f' {name.replace("_", "-")}="{value}"' for name, value in style.items())
    return f'<text x="{x:.1f}" y="{y:.1f}"{attributes}>{escape(text)}</text>'


def _target(measure, peers):
    """The target in the panel's unit, when it can be told."""
    if measure.absolute_target is not None:
        return measure.absolute_target
    base = peers.get("nginx")
    return measure.ratio_target * base["median"] if base and measure.ratio_target else None


def _panel(measure, peers, top):
    """One measure's bars → (SVG lines, height). A bar beyond twice the base is cut and says so."""
    target = _target(measure, peers)
    medians = [figure["median"] for figure in peers.values()]
    base = peers.get("nginx", {}).get("median", max(medians))
    scale = (WIDTH - LABEL - VALUE) / max(min(max(medians), 2 * base), target or 0, 1e-9)
    lines = [_text(0, top + 14, f"{measure.title} ({measure.unit})", font_weight="bold")]
    y = first = top + 24
    for peer, figure in peers.items():
        length = min(figure["median"], 2 * base) * scale
        ratio = f"  {figure['ratio']:.2f} × nginx" if figure["ratio"] is not None else ""
        cut = " →" if figure["median"] > 2 * base else ""
        lines += [
            _text(LABEL - 6, y + 12, peer, text_anchor="end"),
            f'<rect x="{LABEL}" y="{y}" width="{max(length, 1):.1f}" height="{BAR}" '
            f'fill="{COLOURS.get(peer, "#888888")}"/>',
            _text(LABEL + length + 5, y + 12, f"{figure['median']:.3g}{cut}{ratio}")]
        y += BAR + GAP
    if target is not None:
        x = LABEL + target * scale
        lines.append(f'<line x1="{x:.1f}" y1="{first - 4}" x2="{x:.1f}" y2="{y}" stroke="#c8553d" '
                     f'stroke-width="2" stroke-dasharray="4 3"><title>target</title></line>')
    return lines, y - top + 14


def svg(results):
    lines, top = [], 30
    for name, entry in results.items():
        panel, height = _panel(MEASURES[name], entry["peers"], top)
        lines += panel
        top += height
    head = (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-10 0 {WIDTH + 20} {top}" '
            f'width="{WIDTH + 20}" height="{top}" font-family="sans-serif" font-size="12">')
    title = _text(0, 18, "Cost of the proxy, medians; dashed: Muster's target", font_size=14)
    return "\n".join([head, '<rect x="-10" width="100%" height="100%" fill="white"/>', title,
                      *lines, "</svg>", ""])
