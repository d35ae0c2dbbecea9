"""What the store answers when it cannot do what was asked: etcd's gRPC codes and texts.

Owns the one error type that crosses from the node to the services in front of it. Clients match on
the texts, so they are etcd's to the byte (etcd api/v3rpc/rpctypes/error.go). Each error also says
whether the operation surely did not happen; an operation that may be in a log is never definite.
"""

from __future__ import annotations

import enum


class Code(enum.IntEnum):
    """gRPC status codes by number, so that nothing below the services needs to import grpc."""

    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


class StoreError(Exception):
    """An operation that was not answered with success.

    `code` and `text` are the gRPC status a client sees. `definite` is True when the operation
    surely has not happened and never will, False when it may have happened or may still happen.
    """

    def __init__(self, code: Code, text: str, *, definite: bool) -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.definite = definite

    def __repr__(self) -> str:
        outcome = "definite" if self.definite else "unknown"
        return f"StoreError({self.code.name}, {self.text!r}, {outcome})"


class MemberEndedError(Exception):
    """This member must not go on under its identity, ever. The text names cause and remedy."""


def no_leader() -> StoreError:
    """No member leads; the operation was never handed to one."""
    return StoreError(Code.UNAVAILABLE, "etcdserver: no leader", definite=True)


def not_leader() -> StoreError:
    """Only the leader can answer, and this member is not it."""
    return StoreError(Code.FAILED_PRECONDITION, "etcdserver: not leader", definite=True)


def leader_changed(*, definite: bool) -> StoreError:
    """Leadership moved before the operation was done."""
    return StoreError(Code.UNAVAILABLE, "etcdserver: leader changed", definite=definite)


def timed_out(*, definite: bool) -> StoreError:
    """The operation took longer than the request timeout."""
    return StoreError(Code.UNAVAILABLE, "etcdserver: request timed out", definite=definite)


def timed_out_leader_failure(*, definite: bool) -> StoreError:
    """The operation was waiting when the leader that held it failed."""
    text = "etcdserver: request timed out, possibly due to previous leader failure"
    return StoreError(Code.UNAVAILABLE, text, definite=definite)


def timed_out_applied_index() -> StoreError:
    """This member did not catch up with a confirmed read index in time. A read, so definite."""
    text = "etcdserver: request timed out, waiting for the applied index took too long"
    return StoreError(Code.UNAVAILABLE, text, definite=True)


def timed_out_leader_transfer() -> StoreError:
    """The leader did not hand over in time; it goes on leading."""
    text = "etcdserver: request timed out, leader transfer took too long"
    return StoreError(Code.UNAVAILABLE, text, definite=False)


def bad_leader_transferee() -> StoreError:
    """The member asked to take over is not a voter of this cluster."""
    text = "etcdserver: bad leader transferee"
    return StoreError(Code.FAILED_PRECONDITION, text, definite=True)


def too_many_requests() -> StoreError:
    """A bounded queue of this member is full; nothing was queued."""
    text = "etcdserver: too many requests"
    return StoreError(Code.RESOURCE_EXHAUSTED, text, definite=True)


def request_too_large() -> StoreError:
    """The request is larger than `--max-request-bytes`."""
    text = "etcdserver: request is too large"
    return StoreError(Code.INVALID_ARGUMENT, text, definite=True)


def stopped(*, definite: bool) -> StoreError:
    """This member is stopping."""
    return StoreError(Code.UNAVAILABLE, "etcdserver: server stopped", definite=definite)


def member_not_found() -> StoreError:
    """No member has that id."""
    return StoreError(Code.NOT_FOUND, "etcdserver: member not found", definite=True)


def member_exists() -> StoreError:
    """A member, present or removed, already has that id."""
    text = "etcdserver: member ID already exist"
    return StoreError(Code.FAILED_PRECONDITION, text, definite=True)


def peer_urls_exist() -> StoreError:
    """Another member already has one of these peer URLs."""
    text = "etcdserver: Peer URLs already exists"
    return StoreError(Code.FAILED_PRECONDITION, text, definite=True)


def member_not_learner() -> StoreError:
    """Only a learner can be promoted."""
    text = "etcdserver: can only promote a learner member"
    return StoreError(Code.FAILED_PRECONDITION, text, definite=True)


def learner_not_ready() -> StoreError:
    """A learner that lags would hold up the cluster as a voter."""
    text = "etcdserver: can only promote a learner member which is in sync with leader"
    return StoreError(Code.FAILED_PRECONDITION, text, definite=True)


def unhealthy_cluster() -> StoreError:
    """Voters are missing: the change would put the quorum at risk."""
    return StoreError(Code.UNAVAILABLE, "etcdserver: unhealthy cluster", definite=True)


def too_many_learners() -> StoreError:
    """Etcd's default allows one learner at a time."""
    text = "etcdserver: too many learner members in cluster"
    return StoreError(Code.FAILED_PRECONDITION, text, definite=True)


def not_enough_started_members() -> StoreError:
    """Removing this member would leave no quorum (here: no voter at all)."""
    text = "etcdserver: re-configuration failed due to not enough started members"
    return StoreError(Code.FAILED_PRECONDITION, text, definite=True)
