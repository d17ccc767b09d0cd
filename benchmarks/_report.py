"""From the results of peers.py the tables and the plots."""

from itertools import groupby

import numpy as np
from _figures import COLOURS, FEW, MANY, TEXT, pyplot, save

from sk_adaptive.kernel.optimizers import OPTIMIZERS

PART_TITLES = {
    "epoch": "Time of an epoch",
    "target": "Time to a test log loss",
    "optimum": "Time to the optimum",
    "memory": "Peak memory",
    "growth": "Growth",
    "batches": "Mini-batches",
    "floor": "The floor",
    "latency": "Single rows",
}
OURS = tuple(OPTIMIZERS)
DASHES = ("-", "--", ":", "-.")
TABLES_BEGIN = "<!-- tables -->"
TRIAL = "**A trial on few rows (`--quick`): these figures say nothing.**"
NUMBERS = ("no peer", "one peer", "two peers", "three peers", "four peers", "five peers")

# What the page opens with: this package and five peers, by their names in the tables.
OPENING = {
    "adagrad": "sk_adaptive, adagrad",
    "adam": "sk_adaptive, adam (exact)",
    "SGDClassifier": "SGDClassifier",
    "xLearn, AdaGrad": "xLearn, AdaGrad",
    "lightning, AdaGrad": "lightning, AdaGrad",
    "Vowpal Wabbit, cache file": "Vowpal Wabbit",
    "torch Adagrad, batch 4096": "torch, Adagrad, batch 4096",
}


def write(results, folder):
    """results.md and the plots in this folder.

    Without matplotlib there are no plots.
    """
    try:
        pyplot()
    except ImportError as error:
        print(f"no plots: {error}")
        plots = {}
    else:
        plots = PLOTS
    lines = [
        "# Beside its peers",
        "",
        *_opening(results.get("epoch"), folder if plots else None),
        # docs/benchmarks/index.md includes what is above and what is below
        TABLES_BEGIN,
        "",
        "## Conditions",
        "",
        "Written by `benchmarks/peers.py`, whose README says how to read it; not to be edited.",
        "",
        *_machines(results),
    ]
    for part, title in PART_TITLES.items():
        if part not in results:
            continue
        lines += ["", f"## {title}", ""]
        if results[part]["quick"]:
            lines += [TRIAL, ""]
        lines += TABLES[part](results[part]["entries"])
        if part in plots:
            for name in plots[part](results[part]["entries"], folder):
                lines += ["", f"![{title}]({name})"]
    (folder / "results.md").write_text("\n".join(lines) + "\n")


def _opening(result, folder):
    """A plot and a sentence about the epochs of 'text', for the top of the page.

    Without a folder there is no plot, and without these epochs there is nothing.
    """
    measured = {
        entry["name"]: entry
        for entry in (result["entries"] if result else ())
        if entry["workload"] == "text" and entry.get("name") in OPENING and "ns" in entry
    }
    peers = [entry["ns"] for name, entry in measured.items() if _kind(name) != "ours"]
    if "adagrad" not in measured or not peers:
        return []
    sentence = (
        f"An epoch of `adagrad` over {measured['adagrad']['all_rows']:,} rows of text takes "
        f"{_significant(measured['adagrad']['ns'])} ns for each non-zero, where "
        f"{NUMBERS[len(peers)]} take {_significant(min(peers))} to {_significant(max(peers))} ns."
    )
    lines = [sentence, ""]
    if folder is not None:
        described = sentence.replace("`", "")
        lines = [f"![{described}]({_plot_opening(measured, folder)})", "", *lines]
    if result["quick"]:
        lines = [TRIAL, "", *lines]
    return lines


def _machines(results):
    """Where and when the parts ran, those that ran alike together."""
    lines = []
    told = {
        part: (result["machine"], result["date"], result["rounds"], result.get("brief", False))
        for part, result in results.items()
    }
    for part, about in told.items():
        if about in list(told.values())[: list(told).index(part)]:
            continue
        machine, date, rounds, brief = about
        versions = ", ".join(f"{k} {v}" for k, v in machine["versions"].items() if v)
        commit = f"commit {machine['commit']}; " if machine.get("commit") else ""
        how = f"{rounds} rounds{' (`--brief`)' if brief else ''}"
        same = ", ".join(other for other in told if told[other] == about)
        lines += [
            f"- {same}: {date}; {commit}{machine['processor']}, {machine['cores']} cores; "
            f"{machine['system']}; {how}; Python {machine['python']}, "
            f"{versions}"
        ]
    return lines


