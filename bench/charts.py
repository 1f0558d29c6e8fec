"""Charts of the results, as SVG, made by gnuplot: for each group of comparisons one of bars."""
import collections
import subprocess

from comparisons import COMPARISONS, FS_MODES, LABELS

# What the value axis of a group's chart says, where the decisive column's heading is too short.
AXES = {
    "CPU ns": "ns of CPU time for each operation",
    "CPU s": "s of CPU time",
    "bytes": "bytes of memory for each",
    "CPU us": "us of CPU time of the server per request",
    "p99 us": "us, 99th percentile",
    "per s": "requests per second",
    "s": "s by the clock",
}

SCRIPT = """
set terminal svg size {width},420 noenhanced background rgb 'white' font 'sans,12'
set title '{title}'
set ylabel '{axis}'
set logscale y
set style data histogram
set style histogram clustered gap 1
set style fill solid 0.9 noborder
set boxwidth 0.9
set grid ytics lc rgb '#dddddd'
set xtics nomirror
set key outside right top
set datafile missing '-'
$data << DATA_ENDS
{data}
DATA_ENDS
plot {plots}
"""

# One colour for each, the same in all charts: ours are green.
COLOURS = {
    "raw": "#444444", "epoll": "#444444", "uring": "#888888", "light": "#1b9e3f",
    "hosted-fsgsbase": "#66c266", "hosted-trap": "#8fd18f", "hosted-prctl": "#c2e6c2",
    "light-epoll": "#5fae78", "light-uring": "#0f6b2a", "light-1": "#2f7f4f", "light-2": "#0f6b2a",
    "kernel": "#d95f02", "native": "#d95f02", "boost": "#7570b3", "go": "#1f9fc4",
    "st": "#e6ab02", "pth": "#a6761d", "gevent": "#e7298a",
    "preloaded": "#8fd18f", "run": "#1b9e3f",
    "kernel-1": "#d95f02", "kernel-2": "#8c3d01", "go-1": "#1f9fc4", "go-2": "#14667e",
    **{f"hosted-{mode}-1": "#66c266" for mode in FS_MODES},
    **{f"hosted-{mode}-2": "#1b9e3f" for mode in FS_MODES},
}

P99 = 3  # the column of the echoes


def draw(folder, medians):
    """Writes the charts of what was measured; answers their names."""
    groups = collections.defaultdict(list)
    for name in COMPARISONS:
        if any(row.startswith(f"{name}/") for row in medians):
            groups[name.partition("/")[0]].append(name)
    folder.mkdir(parents=True, exist_ok=True)
    drawn = []
    for group, names in groups.items():
        drawn.append(draw_group(folder, group, names, medians, COMPARISONS[names[0]].decisive))
        if group == "echo":
            drawn.append(draw_group(folder, "echo-p99", names, medians, P99))
    return drawn


def quoted(text):
    return f'"{text}"'


def draw_group(folder, group, names, medians, place):
    kinds = [kind for kind in LABELS if any(f"{name}/{kind}" in medians for name in names)]
    lines = [" ".join(['"-"', *(quoted(LABELS[kind]) for kind in kinds)])]
    for name in names:
        values = [medians.get(f"{name}/{kind}") for kind in kinds]
        cells = [f"{figures[place]}" if figures else "-" for figures in values]
        lines.append(" ".join([quoted(name.partition("/")[2] or name), *cells]))
    plots = []
    for column, kind in enumerate(kinds, 2):
        colour = f" lc rgb '{COLOURS[kind]}'" if kind in COLOURS else ""
        labels = ":xtic(1)" if column == 2 else ""
        plots.append(f"$data using {column}{labels} title columnheader({column}){colour}")
    value = COMPARISONS[names[0]].columns[place]
    script = SCRIPT.format(
        width=420 + max(14 * len(kinds), 90) * len(names),
        title=f"{group}: {'more' if value.is_rate else 'less'} is better",
        axis=AXES.get(value.heading, value.heading), data="\n".join(lines), plots=", ".join(plots),
    )
    done = subprocess.run(["gnuplot"], input=script, capture_output=True, text=True, check=True)
    text = "\n".join(line.rstrip() for line in done.stdout.splitlines())
    (folder / f"{group}.svg").write_text(text + "\n", encoding="utf-8")
    return group
