"""N writers increment one counter in a ConfigMap by GET and PUT with resourceVersion.

Each increment also moves its writer's own entry, `<increments>:<attempt>`, so that the object says
whose increments are in it: a lost one has a name. The history records the state that every write
was based on.
"""

import asyncio
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from chaos.history import EventType, HistoryWriter
from chaos.workload.client import Answer, ApiClient, Outcome

READ = "read"
INCREMENT = "increment"
FINAL_READ = "final-read"
VALUE_KEY = "value"
PAUSE_AFTER_CONFLICT_S = 0.02
PAUSE_AFTER_FAILURE_S = 0.06


@dataclass(frozen=True, slots=True)
class CounterState:
    """The object as one answer showed it."""

    resource_version: str
    data: Mapping[str, str]

    @classmethod
    def of_object(cls, body: Mapping[str, Any]) -> "CounterState":
        """Raises ValueError if this is no counter."""
        try:
            state = cls(str(body["metadata"]["resourceVersion"]), dict(body["data"]))
            int(state.data[VALUE_KEY])
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"no counter: {str(body)[:200]}") from error
        return state

    @property
    def value(self) -> int:
        return int(self.data[VALUE_KEY])

    def as_result(self) -> dict[str, Any]:
        """For the history."""
        return {"resource_version": self.resource_version, "data": dict(self.data)}


@dataclass(slots=True)
class Tally:
    """How the increments ended so far; for display, never for the verdict."""

    acknowledged: int = 0
    conflicts: int = 0
    failed: int = 0
    unknown: int = 0

    def count(self, answer: Answer) -> None:
        match answer.outcome:
            case Outcome.DONE:
                self.acknowledged += 1
            case Outcome.UNKNOWN:
                self.unknown += 1
            case Outcome.FAILED if answer.is_conflict:
                self.conflicts += 1
            case Outcome.FAILED:
                self.failed += 1


@dataclass(frozen=True, slots=True)
class CounterOptions:
    """Which object, how many writers. `blind` plants a bug: PUT without resourceVersion."""

    namespace: str
    name: str = "counter"
    writers: int = 8
    blind: bool = False

    @property
    def collection(self) -> str:
        return f"/api/v1/namespaces/{self.namespace}/configmaps"

    @property
    def path(self) -> str:
        return f"{self.collection}/{self.name}"


class CounterWorkload:
    """The writers of one counter. `connect` makes a client for the virtual IP; each has its own."""

    def __init__(
        self,
        options: CounterOptions,
        connect: Callable[[], ApiClient],
        history: HistoryWriter,
        *,
        seed: int,
    ) -> None:
        self.tally = Tally()
        self._options = options
        self._connect = connect
        self._history = history
        self._seed = seed

    async def set_up(self) -> None:
        """Create the counter at 0. Raises RuntimeError if it cannot be, or is there already."""
        options = self._options
        body = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": options.name, "namespace": options.namespace},
            "data": {VALUE_KEY: "0"},
        }
        async with self._connect() as client:
            answer = await client.post(options.collection, body)
        if answer.outcome is not Outcome.DONE:
            raise RuntimeError(f"cannot create the counter {options.path}: {answer.error}")

    async def run(self, stop: asyncio.Event) -> None:
        """Increment until `stop` is set; returns when every writer has ended its last operation."""
        async with asyncio.TaskGroup() as group:
            for number in range(self._options.writers):
                writer = _Writer(
                    f"w{number}",
                    self._options,
                    self._history,
                    self.tally,
                    random.Random(f"{self._seed}/{number}"),
                )
                group.create_task(self._write(writer, stop), name=writer.process)

    async def _write(self, writer: "_Writer", stop: asyncio.Event) -> None:
        async with self._connect() as client:
            while not stop.is_set():
                pause_s = await writer.step(client)
                if pause_s:
                    await asyncio.sleep(pause_s)

    async def final_read(self, client: ApiClient, via: str) -> CounterState | None:
        """Read the counter for the verdict; None if that failed, which the history tells too."""
        arguments = {"via": via}
        self._history.append(f"final-{via}", EventType.INVOKE, FINAL_READ, arguments)
        answer = await client.get(self._options.path)
        return _end_read(self._history, f"final-{via}", FINAL_READ, answer)


class _Writer:
    """One sequential process of the history."""

    def __init__(
        self,
        process: str,
        options: CounterOptions,
        history: HistoryWriter,
        tally: Tally,
        rng: random.Random,
    ) -> None:
        self.process = process
        self._options = options
        self._history = history
        self._tally = tally
        self._rng = rng
        self._attempts = 0

    async def step(self, client: ApiClient) -> float:
        """Read and increment once; returns the seconds to pause."""
        self._history.append(self.process, EventType.INVOKE, READ, {})
        state = _end_read(self._history, self.process, READ, await client.get(self._options.path))
        if state is None:
            return self._rng.uniform(PAUSE_AFTER_FAILURE_S / 3, PAUSE_AFTER_FAILURE_S)
        answer = await self._increment(client, state)
        self._tally.count(answer)
        if answer.outcome is Outcome.DONE:
            return 0.0
        longest_s = PAUSE_AFTER_CONFLICT_S if answer.is_conflict else PAUSE_AFTER_FAILURE_S
        return self._rng.uniform(0, longest_s)

    async def _increment(self, client: ApiClient, state: CounterState) -> Answer:
        self._attempts += 1
        count = increments_of(state.data, self.process) + 1
        data = {
            **state.data,
            VALUE_KEY: str(state.value + 1),
            self.process: f"{count}:{self._attempts}",
        }
        arguments = {
            "attempt": self._attempts,
            "count": count,
            "base_resource_version": state.resource_version,
            "base_value": state.value,
            "value": state.value + 1,
        }
        self._history.append(self.process, EventType.INVOKE, INCREMENT, arguments)
        answer = await client.put(self._options.path, self._body(state, data))
        self._end(answer)
        return answer

    def _body(self, state: CounterState, data: Mapping[str, str]) -> dict[str, Any]:
        metadata = {"name": self._options.name, "namespace": self._options.namespace}
        if not self._options.blind:
            metadata["resourceVersion"] = state.resource_version
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": dict(data)}

    def _end(self, answer: Answer) -> None:
        result: dict[str, Any] = {} if answer.status is None else {"status": answer.status}
        kind = EventType.INFO
        if answer.outcome is Outcome.FAILED:
            kind = EventType.FAIL
        elif answer.outcome is Outcome.DONE:
            try:
                state = CounterState.of_object(answer.body)
            except ValueError as error:
                self._history.append(
                    self.process, EventType.INFO, INCREMENT, result, error=str(error)
                )
                return
            kind = EventType.OK
            result = {"resource_version": state.resource_version, "new_value": state.value}
        self._history.append(self.process, kind, INCREMENT, result, error=answer.error)


def increments_of(data: Mapping[str, str], writer: str) -> int:
    """How many increments of this writer the object says are in it."""
    return int(data.get(writer, "0:0").partition(":")[0])


def _end_read(
    history: HistoryWriter, process: str, operation: str, answer: Answer
) -> CounterState | None:
    error = answer.error
    if answer.outcome is Outcome.DONE:
        try:
            state = CounterState.of_object(answer.body)
        except ValueError as problem:
            error = str(problem)
        else:
            history.append(process, EventType.OK, operation, state.as_result())
            return state
    result = {} if answer.status is None else {"status": answer.status}
    history.append(process, EventType.FAIL, operation, result, error=error)
    return None
