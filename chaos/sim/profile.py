"""How hostile a run is, drawn from its seed: some see much of one fault and none of another.

Swarm testing (Groce et al., 2012): a fault that is always there hides the bugs that need its
absence.
"""

from __future__ import annotations

import dataclasses
from random import Random

from chaos.sim.network import Weather

NEVER = 1e9


@dataclasses.dataclass
class Profile:
    """Chances, and mean times between faults in seconds."""

    members: int = 3
    duration_s: float = 30.0
    keys: int = 5
    writers: int = 3
    pause_s: float = 0.3
    client_timeout_s: float = 3.0
    client_loss: float = 0.0
    compact_every_s: float = NEVER
    weather: Weather = dataclasses.field(default_factory=Weather)
    kill_every_s: float = NEVER
    power_every_s: float = NEVER
    fuse_every_s: float = NEVER
    stop_every_s: float = NEVER
    blackout_every_s: float = NEVER
    down_max_s: float = 5.0
    stall_every_s: float = NEVER
    partition_every_s: float = NEVER
    partition_max_s: float = 6.0
    transfer_every_s: float = NEVER
    snapshot_every_s: float = NEVER
    change_every_s: float = NEVER
    snapshot_count: int = 100_000
    catch_up_entries: int = 5_000
    segment_bytes: int = 1 << 16
    disk_delay_max: float = 0.002
    sync_fails: float = 0.0
    drift: float = 0.0

    @property
    def rate_max(self) -> float:
        """The fastest that a member's clock runs."""
        return 1 + self.drift

    @staticmethod
    def draw(random: Random) -> Profile:
        choice = random.choice
        return Profile(
            members=choice((3, 3, 3, 5)),
            keys=choice((1, 3, 10)),
            writers=choice((1, 2, 4, 8)),
            pause_s=choice((0.05, 0.3, 1.0)),
            client_loss=choice((0.0, 0.0, 0.05)),
            compact_every_s=choice((NEVER, 4.0)),
            weather=Weather(
                drop=choice((0.0, 0.0, 0.02, 0.15)),
                duplicate=choice((0.0, 0.05, 0.2)),
                delay_max=choice((0.001, 0.01, 0.1, 0.4)),
                straggle=choice((0.0, 0.0, 0.02, 0.1)),
                damage=choice((0.0, 0.0, 0.1)),
            ),
            kill_every_s=choice((NEVER, 5.0, 15.0)),
            power_every_s=choice((NEVER, 5.0, 15.0)),
            fuse_every_s=choice((NEVER, 5.0, 15.0)),
            stop_every_s=choice((NEVER, 15.0)),
            blackout_every_s=choice((NEVER, NEVER, 12.0)),
            down_max_s=choice((0.5, 5.0)),
            stall_every_s=choice((NEVER, NEVER, 8.0)),
            partition_every_s=choice((NEVER, 5.0, 12.0)),
            partition_max_s=choice((2.0, 6.0)),
            transfer_every_s=choice((NEVER, NEVER, 5.0)),
            snapshot_every_s=choice((NEVER, 5.0)),
            change_every_s=choice((NEVER, NEVER, 4.0)),
            snapshot_count=choice((10, 50, 100_000)),
            catch_up_entries=choice((0, 5, 5_000)),
            segment_bytes=choice((4_096, 1 << 16)),
            disk_delay_max=choice((0.001, 0.01, 0.2)),
            sync_fails=choice((0.0, 0.0, 0.0, 0.001)),
            drift=choice((0.0, 0.01, 0.1)),
        )
