"""Which of many key ranges hold a given key, without looking at them all.

Owns a treap: a search tree by range, a heap by priority, where each node knows the furthest end
below it. The priority is a checksum of the range, so the tree has a random shape, yet the same one
in every run.
Source: Seidel and Aragon, "Randomized search trees"; Cormen et al., chapter "Augmenting data
structures" for the interval part.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, TypeVar
from zlib import crc32

from raftstore.mvcc.key_range import KeyRange

T = TypeVar("T")

_Order = tuple[bytes, bool, bytes]


class _Node(Generic[T]):
    """Invariant: `furthest` is the latest end in the subtree; None is the end of the key space."""

    __slots__ = ("furthest", "keys", "left", "order", "priority", "right", "value")

    def __init__(self, keys: KeyRange, value: T) -> None:
        self.keys = keys
        self.value = value
        self.order = _order(keys)
        self.priority = crc32(keys.end or b"", crc32(keys.start))
        self.left: _Node[T] | None = None
        self.right: _Node[T] | None = None
        self.furthest = keys.end

    def measure(self) -> None:
        """Restore the invariant from the children's."""
        furthest = self.keys.end
        for child in (self.left, self.right):
            if child is not None and furthest is not None:
                below = child.furthest
                furthest = None if below is None else max(furthest, below)
        self.furthest = furthest


class IntervalTree(Generic[T]):
    """A map from key ranges to values that can be asked which ranges hold a key."""

    def __init__(self) -> None:
        self._root: _Node[T] | None = None
        self._values: dict[KeyRange, T] = {}

    def __len__(self) -> int:
        return len(self._values)

    def get(self, keys: KeyRange) -> T | None:
        """The value of exactly this range."""
        return self._values.get(keys)

    def add(self, keys: KeyRange, value: T) -> None:
        """Map a range that has no value yet."""
        assert keys not in self._values, keys
        self._values[keys] = value
        self._root = _insert(self._root, _Node(keys, value))

    def remove(self, keys: KeyRange) -> None:
        """Forget a range."""
        del self._values[keys]
        self._root = _remove(self._root, _order(keys))

    def stab(self, key: bytes) -> Iterator[T]:
        """The values of all ranges that hold the key, by range."""
        pending: list[_Node[T]] = []
        node = self._root
        while node is not None or pending:
            while node is not None and (node.furthest is None or key < node.furthest):
                pending.append(node)
                node = node.left
            if not pending:
                return
            node = pending.pop()
            if key < node.keys.start:
                return
            if node.keys.end is None or key < node.keys.end:
                yield node.value
            node = node.right


def _order(keys: KeyRange) -> _Order:
    return keys.start, keys.end is None, keys.end or b""


def _insert(root: _Node[T] | None, added: _Node[T]) -> _Node[T]:
    if root is None:
        return added
    if added.priority > root.priority:
        added.left, added.right = _split(root, added.order)
        added.measure()
        return added
    if added.order < root.order:
        root.left = _insert(root.left, added)
    else:
        root.right = _insert(root.right, added)
    root.measure()
    return root


def _split(root: _Node[T] | None, order: _Order) -> tuple[_Node[T] | None, _Node[T] | None]:
    """The nodes before `order`, and those after it."""
    if root is None:
        return None, None
    if root.order < order:
        root.right, after = _split(root.right, order)
        root.measure()
        return root, after
    before, root.left = _split(root.left, order)
    root.measure()
    return before, root


def _remove(root: _Node[T] | None, order: _Order) -> _Node[T] | None:
    assert root is not None, order
    if order == root.order:
        return _join(root.left, root.right)
    if order < root.order:
        root.left = _remove(root.left, order)
    else:
        root.right = _remove(root.right, order)
    root.measure()
    return root


def _join(before: _Node[T] | None, after: _Node[T] | None) -> _Node[T] | None:
    if before is None:
        return after
    if after is None:
        return before
    if before.priority > after.priority:
        before.right = _join(before.right, after)
        before.measure()
        return before
    after.left = _join(before, after.left)
    after.measure()
    return after