# -- tables --


def _table(header, rows):
    """A Markdown table, with numbers to the right."""
    lines = [header, ["---" if name in ("", "remarks") else "---:" for name in header], *rows]
    return ["| " + " | ".join(map(str, line)) + " |" for line in lines]


def _number(value, digits=2):
    return "" if value is None else f"{value:.{digits}f}"


def _significant(value, digits=3):
    if value is None:
        return ""
    return np.format_float_positional(value, digits, fractional=False, trim="-")


def _gap(entry):
    """Why there is no figure, or None."""
    for key in ("missing", "failed"):
        if key in entry:
            return f"{key}: {entry[key]}".replace("|", "\\|")
    return None


def _by(entries, key):
    return [(value, list(group)) for value, group in groupby(entries, lambda e: e.get(key))]


def _sections(entries, lines):
    """The entries of each workload, after its heading among the lines; or there the gap of all."""
    for workload, group in _by(entries, "workload"):
        lines += ["", f"### {workload}", ""]
        if "name" in group[0]:
            yield group
        else:
            lines.append(_gap(group[0]))


def _table_epoch(entries):
    lines = [
        "Nanoseconds per non-zero of an epoch. The ratio is to SGDClassifier in the same run, in "
        "the same precision and with the same shuffling; below 1 is faster. A slow peer was timed "
        "on fewer rows, and its time is scaled. Where the remarks say *iteration*, the time is of "
        "an iteration of the solver, which has no epochs.",
    ]
    for group in _sections(entries, lines):
        rows = [
            [
                entry["name"],
                entry.get("precision", ""),
                _significant(entry.get("ns")),
                _number(entry.get("ratio")),
                _gap(entry) or _remarks(entry),
            ]
            for entry in group
        ]
        lines += _table(["", "precision", "ns", "ratio", "remarks"], rows)
    return lines


def _remarks(entry):
    remarks = [] if entry["unit"] == "epoch" else [entry["unit"]]
    if entry["rows"] < entry["all_rows"]:
        remarks.append(f"on {entry['rows']:,} of {entry['all_rows']:,} rows")
    return "; ".join(remarks + ([entry["note"]] if entry["note"] else []))


def _table_target(entries):
    lines = [
        "One parameter of each model is tuned over five values on the last tenth of the training "
        "rows. The target is the least test log loss that any peer reaches with it, plus half a "
        "percent. The seconds are of the shortest fit that reaches the target, with all that the "
        "call costs. The ratio is to the fastest peer; below 1 is faster.",
    ]
    for group in _sections(entries, lines):
        lines += [f"Target: {group[0]['target']:.4f}", ""]
        rows = []
        for entry in group:
            value = entry.get("value")
            edge = " (end of the grid)" if entry.get("at_end_of_grid") else ""
            rows.append(
                [
                    entry["name"],
                    "" if value is None else f"{value:g}{edge}",
                    _number(entry.get("least"), 4),
                    entry.get("epochs", _gap(entry) or "not reached"),
                    _significant(entry.get("seconds")),
                    _number(entry.get("ratio")),
                ]
            )
        lines += _table(["", "picked", "least loss", "epochs", "seconds", "ratio"], rows)
    return lines


