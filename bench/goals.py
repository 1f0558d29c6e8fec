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


def verdicts(results, best_mode):
    """One for each goal whose rows were measured."""
    medians = results.medians()
    for goal in GOALS:
        kind = goal.kind.replace("hosted", f"hosted-{best_mode}", 1)
        comparison = COMPARISONS[goal.comparison]
        decisive = comparison.columns[comparison.decisive]
        row = f"{goal.comparison}/{kind}"
        if row not in medians:
            continue
        text = f"{comparison.title}: {LABELS[kind]}"
        if goal.base is None:
            yield Verdict(f"{text}, {decisive.heading}", medians[row][comparison.decisive], goal.limit)
            continue
        ratio = results.ratio(row, f"{goal.comparison}/{goal.base}", comparison.decisive)
        if ratio is not None:
            yield Verdict(f"{text} / {LABELS[goal.base]}", ratio, goal.limit)
