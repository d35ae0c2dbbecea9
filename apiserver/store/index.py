"""The objects of the cache in key order. PURE: the cacher alone writes it.

One ordered index serves every resource: a collection is the range of keys under its prefix, just
as in the store, so resources that appear later (custom ones) need no registration.
"""

from collections.abc import Iterator

from sortedcontainers import SortedDict

from apiserver.store.objects import StoredObject


def prefix_end(prefix: str) -> str:
    """The first key after all that start with `prefix`; prefixes here end in ASCII."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)


class KeyIndex:
    """Ordered map from key to the object stored there."""

    def __init__(self) -> None:
        self._objects: SortedDict[str, StoredObject] = SortedDict()
        self._dict: dict[str, StoredObject] = self._objects

    def __len__(self) -> int:
        return len(self._dict)

    def get(self, key: str) -> StoredObject | None:
        """The object at `key`, or None."""
        return self._dict.get(key)

    def replace(self, key: str, current: StoredObject | None) -> StoredObject | None:
        """Put `current` (None removes) at `key` and return what stood there."""
        previous = self._dict.get(key)
        if current is not None:
            self._objects[key] = current
        elif previous is not None:
            del self._objects[key]
        return previous

    def scan(self, prefix: str, start: str = "") -> Iterator[StoredObject]:
        """The objects under `prefix` in key order, from key `start` (inclusive) on."""
        objects = self._dict
        for key in self._objects.irange(
            max(prefix, start), prefix_end(prefix), inclusive=(True, False)
        ):
            yield objects[key]

    def count(self, prefix: str, start: str = "") -> int:
        """How many objects `scan` would yield, in logarithmic time."""
        low = self._objects.bisect_left(max(prefix, start))
        high = self._objects.bisect_left(prefix_end(prefix))
        return max(0, int(high) - int(low))

    def items(self) -> Iterator[tuple[str, StoredObject]]:
        """All keys and objects in key order."""
        return iter(self._objects.items())
