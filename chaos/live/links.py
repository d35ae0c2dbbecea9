"""Which links are cut or delayed. Pure; the proxy asks it for every connection."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from chaos.live.network import Link

DELAY_MS_MAX = 60_000


class LinkError(ValueError):
    """A command names a node that is not there, or a delay that makes no sense."""


@dataclass(slots=True)
class Links:
    """The state of every direction between `nodes`; all pass at first."""

    nodes: frozenset[str]
    _cut: set[Link] = field(default_factory=set)
    _delay_ms: dict[Link, int] = field(default_factory=dict)

    def cut(self, links: Iterable[Link]) -> None:
        """Cut these too. Raises LinkError, and then cuts none."""
        wanted = list(links)
        for link in wanted:
            self._check(link)
        self._cut.update(wanted)

    def delay(self, link: Link, delay_ms: int) -> None:
        """Delay one direction by this much; 0 ends it. Raises LinkError."""
        self._check(link)
        if not 0 <= delay_ms <= DELAY_MS_MAX:
            raise LinkError(f"a delay of {delay_ms} ms is not between 0 and {DELAY_MS_MAX}")
        self._delay_ms[link] = delay_ms

    def heal(self) -> None:
        self._cut.clear()
        self._delay_ms.clear()

    def is_cut(self, link: Link) -> bool:
        return link in self._cut

    def delay_s(self, link: Link) -> float:
        return self._delay_ms.get(link, 0) / 1000

    def describe(self) -> dict[str, object]:
        """What is cut and delayed, sorted, ready for JSON."""
        delays = {f"{a}->{b}": ms for (a, b), ms in sorted(self._delay_ms.items()) if ms}
        return {"cut": [f"{a}->{b}" for a, b in sorted(self._cut)], "delay_ms": delays}

    def _check(self, link: Link) -> None:
        for node in link:
            if node not in self.nodes:
                raise LinkError(
                    f"no node is named {node}; there are {', '.join(sorted(self.nodes))}"
                )
        if link[0] == link[1]:
            raise LinkError(f"{link[0]} has no link to itself")
