"""Which keys a request means, from etcd's pair of `key` and `range_end`.

Source: etcd API reference, "Key ranges".
"""

from __future__ import annotations

from typing import Final, NamedTuple

TO_THE_END: Final = b"\0"
"""As `range_end`: every key from `key` on."""


class KeyRange(NamedTuple):
    """The keys from `start` up to, not including, `end`; None means to the end of the key space."""

    start: bytes
    end: bytes | None

    @classmethod
    def of(cls, key: bytes, range_end: bytes) -> KeyRange:
        """The range of a request: no `range_end` is the key alone, `\\0` everything from it on."""
        if not range_end:
            return cls(key, key + b"\0")
        return cls(key, None if range_end == TO_THE_END else range_end)

    @property
    def is_empty(self) -> bool:
        """Whether no key can be in it."""
        return self.end is not None and self.end <= self.start

    def __contains__(self, key: object) -> bool:
        """Whether the range has this key (bytes)."""
        assert isinstance(key, bytes)
        return self.start <= key and (self.end is None or key < self.end)
