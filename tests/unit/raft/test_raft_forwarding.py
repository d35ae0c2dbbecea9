"""What a follower asks of its leader on behalf of its clients, when messages get lost."""

from raftstore.raft import MessageKind, ReadState
from raftstore.raft.types import Index
from tests.support.raft_network import Network, actor


def test_lost_questions_do_not_use_up_a_followers_reads_for_ever() -> None:
    """No answer ever frees them, and the leader may stay the same for months."""
    net = Network(*(actor(member, reads_max=3) for member in (1, 2, 3)))
    net.elect(1)
    net.lost = lambda m: m.kind is MessageKind.READ_INDEX
    for number in range(3):
        net[3].raft.read_index(b"lost %d" % number)
    net.settle()
    net.heal()
    net[3].raft.read_index(b"asked")
    net.settle()
    assert net[3].reads == [ReadState(b"asked", Index(1))]
    assert net[3].aborted == [b"lost 0"]
