"""Samples → medians and ratios → JSON, a table and a plot.

Machines drift, so a ratio is taken within each round, between neighbours in time, and the median of
those ratios counts; absolute figures are only shown beside it."""

import json
import os
import platform
import statistics
import time

from . import plot
from .mail_measures import MAIL_MEASURES, MAIL_PROMISES
from .measures import MEASURES
from .network_measures import NETWORK_PROMISES
from .own_measures import PROMISES

BASE = "nginx"
MAIL_BASE = "postfix"


def machine():
    model = "unknown"
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    return {"cpu": model, "cores": os.cpu_count(), "kernel": platform.release(),
            "load_before": os.getloadavg()[0]}


def summary(samples, base=BASE):
    """{peer: [sample of each round]} → {peer: {"median", "ratio"}}; no ratio without the base."""
    result = {}
    for peer, values in samples.items():
        ratio = None
        if base in samples:
            ratio = statistics.median(
                value / other for value, other in zip(values, samples[base]) if other > 0)
        result[peer] = {"median": statistics.median(values), "ratio": ratio, "samples": values}
    return result


def verdict(measure, summaries):
    """What Muster's target says of its figure: "met", "missed", or nothing known."""
    mine = summaries.get("muster")
    if not mine:
        return ""
    if measure.absolute_target is not None:
        return "met" if mine["median"] <= measure.absolute_target else "missed"
    if measure.ratio_target is None or mine["ratio"] is None:
        return ""
    return "met" if mine["ratio"] <= measure.ratio_target else "missed"


def target_text(measure):
    if measure.absolute_target is not None:
        return f"≤ {measure.absolute_target} {measure.unit}"
    return f"≤ {measure.ratio_target:.2f} × {BASE}" if measure.ratio_target else ""


def table(results):
    """Markdown: a row a measure, a column a peer."""
    peers = list(dict.fromkeys(peer for entry in results.values() for peer in entry["peers"]))
    lines = ["| | " + " | ".join(peers) + " | Muster's target | |",
             "|---" * (len(peers) + 3) + "|"]
    for name, entry in results.items():
        measure = MEASURES[name]
        cells = []
        for peer in peers:
            figure = entry["peers"].get(peer)
            ratio = f" ({figure['ratio']:.2f} ×)" if figure and figure["ratio"] is not None else ""
            cells.append(f"{figure['median']:.3g}{ratio}" if figure else "–")
        lines.append(f"| {measure.title}, {measure.unit} | " + " | ".join(cells) +
                     f" | {target_text(measure)} | {verdict(measure, entry['peers'])} |")
    return "\n".join(lines)


def _update(path, results):
    """The file's results with these ones put in their place."""
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    known.update(results)
    path.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")
    return known


def save(directory, results):
    """Writes comparison.json, .md and .svg; measures not taken this time keep their last figures."""
    directory.mkdir(parents=True, exist_ok=True)
    known = _update(directory / "comparison.json", results)
    known = {name: known[name] for name in MEASURES if name in known}
    (directory / "comparison.md").write_text(table(known) + "\n", encoding="utf-8")
    (directory / "comparison.svg").write_text(plot.svg(known), encoding="utf-8")


def save_own(directory, name, figures):
    """Writes own.json and own.md."""
    directory.mkdir(parents=True, exist_ok=True)
    entry = {"taken": time.strftime("%Y-%m-%d %H:%M"), "machine": machine(), "figures": figures}
    known = _update(directory / "own.json", {name: entry})
    lines = ["| measure | figure | | promised | |", "|---|---|---|---|---|"]
    for measure, taken in known.items():
        for what, value in taken["figures"].items():
            most = {**PROMISES, **MAIL_PROMISES, **NETWORK_PROMISES}.get((measure, what))
            kept = "" if most is None else "met" if value <= most else "missed"
            promised = "" if most is None else f"≤ {most}"
            lines.append(f"| {measure} | {what} | {value:.4g} | {promised} | {kept} |")
    (directory / "own.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def mail_table(results):
    """Markdown: a row a figure, a column a peer."""
    peers = list(dict.fromkeys(
        peer for entry in results.values() for figure in entry["figures"].values() for peer in figure))
    lines = ["| | | " + " | ".join(peers) + " | Muster's target | |",
             "|---" * (len(peers) + 4) + "|"]
    for name, entry in results.items():
        measure = MAIL_MEASURES[name]
        asked = {figure.name: figure for figure in measure.figures}
        for what, summaries in entry["figures"].items():
            lines.append(f"| {measure.title} | {what} | "
                         + " | ".join(_mail_cell(summaries.get(peer)) for peer in peers)
                         + f" | {_mail_verdict(asked.get(what), summaries.get('muster'))} |")
    return "\n".join(lines)


def _mail_cell(found):
    if not found:
        return "–"
    ratio = f" ({found['ratio']:.3g} ×)" if found["ratio"] is not None else ""
    return f"{found['median']:.{0 if found['median'] >= 100 else 3}{'f' if found['median'] >= 100 else 'g'}}{ratio}"


def _mail_verdict(figure, mine):
    if figure is None or not mine:
        return " | "
    met = figure.met(mine["median"], mine["ratio"])
    return f"{figure.target(MAIL_BASE)} | {'' if met is None else 'met' if met else 'missed'}"


def save_mail(directory, name, samples, rounds, effort):
    """Writes mail.json and mail.md. `samples`: {figure: {peer: [value of each round]}}."""
    directory.mkdir(parents=True, exist_ok=True)
    figures = {what: summary(values, MAIL_BASE) for what, values in samples.items()}
    known = _update(directory / "mail.json", {
        name: {"taken": time.strftime("%Y-%m-%d %H:%M"), "rounds": rounds, "effort": vars(effort),
               "machine": machine(), "figures": figures}})
    known = {each: known[each] for each in MAIL_MEASURES if each in known}
    (directory / "mail.md").write_text(mail_table(known) + "\n", encoding="utf-8")


def texts(directory):
    """All tables there are."""
    paths = [directory / f"{name}.md" for name in ("comparison", "mail", "own")]
    return "\n".join(path.read_text(encoding="utf-8") for path in paths if path.exists())


def entry(samples, rounds, effort):
    return {"taken": time.strftime("%Y-%m-%d %H:%M"), "rounds": rounds, "effort": vars(effort),
            "machine": machine(), "peers": summary(samples)}