def _table_optimum(entries):
    lines = [
        "The objective is the mean log loss and half of alpha times the squared norm, without an "
        "intercept. Each solver gets more and more iterations, or a smaller tolerance. The "
        "seconds, by the clock, are of the first fit that comes within 1 % and 0.1 % of the "
        "optimum. This package has the fastest of four initial rates; the solvers have no rate. "
        "The ratio is to the fastest of them; below 1 is faster. *Nearest* is the least distance "
        "in the time that each had.",
    ]
    for group in _sections(entries, lines):
        lines += [f"alpha: {group[0]['alpha']:g}", ""]
        rows = []
        for entry in group:
            row = [entry["name"]]
            for distance in ("0.01", "0.001"):
                seconds = entry.get(f"seconds_{distance}")
                row += [
                    _gap(entry) or "not reached" if seconds is None else _significant(seconds),
                    _number(entry.get(f"ratio_{distance}")),
                ]
            nearest = entry.get("distance")
            rows.append([*row, "" if nearest is None else f"{100 * nearest:.2g} %"])
        lines += _table(["", "s to 1 %", "ratio", "s to 0.1 %", "ratio", "nearest"], rows)
    return lines


def _table_memory(entries):
    first = entries[0]
    most = max(e["rows"] for e in entries)
    lines = [
        f"Peak memory of an epoch over {most:,} rows of clicks, in a process for each model. What "
        f"the process had before is not counted, nor are the rows, which take "
        f"{first['data_bytes'] / 1e6:.0f} MB. What a peer makes of the rows is counted.",
        "",
    ]
    rows = [
        [
            e["name"],
            _number(e["bytes"] / 1e6, 0) if "bytes" in e else "",
            _gap(e) or ("" if e["rows"] == most else f"on {e['rows']:,} rows"),
        ]
        for e in entries
    ]
    return lines + _table(["", "MB", "remarks"], rows)


def _growth_rows(entries):
    for about, group in groupby(entries, lambda e: (e["against"], e.get("drawn"))):
        yield *about, list(group)


def _table_growth(entries):
    lines = ["Nanoseconds per non-zero of a call of `partial_fit` with rows learned before."]
    for against, drawn, group in _growth_rows(entries):
        names = list(dict.fromkeys(e["name"] for e in group))
        other = "rows" if against == "features" else "features"
        how = f", drawn {drawn}" if drawn else ""
        lines += ["", f"Against the number of {against}{how}; {group[0][other]:,} {other}:", ""]
        rows = []
        for size, of_size in _by(group, against):
            of_name = {e["name"]: e["ns"] for e in of_size}
            shown = f"2^{size.bit_length() - 1}" if against == "features" else f"{size:,}"
            rows.append([shown, *(_significant(of_name[name]) for name in names)])
        lines += _table([against, *names], rows)
    return lines


def _table_batches(entries):
    lines = ["Nanoseconds per non-zero of a shuffled epoch.", ""]
    names = list(dict.fromkeys(e["name"] for e in entries))
    rows = []
    for (workload, size), group in groupby(entries, lambda e: (e["workload"], e["batch_size"])):
        of_name = {e["name"]: e for e in group}
        of_name = [of_name[name] for name in names]
        rows.append([workload, size, *(_significant(e.get("ns")) or _gap(e) for e in of_name)])
    return lines + _table(["", "rows a batch", *names], rows)


def _table_floor(entries):
    if gap := _gap(entries[0]):
        return [gap]
    lines = [
        "Nanoseconds per non-zero, of an epoch of AdaGrad and of a loop that only moves memory: it "
        "reads the same rows, and reads and writes the same records. The loop has the best of a "
        "few distances of prefetching.",
        "",
    ]
    rows = [
        [e["workload"], e["precision"], *map(_significant, (e["adagrad"], e["floor"], e["ratio"]))]
        for e in entries
    ]
    return lines + _table(["", "precision", "adagrad", "floor", "ratio"], rows)


def _table_latency(entries):
    lines = ["Microseconds of a call with one row of clicks: median and 99th percentile.", ""]
    keys = ("learn_us", "learn_p99_us", "predict_us", "predict_p99_us")
    rows = [
        [e["name"], *(_significant(e.get(key)) for key in keys), _gap(e) or ""] for e in entries
    ]
    return lines + _table(["", "learn", "99 %", "predict", "99 %", "remarks"], rows)


TABLES = {
    "epoch": _table_epoch,
    "target": _table_target,
    "optimum": _table_optimum,
    "memory": _table_memory,
    "growth": _table_growth,
    "batches": _table_batches,
    "floor": _table_floor,
    "latency": _table_latency,
}


# -- plots --


