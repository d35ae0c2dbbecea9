"""The interval tree finds exactly the ranges that hold a key, and does not look at all to do so."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from raftstore.mvcc.interval_tree import IntervalTree
from raftstore.mvcc.key_range import KeyRange

keys = st.binary(min_size=1, max_size=2)
ranges = st.builds(KeyRange, keys, st.one_of(st.none(), keys))


@given(
    added=st.sets(ranges, max_size=30),
    removed=st.sets(st.integers(0, 29), max_size=20),
    asked=st.lists(keys, max_size=10),
)
def test_stab_finds_what_a_scan_finds(
    added: set[KeyRange], removed: set[int], asked: list[bytes]
) -> None:
    tree: IntervalTree[KeyRange] = IntervalTree()
    left = []
    for keys in sorted(added, key=repr):
        tree.add(keys, keys)
    for number, keys in enumerate(sorted(added, key=repr)):
        if number in removed:
            tree.remove(keys)
            assert tree.get(keys) is None
        else:
            left.append(keys)
            assert tree.get(keys) is keys
    assert len(tree) == len(left)
    for key in asked:
        found = list(tree.stab(key))
        assert sorted(found, key=repr) == sorted((r for r in left if key in r), key=repr)


class CountingKey(bytes):
    """A key that counts how often it is compared."""

    comparisons = 0

    def __lt__(self, other: bytes) -> bool:
        CountingKey.comparisons += 1
        return bytes(self) < bytes(other)

    def __gt__(self, other: bytes) -> bool:
        CountingKey.comparisons += 1
        return bytes(self) > bytes(other)


def test_cost_does_not_grow_with_ranges_that_do_not_match() -> None:
    tree: IntervalTree[int] = IntervalTree()
    for number in range(5_000):
        tree.add(KeyRange(b"/%05d/" % number, b"/%05d0" % number), number)
    CountingKey.comparisons = 0
    assert list(tree.stab(CountingKey(b"/02500/object"))) == [2_500]
    assert 0 < CountingKey.comparisons < 150
