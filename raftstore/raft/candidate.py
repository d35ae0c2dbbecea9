"""A candidate, and the pre-candidate that asks before it raises its term (§5.2, thesis §9.6)."""

from typing import TYPE_CHECKING, assert_never

from raftstore.raft.messages import CAMPAIGN_TRANSFER, Message, MessageKind
from raftstore.raft.quorum import VoteResult, count_votes
from raftstore.raft.types import NO_MEMBER, Entry, MemberId, ProposalDropped, Role

if TYPE_CHECKING:
    from raftstore.raft.core import Raft


class Candidate:
    """One election. Lives for one term (or one try of a pre-vote), so late answers cannot count."""

    def __init__(self, raft: "Raft", *, pre_vote: bool) -> None:
        self.raft = raft
        self.role = Role.PRE_CANDIDATE if pre_vote else Role.CANDIDATE
        self._pre_vote = pre_vote
        self.votes: dict[MemberId, bool] = {raft.id: True}
        """First answer of each member; a repeated one changes nothing."""

    def request_votes(self, *, transfer: bool) -> None:
        """Ask the other voters, and judge at once whether our own vote is enough."""
        raft = self.raft
        for voter in raft.conf_state.voters:
            if voter != raft.id:
                raft.send(
                    Message(
                        kind=MessageKind.PRE_VOTE if self._pre_vote else MessageKind.VOTE,
                        to=voter,
                        term=raft.next_term if self._pre_vote else raft.term,
                        index=raft.log.last_index,
                        log_term=raft.log.last_term,
                        context=CAMPAIGN_TRANSFER if transfer else b"",
                    )
                )
        self.maybe_decide()

    def tick(self) -> None:
        self.raft.tick_election()

    def step(self, message: Message) -> None:
        kind = message.kind
        match kind:
            case MessageKind.APP | MessageKind.HEARTBEAT | MessageKind.SNAP:
                # Another won this term (§5.2), or our own pre-vote found its leader alive.
                self.raft.become_follower(self.raft.term, message.from_)
                self.raft.step(message)
            case MessageKind.VOTE_RESP:
                if not self._pre_vote:
                    self._on_vote(message)
            case MessageKind.PRE_VOTE_RESP:
                # A grant names the term it was asked for; one for an earlier term is late.
                if self._pre_vote and (message.reject or message.term == self.raft.next_term):
                    self._on_vote(message)
            case (
                MessageKind.PROP
                | MessageKind.READ_INDEX
                | MessageKind.READ_INDEX_RESP
                | MessageKind.TRANSFER_LEADER
                | MessageKind.TIMEOUT_NOW
                | MessageKind.APP_RESP
                | MessageKind.HEARTBEAT_RESP
            ):
                pass  # no leader to pass it on to, or late
            case MessageKind.VOTE | MessageKind.PRE_VOTE:
                raise AssertionError("votes do not depend on the role")
            case _:
                assert_never(kind)

    def _on_vote(self, message: Message) -> None:
        self.votes.setdefault(message.from_, not message.reject)
        self.maybe_decide()

    def maybe_decide(self) -> None:
        """Become leader, follower, or go on waiting, as the votes say."""
        raft = self.raft
        match count_votes(self.votes, raft.conf_state.voters):
            case VoteResult.WON if self._pre_vote:
                raft.become_candidate(transfer=False)
            case VoteResult.WON:
                raft.become_leader()
            case VoteResult.LOST:
                raft.become_follower(raft.term, NO_MEMBER)
            case VoteResult.PENDING:
                pass

    def propose(self, entry: Entry) -> None:
        raise ProposalDropped("no leader is known")

    def read_index(self, context: bytes) -> None:
        self.raft.abort_read(context)

    def transfer_leadership(self, to: MemberId) -> None:
        """Nobody to ask."""