def _kind(name):
    if name.startswith("SGDClassifier"):
        return "base"
    return "ours" if name.startswith(OURS) else "peer"


def _plain(axis):
    """Label a logarithmic axis with 1, 2, 5, 10 in place of powers, a long one with 1 and 10."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    least, most = axis.get_view_interval()
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if most < 1000 * least else (1,)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def _bars(axes, entries, key, text):
    """Horizontal bars on a logarithmic scale, the shortest on top."""
    entries = sorted((e for e in entries if e.get(key, 0) > 0), key=lambda e: -e[key])
    names = [e["name"] for e in entries]
    values = [e[key] for e in entries]
    axes.barh(names, values, color=[COLOURS[_kind(name)] for name in names], log=True)
    for row, value in enumerate(values):
        axes.text(value * 1.05, row, _significant(value, 2), va="center", fontsize=8)
    axes.set_xlim(min(values) / 2, max(values) * 2.5)
    _plain(axes.xaxis)
    axes.set_ylim(-0.6, len(names) - 0.4)
    axes.set_xlabel(text)
    axes.tick_params(axis="y", labelsize=8)


def _legend(figure):
    from matplotlib.patches import Patch

    labels = {"ours": "sk_adaptive", "base": "SGDClassifier", "peer": "other peers"}
    patches = [Patch(color=COLOURS[kind], label=label) for kind, label in labels.items()]
    figure.legend(handles=patches, loc="outside lower center", ncols=3)


def _plot_opening(measured, folder):
    """A bar for each of OPENING, in its order, as an SVG without a background."""
    names = [name for name in OPENING if name in measured][::-1]
    values = [measured[name]["ns"] for name in names]
    labels = [
        OPENING[name] + (", float32" if measured[name]["precision"] == "float32" else "")
        for name in names
    ]
    colours = [COLOURS["ours" if _kind(name) == "ours" else "peer"] for name in names]
    # narrow, so that its text is readable on a small screen
    size = (5.6, 0.33 * len(names) + 0.5)
    figure, axes = pyplot().subplots(figsize=size, layout="constrained")
    axes.barh(labels, values, color=colours, height=0.72)
    for row, value in enumerate(values):
        axes.text(value + max(values) / 100, row, _significant(value), va="center")
    title = "Time of an epoch on text, in ns for each non-zero"
    figure.suptitle(title, x=0.02, ha="left", fontsize="medium")
    axes.set_xlim(0, 1.12 * max(values))
    axes.set_xticks([])
    axes.tick_params(axis="y", length=0)
    axes.spines[:].set_visible(False)
    save(figure, folder / "opening.svg")
    return "opening.svg"


def _plot_epoch(entries, folder):
    groups = [(w, g) for w, g in _by(entries, "workload") if any("ns" in e for e in g)]
    figure, all_axes = pyplot().subplots(
        len(groups), 1, figsize=(8.5, 5.6 * len(groups)), layout="constrained", squeeze=False
    )
    for axes, (workload, group) in zip(all_axes[:, 0], groups, strict=True):
        _bars(axes, group, "ns", "ns per non-zero and epoch")
        axes.set_title(workload)
    _legend(figure)
    save(figure, folder / "epoch.svg")
    return ["epoch.svg"]


def _plot_target(entries, folder):
    groups = [(w, g) for w, g in _by(entries, "workload") if any(e.get("curve") for e in g)]
    columns = min(2, len(groups))
    height = -(-len(groups) // columns)
    figure, all_axes = pyplot().subplots(
        height, columns, figsize=(5 * columns, 4.4 * height), layout="constrained", squeeze=False
    )
    for axes in all_axes.ravel()[len(groups) :]:
        axes.set_visible(False)
    for axes, (workload, group) in zip(all_axes.ravel(), groups, strict=False):
        _curves(axes, group)
        axes.set_title(workload)
    handles = {}
    for axes in all_axes.ravel()[: len(groups)]:
        handles |= {line.get_label(): line for line in axes.get_lines()}
    handles = {name: line for name, line in handles.items() if not name.startswith("_")}
    figure.legend(handles.values(), handles, loc="outside lower center", ncols=3)
    save(figure, folder / "target.svg")
    return ["target.svg"]


def _curves(axes, group):
    """Log loss over seconds; the target is a line across."""
    goal = group[0]["target"]
    colours = {True: FEW, False: MANY}
    for k, entry in enumerate(group):
        points = [(s, loss) for _, s, loss in entry.get("curve", ()) if np.isfinite(loss)]
        if not points:
            continue
        seconds, losses = zip(*points, strict=True)
        ours = entry["ours"]
        axes.plot(
            seconds,
            losses,
            marker="o" if ours else ".",
            markersize=4,
            linewidth=2.4 if ours else 1,
            linestyle="-" if ours else DASHES[1 + k % 3],
            color=colours[ours][k % len(colours[ours])],
            label=entry["name"],
        )
    axes.axhline(goal, color=TEXT, linewidth=0.8)
    axes.annotate(
        f"target {goal:.4f}",
        (1, goal),
        (-2, -3),
        xycoords=("axes fraction", "data"),
        textcoords="offset points",
        ha="right",
        va="top",
        fontsize=8,
    )
    axes.set_xscale("log")
    _plain(axes.xaxis)
    axes.set_ylim(goal * 0.97, goal * 1.25)
    axes.set_xlabel("seconds of the fit")
    axes.set_ylabel("test log loss")


def _plot_memory(entries, folder):
    entries = [e | {"MB": e["bytes"] / 1e6} for e in entries if "bytes" in e]
    if not entries:
        return []
    figure, axes = pyplot().subplots(figsize=(7, 5.5), layout="constrained")
    _bars(axes, entries, "MB", "peak MB over what was there before")
    _legend(figure)
    save(figure, folder / "memory.svg")
    return ["memory.svg"]


def _plot_growth(entries, folder):
    groups = list(_growth_rows(entries))
    figure, all_axes = pyplot().subplots(
        1, len(groups), figsize=(3.6 * len(groups), 3.6), layout="constrained", squeeze=False
    )
    for axes, (against, drawn, group) in zip(all_axes[0], groups, strict=True):
        for name in dict.fromkeys(e["name"] for e in group):
            points = [(e[against], e["ns"]) for e in group if e["name"] == name]
            axes.plot(
                *zip(*points, strict=True),
                marker="o",
                color=COLOURS[_kind(name)],
                linestyle="--" if name == "adam" else "-",
                label=name,
            )
        axes.set_xscale("log", base=2 if against == "features" else 10)
        axes.set_yscale("log")
        _plain(axes.yaxis)
        axes.set_xlabel(against + (f", drawn {drawn}" if drawn else ""))
        axes.set_ylabel("ns per non-zero")
        all_axes[0][0].legend()
    save(figure, folder / "growth.svg")
    return ["growth.svg"]


def _plot_batches(entries, folder):
    groups = _by(entries, "workload")
    figure, all_axes = pyplot().subplots(
        1, len(groups), figsize=(5 * len(groups), 4), layout="constrained", squeeze=False
    )
    for axes, (workload, group) in zip(all_axes[0], groups, strict=True):
        for name in dict.fromkeys(e["name"] for e in group):
            points = [(e["batch_size"], e["ns"]) for e in group if e["name"] == name and "ns" in e]
            if points:
                axes.plot(
                    *zip(*points, strict=True),
                    color=COLOURS[_kind(name)],
                    linestyle=("--" if "Adam" in name or name.startswith("adam") else "-"),
                    marker="o" if "64" in name or "torch" in name else "s",
                    label=name,
                )
        axes.set_xscale("log", base=2)
        sizes = sorted({e["batch_size"] for e in group})
        axes.set_xticks(sizes, sizes)
        axes.set_yscale("log")
        _plain(axes.yaxis)
        axes.set_title(workload)
        axes.set_xlabel("rows a batch")
        axes.set_ylabel("ns per non-zero and epoch")
        handles, labels = all_axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3)
    save(figure, folder / "batches.svg")
    return ["batches.svg"]


PLOTS = {
    "epoch": _plot_epoch,
    "target": _plot_target,
    "memory": _plot_memory,
    "growth": _plot_growth,
    "batches": _plot_batches,
}
