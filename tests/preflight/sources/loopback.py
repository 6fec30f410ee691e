"""A real server on 127.0.0.1, in a thread, that answers as a test says."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

DATA = bytes(range(256)) * 8192
"""Two MiB that stand for a checkpoint, in several pieces."""


@dataclass
class Answer:
    """What the server says to one request; where it has ranges, it says the part that was asked for.

    Attributes:
        breaks: closes the connection after so many bytes; None: never.
        length: what it says of the length; None: the truth.
    """

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    etag: str | None = '"one"'
    ranges: bool = True
    breaks: int | None = None
    length: int | None = None


@dataclass
class Asked:
    """A request that came."""

    method: str
    path: str
    headers: dict[str, str]


@dataclass
class Loopback:
    """The server, as a test sees it."""

    address: str
    asked: list[Asked]


Says = Callable[[Asked, int], Answer]
"""From a request, and how many came before, to its answer."""


def one_after_another(*answers: Answer) -> Says:
    """Answers in turn, the last one again and again."""
    return lambda asked, before: answers[min(before, len(answers) - 1)]


@contextmanager
def served(says: Says | Answer) -> Iterator[Loopback]:
    """Serve for the duration of a `with` block."""
    asked: list[Asked] = []
    answers = one_after_another(says) if isinstance(says, Answer) else says

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            request = Asked(self.command, self.path, {name.lower(): value for name, value in self.headers.items()})
            asked.append(request)
            _say(self, request, answers(request, len(asked) - 1))

        def do_HEAD(self) -> None:
            self.do_GET()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        yield Loopback(f"http://127.0.0.1:{server.server_port}", asked)
    finally:
        server.shutdown()
        server.server_close()


def _say(handler: BaseHTTPRequestHandler, asked: Asked, answer: Answer) -> None:
    body, status, headers = answer.body, answer.status, dict(answer.headers)
    if answer.etag is not None:
        headers["ETag"] = answer.etag
    span = re.fullmatch(r"bytes=(\d+)-", asked.headers.get("range", ""))
    if span and answer.ranges and status == 200 and asked.headers.get("if-range", answer.etag) == answer.etag:
        begin = int(span[1])
        status = 206 if begin < len(body) else 416
        headers["Content-Range"] = f"bytes {f'{begin}-{len(body) - 1}' if status == 206 else '*'}/{len(body)}"
        body = body[begin:]
    handler.send_response(status)
    headers.setdefault("Content-Length", str(len(body) if answer.length is None else answer.length))
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.end_headers()
    if asked.method == "GET":
        handler.wfile.write(body if answer.breaks is None else body[: answer.breaks])
    handler.close_connection = answer.breaks is not None or answer.length is not None
