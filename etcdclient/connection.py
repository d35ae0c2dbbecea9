"""One endpoint: its channel, its callables, its pipe, and whether it is set aside or doubted.

A process that hangs keeps its connections open and answers nothing; only silence tells. An endpoint
that owes answers and gives none is doubted: asked for its status, and avoided until that comes.
Judges every failure once, where it happens (etcdclient/errors.py). Decides nothing about other
endpoints: that is `endpoints`.
"""

from __future__ import annotations

import asyncio
import logging
import urllib.parse
from typing import TypeVar

import grpc.aio
from google.protobuf.message import Message

from etcdclient import errors
from etcdclient.pb.rpc_pb2 import StatusRequest
from etcdclient.pipe import Pipe
from etcdclient.rpcs import STATUS, TRANSACT, Rpc
from etcdclient.tls import TlsFiles

log = logging.getLogger(__name__)

Request = TypeVar("Request", bound=Message)
Response = TypeVar("Response", bound=Message)

SET_ASIDE_S = 0.05
SET_ASIDE_MAX_S = 1.0
SILENCE_MAX_S = 1.0
"""How long an endpoint may owe answers, and give none at all, before it is doubted."""
PROBE_TIMEOUT_S = 0.5

# gRPC's own back-off begins at seconds, far above our failover goal. Keepalive stays above the 5 s
# that etcd's server demands between pings (--grpc-keepalive-min-time), or it hangs up.
CHANNEL_OPTIONS: tuple[tuple[str, int], ...] = (
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 500),
    ("grpc.max_reconnect_backoff_ms", 500),
    ("grpc.keepalive_time_ms", 6_000),
    ("grpc.keepalive_timeout_ms", 2_000),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.enable_http_proxy", 0),
    ("grpc.service_config_disable_resolution", 1),
    ("grpc.use_local_subchannel_pool", 1),
)


class Connection:
    """The way to one endpoint, `https://host:port` (or `http://` without TLS)."""

    def __init__(self, endpoint: str, tls: TlsFiles | None) -> None:
        self.endpoint = endpoint
        self.failures = 0
        self.set_aside_until = 0.0
        self._owed = 0
        self._silent_since = 0.0
        self._probe: asyncio.Task[None] | None = None
        self._channel = _open_channel(endpoint, tls)
        self._callables: dict[str, grpc.aio.UnaryUnaryMultiCallable[Message, Message]] = {}
        self.pipe = Pipe(TRANSACT.stream(self._channel), endpoint)

    def is_ready(self) -> bool:
        """Whether a call sent now would leave at once."""
        return self._channel.get_state() is grpc.ChannelConnectivity.READY

    def connect(self) -> bool:
        """Begin to connect unless connected, and say whether it is worth waiting for."""
        state = self._channel.get_state(try_to_connect=True)
        return state is not grpc.ChannelConnectivity.TRANSIENT_FAILURE

    def set_aside(self, now: float) -> None:
        """Prefer other endpoints for a while, for longer each time in a row."""
        self.set_aside_until = now + min(SET_ASIDE_S * 2**self.failures, SET_ASIDE_MAX_S)
        self.failures = min(self.failures + 1, 10)

    def restore(self) -> None:
        """The endpoint answered: forget its failures."""
        self.failures = 0
        self.set_aside_until = 0.0

    def asked(self, now: float) -> None:
        """A call was made; `answered` must follow."""
        if not self._owed:
            self._silent_since = now
        self._owed += 1

    def answered(self, now: float, *, in_time: bool | None) -> None:
        """A call has ended: with any answer, for want of one, or (None) as its caller left."""
        self._owed -= 1
        if in_time:
            self._silent_since = now
        elif in_time is not None:
            self._doubt()

    def is_doubted(self, now: float) -> bool:
        """Whether it has owed answers for so long that it may hang; begins to find out."""
        if self._owed and now - self._silent_since > SILENCE_MAX_S:
            self._doubt()
        return self._probe is not None and not self._probe.done()

    def _doubt(self) -> None:
        if self._probe is None or self._probe.done():
            loop = asyncio.get_running_loop()
            self._probe = loop.create_task(self._ask_status(), name=f"probe {self.endpoint}")

    async def _ask_status(self) -> None:
        """Until it answers: a member says how it stands whatever state the cluster is in."""
        loop = asyncio.get_running_loop()
        while True:
            started = loop.time()
            try:
                await self.unary(
                    STATUS, StatusRequest(), kind=errors.Kind.READ, timeout_s=PROBE_TIMEOUT_S
                )
            except errors.EtcdError as error:
                log.info("%s does not answer: %s", self.endpoint, error)
                await asyncio.sleep(max(0.0, started + PROBE_TIMEOUT_S - loop.time()))
            else:
                self._silent_since = loop.time()
                return

    async def unary(
        self, rpc: Rpc[Request, Response], request: Request, *, kind: errors.Kind, timeout_s: float
    ) -> Response:
        """One call. Raises EtcdError that says whether a write may have happened."""
        call = self._callables.get(rpc.path)
        if call is None:
            call = self._callables[rpc.path] = rpc.unary(self._channel)  # type: ignore[assignment]
        try:
            return await call(request, timeout=timeout_s)  # type: ignore[return-value,misc]
        except grpc.aio.AioRpcError as error:
            raise errors.from_rpc_error(error, kind, self.endpoint) from None

    def stream(
        self, rpc: Rpc[Request, Response], *, metadata: tuple[tuple[str, str], ...] = ()
    ) -> grpc.aio.StreamStreamCall[Request, Response]:
        """One stream, both ways; the caller must cancel it."""
        return rpc.stream(self._channel)(metadata=metadata)

    async def close(self) -> None:
        """End the pipe and the channel; calls in flight fail."""
        if self._probe is not None:
            self._probe.cancel()
            await asyncio.wait((self._probe,))
        await self.pipe.close()
        await self._channel.close()


def _open_channel(endpoint: str, tls: TlsFiles | None) -> grpc.aio.Channel:
    parts = urllib.parse.urlsplit(endpoint)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.path not in ("", "/"):
        raise ValueError(f"endpoint {endpoint!r} is not https://host:port or http://host:port")
    if parts.scheme == "http":
        return grpc.aio.insecure_channel(parts.netloc, options=CHANNEL_OPTIONS)
    credentials = grpc.ssl_channel_credentials() if tls is None else tls.credentials()
    return grpc.aio.secure_channel(parts.netloc, credentials, options=CHANNEL_OPTIONS)
