"""A connection to Milvus that is made late, made again when lost, and never waits for ever."""

import logging
import os
import socket
from collections.abc import Callable
from threading import Lock
from typing import Any, TypeVar
from urllib.parse import urlsplit

from audiosearch.engine.errors import EngineError, IndexUnavailable, IndexUnreadable, SpaceMissing

log = logging.getLogger(__name__)
T = TypeVar("T")

CONNECT_S = 2.0
MISSING = frozenset({4, 100, 1600})
"""Collection or alias not found (4: Lite's older number for it)."""
NOT_LOADED = 101
UNEXPECTED = 1
"""What Lite says of errors that it does not know, such as files that it cannot read."""
AWAY = frozenset({2, 5, 106, 502, 503, 901, 902})
"""Server not ready: unavailable, not fully loaded, no replica, channel or node to ask yet."""


class NotLoaded(EngineError):
    """The collection is there but not in memory, as Lite leaves it when it starts."""

    code = "index_not_loaded"
    retryable = True


class MilvusConnection:
    """One pymilvus client per process, shared by its threads.

    Nothing is opened before the first `call`. A process forked off opens its own. A connection on
    which the server was found gone is thrown away, and the next `call` opens another.
    """

    def __init__(self, uri: str, *, token: str, timeout_s: float) -> None:
        self._uri = uri
        self._token = token
        self._timeout_s = timeout_s
        self._lock = Lock()
        self._client: Any = None
        self._pid = 0
        self.lite = False

    def call(self, work: Callable[[Any], T]) -> T:
        """What `work` returns, given a pymilvus client.

        Raises IndexUnavailable when the server is not there or too slow, SpaceMissing when it has
        no such collection, NotLoaded, and EngineError when it refuses.
        """
        import grpc
        from pymilvus.exceptions import MilvusException

        client = None
        try:
            client = self._connected()
            return work(client)
        except (MilvusException, grpc.RpcError, grpc.FutureTimeoutError, OSError) as error:
            problem = _translate(error, self._uri, lite=self.lite)
            if type(problem) is IndexUnavailable and not _is_timeout(error):
                self._discard(client)
            raise problem from error

    def _connected(self) -> Any:
        """The client; while one thread waits for a server that is mute, others soon give up."""
        client = self._client
        if client is not None and self._pid == os.getpid():
            return client
        if not self._lock.acquire(timeout=min(CONNECT_S, self._timeout_s)):
            raise TimeoutError("Another thread is still connecting.")
        try:
            if self._client is None or self._pid != os.getpid():
                self._client = self._open()
                self._pid = os.getpid()
            return self._client
        finally:
            self._lock.release()

    def _open(self) -> Any:
        """A new client; fails at once, rather than at the deadline, where nobody listens."""
        from pymilvus import MilvusClient

        logging.getLogger("pymilvus").setLevel(logging.CRITICAL)  # it prints what it raises
        patience = min(CONNECT_S, self._timeout_s)
        address = urlsplit(self._uri)
        if address.scheme in ("http", "https", "tcp"):
            port = address.port or (443 if address.scheme == "https" else 19530)
            socket.create_connection((address.hostname or "localhost", port), patience).close()
        client = MilvusClient(
            self._uri,
            token=self._token,
            timeout=patience,
            dedicated=True,
            grpc_options={
                "grpc.keepalive_permit_without_calls": False,
                "grpc.use_local_subchannel_pool": 1,  # a fork must not share its parent's sockets
            },
        )
        self.lite = "lite" in client.get_server_type() or client.get_server_version(
            timeout=patience
        ).startswith("milvus_lite")
        return client

    def _discard(self, client: Any) -> None:
        with self._lock:
            if client is not None and self._client is client:
                self._client = None
                client.close()


def _translate(error: Exception, uri: str, *, lite: bool) -> EngineError:
    code = getattr(error, "code", None)
    code = code() if callable(code) else code
    where = urlsplit(uri).netloc.rpartition("@")[2] or uri
    if code == NOT_LOADED:
        return NotLoaded("The vector index has not loaded this space yet.")
    if code in MISSING or "can't find collection" in str(error):  # said while an alias is switched
        return SpaceMissing("The vector index has no such space.")
    if _is_timeout(error):
        return IndexUnavailable(f"The vector index at {where} does not answer in time.")
    if isinstance(error, OSError) or not isinstance(code, int) or code in AWAY or _is_closed(error):
        return IndexUnavailable(f"The vector index at {where} cannot be reached.")
    # What it says may name folders of the server, which are nobody's business but the operator's.
    log.warning("the vector index refused a request: %s", error)
    if "No space left on device" in str(error):
        return IndexUnavailable(
            "The disk of the vector index is full; it goes on once there is room."
        )
    if lite and code == UNEXPECTED and "already exists" not in str(error):
        return IndexUnreadable(
            "The vector index cannot be read; it is rebuilt from the kept vectors by itself."
        )
    return EngineError("The vector index refused the request; the log says why.")


def _is_timeout(error: Exception) -> bool:
    return "DEADLINE_EXCEEDED" in str(error)


def _is_closed(error: Exception) -> bool:
    """Another thread found the server gone and closed the channel under this call."""
    return "closed channel" in str(error)
