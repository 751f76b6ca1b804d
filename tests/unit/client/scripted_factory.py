"""A real HTTP server on the loopback that answers what a test has written down, one answer a request."""

import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Answer:
    """One answer; `cut` hangs up after that many bytes of the body, -1 before any answer."""

    status: int = 200
    body: bytes = b"{}"
    headers: dict = field(default_factory=dict)
    cut: int | None = None


@dataclass
class Asked:
    """One request as it arrived."""

    method: str
    path: str
    headers: dict
    body: bytes


class ScriptedFactory:
    """Gives its answers in order; when they are used up, the last one again and again."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = []
        self._turn = threading.Lock()

    def next(self, asked):
        with self._turn:
            self.asked.append(asked)
            return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@contextmanager
def scripted(*answers):
    """Serve the answers; yields the URL and what was asked."""
    factory = ScriptedFactory(*answers)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one_request(self):
            self.raw_requestline = self.rfile.readline()
            if not self.raw_requestline or not self.parse_request():
                self.close_connection = True
                return
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            answer = factory.next(Asked(self.command, self.path, dict(self.headers), body))
            if answer.cut == -1:
                self.close_connection = True
                return
            begin = self.send_response_only if "date" in answer.headers else self.send_response
            begin(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(answer.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer.body[: answer.cut])
                self.wfile.flush()
                self.close_connection = answer.cut is not None

        def log_message(self, *_words):
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", factory
        finally:
            server.shutdown()
            thread.join()
