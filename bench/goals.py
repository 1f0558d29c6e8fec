"""The goals, each with what was measured."""
import dataclasses

from comparisons import COMPARISONS, GOALS, LABELS


@dataclasses.dataclass(frozen=True)
class Verdict:
    text: str
    value: float
    limit: float
    is_least: bool = False

    @property
    def is_met(self):
        return self.value >= self.limit if self.is_least else self.value <= self.limit

    @property
    def wanted(self):
        return f"at {'least' if self.is_least else 'most'} {self.limit:g}"


def verdicts(results, best_mode):
    """One for each goal whose rows were measured."""
    medians = results.medians()
    for goal in GOALS:
        kind = goal.kind.replace("hosted", f"hosted-{best_mode}", 1)
        comparison = COMPARISONS[goal.comparison]
        column = comparison.columns[goal.place]
        row = f"{goal.comparison}/{kind}"
        if row not in medians:
            continue
        text = f"{comparison.title}: {LABELS[kind]}"
        if goal.base is None:
            yield Verdict(f"{text}, {column.heading}", medians[row][goal.place], goal.limit)
            continue
        base_name, _, base_kind = goal.base.rpartition("/")
        base = COMPARISONS[base_name] if base_name else comparison
        ratio = results.ratio(row, f"{base_name or goal.comparison}/{base_kind}", goal.place)
        if ratio is not None:
            beside = f"{base.title}, {LABELS[base_kind]}" if base_name else LABELS[base_kind]
            which = f", {goal.heading}" if goal.heading else ""
            yield Verdict(f"{text} / {beside}{which}", ratio, goal.limit, column.is_rate)
