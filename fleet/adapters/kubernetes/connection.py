"""The one place that imports the `kubernetes` client. A call is made again while that can help; keys lie in memory only.

Of the client, `ApiClient` alone is used: its methods for each kind cannot say that a patch is an apply, log whole answers,
and make objects of all that comes, of which little is looked at.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from typing import Any, TypeVar

import msgspec

from fleet.adapters.kubernetes.access import Access, Endpoint
from fleet.adapters.kubernetes.answers import Answer, one_line
from fleet.adapters.kubernetes.certificates import end_of
from fleet.errors import UnavailableError, UsageError
from fleet.ports.clock import Clock

T = TypeVar("T")
APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
_MAY_PASS = frozenset({408, 429, 500, 502, 503, 504})


class Patience(msgspec.Struct, frozen=True):
    """Seconds: to connect, for an answer to begin or go on, and for one call with all its repetitions, which begin after
    `pause` and double up to `longest_pause`; `finalizers` for those of a Node that is deleted.
    """

    connect: float = 10.0
    answer: float = 20.0
    total: float = 60.0
    pause: float = 0.5
    longest_pause: float = 8.0
    finalizers: float = 60.0


class Call(msgspec.Struct, frozen=True):
    """`step` says what it is for, as an infinitive with the Node's name: `cordon the Node lyon-1-a`.

    An answer whose code is in `takes` is the caller's business; others that are not good are an error.
    """

    step: str
    method: str
    path: str
    query: Mapping[str, str] = {}
    body: Any = None
    content_type: str = "application/json"
    takes: Collection[int] = ()


class Connection:
    """To one API server. Opened by the first call; opened anew when it was lost or the credentials are no longer taken."""

    def __init__(self, access: Access, clock: Clock, patience: Patience) -> None:
        self._access = access
        self._clock = clock
        self._patience = patience
        self._client: Any = None
        self._held: list[int] = []
        self._endpoint: Endpoint | None = None

    def call(self, call: Call) -> Answer:
        """Raises UnavailableError with the server and the step."""
        ends = self._clock.now() + self._patience.total
        pause = self._patience.pause
        is_fresh = False
        while True:
            answer, trouble = self._try(call)
            if answer is not None:
                if answer.is_good or answer.code in call.takes:
                    return answer
                if answer.code == 401 and not is_fresh:
                    # K3s renews certificates when it starts: what was read before may have ended.
                    self.close()
                    is_fresh = True
                    continue
                trouble = answer.words
                if answer.code not in _MAY_PASS:
                    raise self._refused(call, answer)
            wait = max(answer.retry_after if answer else 0.0, pause)
            if self._clock.now() + wait > ends:
                raise UnavailableError(f"the API server of {self._access.server} could not {call.step}: {trouble}")
            self._clock.sleep(wait)
            pause = min(2 * pause, self._patience.longest_pause)

    def read(self, call: Call, kind: type[T]) -> T | None:
        """The answer as `kind`, None where it has a code that the call takes."""
        answer = self.call(call)
        return self.decode(answer, kind, call.step) if answer.is_good else None

    def decode(self, answer: Answer, kind: type[T], step: str) -> T:
        try:
            return msgspec.json.decode(answer.body, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError):
            server = self._access.server
            raise UnavailableError(f"what answers for {server} is no API server: could not {step}") from None

    def close(self) -> None:
        """Also forgets the credentials."""
        client, self._client, self._endpoint = self._client, None, None
        held, self._held = self._held, []
        try:
            if client is not None:
                client.rest_client.pool_manager.clear()
        finally:
            for descriptor in held:
                os.close(descriptor)
            self._access.close()

    def _try(self, call: Call) -> tuple[Answer | None, str]:
        """An answer, or why none came. Raises what no repetition would mend."""
        import urllib3.exceptions as lost

        client = self._opened()
        try:
            return self._ask(client, call), ""
        except lost.ReadTimeoutError:
            return None, f"it did not answer within {self._patience.answer:g} s"
        except (lost.ConnectTimeoutError, lost.NewConnectionError) as error:
            trouble = one_line(str(error).rpartition(": ")[2])
        except (lost.ProtocolError, lost.DecodeError, OSError):
            trouble = "the connection was lost"
        if not self._access.is_open():
            self.close()
        return None, trouble

    def _ask(self, client: Any, call: Call) -> Answer:
        from kubernetes.client.exceptions import ApiException

        headers = {"Accept": "application/json", "Content-Type": call.content_type}
        patience = (self._patience.connect, self._patience.answer)
        try:
            answer = client.call_api(
                call.path, call.method, header_params=headers, query_params=list(call.query.items()), body=call.body,
                auth_settings=["BearerToken"], _preload_content=False, _return_http_data_only=True,
                _request_timeout=patience,
            )  # fmt: skip
            return Answer(answer.status, answer.data)
        except ApiException as error:
            if not error.status:
                raise self._no_tls(call, str(error.reason)) from None
            return Answer(error.status, error.body or b"", _seconds(error.headers))

    def _opened(self) -> Any:
        if self._client is None:
            try:
                from kubernetes.client import ApiClient, Configuration
            except ImportError:
                raise UsageError(
                    "talking to Kubernetes needs the kubernetes package", "pip install 'edgefleet[kubernetes]'"
                ) from None
            self._endpoint = endpoint = self._access.open()
            config = Configuration()
            config.host = endpoint.url
            # No proxy of the environment's, and no repetition but ours: urllib3 would wait as long as Retry-After says.
            config.proxy, config.retries = None, False
            config.ssl_ca_cert = self._in_memory(endpoint.authority)
            if endpoint.certificate:
                config.cert_file = self._in_memory(endpoint.certificate)
                config.key_file = self._in_memory(endpoint.key)
            if endpoint.token:
                config.api_key = {"authorization": f"Bearer {endpoint.token}"}
            self._client = ApiClient(config)
        return self._client

    def _in_memory(self, content: bytes) -> str:
        """A path that names a file which no disk has; it lasts until the connection is closed."""
        try:
            handle = os.memfd_create("fleet-kubernetes", os.MFD_CLOEXEC)
        except OSError as error:
            raise UnavailableError(f"this system keeps no file in memory: {error.strerror}") from None
        self._held.append(handle)
        os.write(handle, content)
        return f"/proc/self/fd/{handle}"

    def _refused(self, call: Call, answer: Answer) -> UnavailableError:
        server = self._access.server
        if answer.code == 401:
            ended = end_of(self._endpoint.certificate if self._endpoint else b"", self._clock.now())
            hint = ended or "K3s writes new ones into /etc/rancher/k3s/k3s.yaml when it starts"
            return UnavailableError(
                f"the API server of {server} does not take the credentials: could not {call.step}", hint
            )
        return UnavailableError(f"the API server of {server} refuses to {call.step}: {answer.words}")

    def _no_tls(self, call: Call, reason: str) -> Exception:
        """A certificate that is not believed is no matter of patience; a handshake that was cut off is."""
        server = self._access.server
        if "CERTIFICATE_VERIFY_FAILED" not in reason:
            return ConnectionError(reason)
        if "certificate has expired" in reason:
            return UnavailableError(
                f"the certificate of the API server of {server} has expired: could not {call.step}",
                f"restart K3s on {server}: it renews its certificates when it starts",
            )
        words = one_line(reason.partition("\n")[2] or reason)
        return UnavailableError(f"the API server of {server} is not trusted: {words}: could not {call.step}")


def _seconds(headers: Any) -> float:
    """Of Retry-After, which Kubernetes writes in seconds."""
    text = str(headers.get("Retry-After", "")) if headers else ""
    return float(text) if text.isdigit() else 0.0
