"""The goals, each with what was measured."""
import dataclasses

from comparisons import COMPARISONS, GOALS, LABELS


@dataclasses.dataclass(frozen=True)
class Verdict:
    text: str
    value: float
    limit: float

    @property
    def is_met(self):
        return self.value <= self.limit


def verdicts(medians, best_mode):
    """One for each goal whose rows were measured."""
    for goal in GOALS:
        kind = goal.kind.replace("hosted", f"hosted-{best_mode}", 1)
        comparison = COMPARISONS[goal.comparison]
        decisive = comparison.columns[comparison.decisive]
        measured = medians.get(f"{goal.comparison}/{kind}")
        base = medians.get(f"{goal.comparison}/{goal.base}") if goal.base else None
        if measured is None or (goal.base and base is None):
            continue
        value = measured[comparison.decisive]
        text = f"{comparison.title}: {LABELS[kind]}"
        if goal.base:
            ratio = value / base[comparison.decisive]
            yield Verdict(f"{text} / {LABELS[goal.base]}", ratio, goal.limit)
        else:
            yield Verdict(f"{text}, {decisive.heading}", value, goal.limit)
