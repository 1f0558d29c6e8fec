"""The results as text: tables for the terminal, and the same as a page of Markdown."""
from comparisons import COMPARISONS, LABELS
from goals import verdicts


def times(value):
    """A ratio with about three digits."""
    if value is None:
        return "-"
    return f"{value:.{0 if value >= 100 else 2 if value >= 0.1 else 4}f}x"


def cells(comparison, name, kind, results, medians):
    """The figures of one row, and its ratios."""
    figures = medians.get(f"{name}/{kind}")
    for place, column in enumerate(comparison.columns):
        yield f"{figures[place]:.{column.decimals}f}" if figures else "-"
    for base in comparison.bases:
        yield times(results.ratio(f"{name}/{kind}", f"{name}/{base}", comparison.decisive))


def tables(results, medians):
    """Of each comparison: its title, headings, and [label, cells, remarks] of each row."""
    measured = {*medians, *results.failures, *results.refusals}
    for name, comparison in COMPARISONS.items():
        kinds = [kind for kind in LABELS if f"{name}/{kind}" in measured]
        if not kinds:
            continue
        headings = [column.heading for column in comparison.columns]
        headings += [f"to {base}" for base in comparison.bases]
        rows = []
        for kind in kinds:
            remarks = "; ".join(f"{what} ({count}x)"
                                for what, count in results.remarks(f"{name}/{kind}").items())
            rows.append((LABELS[kind], list(cells(comparison, name, kind, results, medians)), remarks))
        yield comparison.title, headings, rows


def print_tables(results, medians):
    for title, headings, rows in tables(results, medians):
        print(f"\n{title:<44}" + "".join(f" {heading:>11}" for heading in headings))
        for label, figures, remarks in rows:
            line = f"  {label:<42}" + "".join(f" {figure:>11}" for figure in figures)
            print(line + (f"  ({remarks})" if remarks else ""))


def print_goals(results, best_mode):
    print()
    for verdict in verdicts(results, best_mode):
        print(f"goal {'met' if verdict.is_met else 'missed'}: {verdict.text}:"
              f" {verdict.value:.4g}, {verdict.wanted}")


def describe(machine):
    yield (f"{machine['cpu']}, {machine['usable_cpus']} CPUs, {machine['memory_mb']} MB,"
           f" Linux {machine['kernel']}, {machine['libc']}, {machine['compiler']}")
    yield f"load average {machine['load']:.1f} before" + (
        f", {machine['load_after']:.1f} after" if "load_after" in machine else "")
    if "minutes" in machine:
        yield f"took {machine['minutes']:.0f} minutes; {machine['rounds']} rounds"


def markdown_row(cells_of_row):
    return "| " + " | ".join(cells_of_row) + " |"


def markdown(machine, results, medians, best_mode, charts):
    """The whole page."""
    yield "# Results of `./dev bench`\n"
    yield "Written by `bench/run.py`; what the figures mean is said in"
    yield "[bench/README.md](../../bench/README.md). Ratios count, within this one run. Where the time of the"
    yield "echo servers goes: [profile](profile.md). Real servers: [servers](servers.md).\n"
    yield from (f"- {line}" for line in describe(machine))
    yield f"- Ramie {machine['ramie']} at {machine['commit'] or 'an unknown commit'}"
    yield "- " + ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    yield "\n## Goals\n"
    yield markdown_row(("goal", "measured", "wanted", ""))
    yield "|---|--:|---|---|"
    for verdict in verdicts(results, best_mode):
        yield markdown_row((verdict.text, f"{verdict.value:.4g}", verdict.wanted,
                            "met" if verdict.is_met else "**missed**"))
    yield "\n## Charts\n"
    yield from (f"![{name}]({name}.svg)" for name in charts)
    yield "\n## Tables"
    for title, headings, rows in tables(results, medians):
        yield "\n" + markdown_row((title, *headings, ""))
        yield "|---|" + "--:|" * len(headings) + "---|"
        for label, figures, remarks in rows:
            yield markdown_row((label, *figures, remarks)).rstrip()
