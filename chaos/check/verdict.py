"""What a checker says."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from chaos.history import Operation


class Outcome(StrEnum):
    """Unknown is an answer: a history that cannot show the property does not show it."""

    OK = "ok"
    VIOLATED = "violated"
    UNKNOWN = "unknown"


class Kind(StrEnum):
    """What was violated."""

    LOST_UPDATE = "lost update"
    STALE_READ = "stale read"
    DUPLICATE = "duplicate"
    ORDER = "resourceVersion order"
    PHANTOM = "failed operation took effect"
    INVENTED = "value that nobody wrote"
    WRONG_ANSWER = "wrong answer"
    DIVERGED = "servers disagree"


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing that must not have happened, in one sentence, with the operations that show it."""

    kind: Kind
    text: str
    operations: Sequence[Operation]

    def __str__(self) -> str:
        shown = "".join(f"\n    {operation}" for operation in self.operations)
        return f"{self.kind}: {self.text}{shown}"
