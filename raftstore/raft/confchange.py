"""Single-server membership changes as a pure function (thesis §4.1)."""

from typing import assert_never

from raftstore.raft.types import ConfChange, ConfChangeKind, ConfState


def changed(conf: ConfState, change: ConfChange) -> ConfState:
    """The membership after `change`; the same as before if the change does not fit it.

    Every member computes this from the same log, so a change that does not fit is a no-op rather
    than an error: removing a stranger or the last voter, promoting a stranger, adding a voter as a
    learner. At most one voter comes or goes, so old and new majorities overlap.
    """
    voters, learners = set(conf.voters), set(conf.learners)
    member = change.member
    match change.kind:
        case ConfChangeKind.ADD_VOTER:
            voters.add(member)
            learners.discard(member)
        case ConfChangeKind.ADD_LEARNER:
            if member not in voters:
                learners.add(member)
        case ConfChangeKind.PROMOTE:
            if member in learners:
                learners.remove(member)
                voters.add(member)
        case ConfChangeKind.REMOVE:
            if voters != {member}:
                voters.discard(member)
                learners.discard(member)
        case ConfChangeKind.UPDATE:
            pass
        case _:
            assert_never(change.kind)
    result = ConfState(tuple(sorted(voters)), tuple(sorted(learners)))
    assert len(voters.symmetric_difference(conf.voters)) <= 1, (conf, change)
    return result
