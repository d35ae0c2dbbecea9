"""`python -m chaos.sim`: fresh seeds for a while, or one seed again with its transcript.

python -m chaos.sim --duration 600           fresh seeds for so many seconds of wall time
python -m chaos.sim --seeds 200 --first 0    these seeds
python -m chaos.sim --seed N                 one seed, told line by line
python -m chaos.sim --mutants                every planted bug must be found
"""

from __future__ import annotations

import argparse
import logging
import secrets
import sys
import time
from collections import Counter

from chaos.sim.cluster import Cluster, Outcome
from chaos.sim.mutants import MUTANTS, SEEDS_MAX, Mutant, seeds_to_find


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def replay_command(seed: int, mutant: str = "") -> str:
    """What tells the run of `seed` again, line by line."""
    return f"python -m chaos.sim --seed {seed}" + (f" --mutant {mutant}" if mutant else "")


def run_one(seed: int, mutant: Mutant | None) -> int:
    """Tell one run; 1 if it breaks a promise."""
    cluster = Cluster(seed, log=say) if mutant is None else mutant.cluster(seed, log=say)
    say(f"{cluster.profile}")
    try:
        outcome = cluster.run()
    except AssertionError as error:
        say(f"{cluster.scheduler.now:10.4f} BROKEN {error}")
        if error.__cause__ is not None:
            logging.getLogger(__name__).error("the cause", exc_info=error.__cause__)
        return 1
    say(f"{outcome}")
    return 0


class Tally:
    """What many runs did, together."""

    def __init__(self) -> None:
        self.seeds = 0
        self.simulated_s = 0.0
        self.counts: Counter[str] = Counter()
        self.wall_began = time.monotonic()
        self.cpu_began = time.process_time()

    def add(self, outcome: Outcome) -> None:
        self.seeds += 1
        self.simulated_s += outcome.simulated_s
        self.counts += outcome.counts

    def tell(self) -> None:
        wall_s = time.monotonic() - self.wall_began
        cpu_s = time.process_time() - self.cpu_began
        say(
            f"{self.seeds} seeds, {self.simulated_s:,.0f} simulated cluster-seconds in "
            f"{wall_s:.1f} s of wall time, {cpu_s:.1f} s of one core: "
            f"{self.simulated_s / max(cpu_s, 1e-9):,.0f} a second"
        )
        for kind, count in sorted(self.counts.items()):
            say(f"  {kind:24} {count:10,}")


def run_many(first: int, seeds: int, duration_s: float) -> int:
    """Run seeds until one breaks a promise, or all are done, or time is up."""
    tally = Tally()
    say(f"seeds from {first}")
    seed = first
    while seed < first + seeds and time.monotonic() - tally.wall_began < duration_s:
        try:
            tally.add(Cluster(seed).run())
        except AssertionError as error:
            tally.tell()
            say(f"seed {seed} broke a promise: {error}")
            say(f"replay: {replay_command(seed)}")
            return 1
        seed += 1
    tally.tell()
    return 0


def run_mutants() -> int:
    """Look for every planted bug; 1 if one is not found."""
    missed = 0
    for name, mutant in MUTANTS.items():
        began = time.process_time()
        found = seeds_to_find(mutant)
        spent = time.process_time() - began
        if found is None:
            missed += 1
            say(f"{name:28} NOT FOUND in {SEEDS_MAX} seeds ({spent:.1f} s)")
        else:
            say(f"{name:28} {found.seeds:4} seeds {spent:6.1f} s  {found.text[:110]}")
    say(f"{len(MUTANTS) - missed} of {len(MUTANTS)} found")
    return 1 if missed else 0


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m chaos.sim")
    parser.add_argument("--seed", type=int, help="tell this one run")
    parser.add_argument("--mutant", choices=sorted(MUTANTS), help="with this bug planted")
    parser.add_argument("--mutants", action="store_true", help="look for every planted bug")
    parser.add_argument("--first", type=int, help="the first of many seeds; by default a fresh one")
    parser.add_argument("--seeds", type=int, default=1 << 30, help="at most so many seeds")
    parser.add_argument("--duration", type=float, default=1e9, help="at most so many seconds")
    options = parser.parse_args(arguments)
    logging.disable(logging.WARNING)
    if options.mutants:
        return run_mutants()
    if options.seed is not None:
        return run_one(options.seed, MUTANTS[options.mutant] if options.mutant else None)
    first = options.first if options.first is not None else secrets.randbits(40)
    if options.seeds == 1 << 30 and options.duration == 1e9:
        options.duration = 60.0
    return run_many(first, options.seeds, options.duration)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
