# SPDX-License-Identifier: Apache-2.0
# `ebb watch` as the tests use it: the server, requests byte by byte, a stream that is listened to.
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time

PATIENCE_S = 30


def wait_until(is_true, seconds=PATIENCE_S):
    """True as soon as it holds; False after that long. Nothing is measured by it."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if is_true():
            return True
        time.sleep(0.02)
    return bool(is_true())


class Server:
    """`ebb watch ARGUMENTS` on a port of its own."""

    def __init__(self, *arguments, prefix=()):
        command = [*prefix, os.environ["EBB"], "watch", "--port", "0", *arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        text=True)
        self.url = self.process.stdout.readline().strip()
        found = re.fullmatch(r"http://(.*):(\d+)/(?:#token=(.*))?", self.url)
        if not found:
            raise RuntimeError(f"no address: {self.url!r} {self.process.stderr.read()}")
        self.host, self.port, self.token = found[1], int(found[2]), found[3]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.process.stderr.close()

    def connect(self):
        return socket.create_connection((self.host.strip("[]"), self.port), timeout=PATIENCE_S)

    def raw(self, data, half_close=False):
        """All that comes back for these bytes until the server closes; b"" if that is nothing."""
        with self.connect() as link:
            try:
                link.sendall(data)
                if half_close:
                    link.shutdown(socket.SHUT_WR)
                return read_all(link)
            except OSError:
                return b""

    def get(self, path, method="GET", headers=None, body=b"", host=None):
        """(status, headers, body) of one request; status 0 where there was no answer."""
        lines = [f"{method} {path} HTTP/1.1", f"Host: {host or f'{self.host}:{self.port}'}",
                 "Connection: close"]
        if self.token and not (headers and "Authorization" in headers):
            lines.append(f"Authorization: Bearer {self.token}")
        if body:
            lines.append(f"Content-Length: {len(body)}")
        lines += [f"{name}: {value}" for name, value in (headers or {}).items() if value]
        return parse(self.raw("\r\n".join([*lines, "", ""]).encode("latin-1") + body))

    def json(self, path):
        status, _, body = self.get(path)
        return json.loads(body) if status == 200 else {"status": status, "body": body}

    def peak_bytes(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as file:
            return int(re.search(r"VmHWM:\s+(\d+) kB", file.read())[1]) * 1024

    def stop(self):
        """The exit status after Ctrl-C."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(timeout=PATIENCE_S)


def read_all(link):
    """Until the other end closes; of an answer that has no end, what came meanwhile."""
    pieces, end = [], time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        piece = link.recv(1 << 20)
        if not piece:
            return b"".join(pieces)
        pieces.append(piece)
    return b"".join(pieces)


def parse(answer):
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    found = re.match(r"HTTP/1\.1 (\d+)", lines[0])
    headers = {}
    for line in lines[1:]:
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    if headers.get("transfer-encoding") == "chunked":
        body = unchunk(body)
    return (int(found[1]) if found else 0), headers, body


def unchunk(body):
    pieces, at = [], 0
    while at < len(body):
        end = body.index(b"\r\n", at)
        length = int(body[at:end], 16)
        pieces.append(body[end + 2:end + 2 + length])
        at = end + 2 + length + 2
    return b"".join(pieces)


class Listener:
    """A client of /api/stream, which counts what it hears in a thread of its own."""

    def __init__(self, server):
        self.batches, self.has_ended = [], False
        self.link = server.connect()
        token = f"Authorization: Bearer {server.token}\r\n" if server.token else ""
        self.link.sendall(f"GET /api/stream HTTP/1.1\r\nHost: localhost\r\n{token}\r\n".encode())
        self.thread = threading.Thread(target=self.listen, daemon=True)
        self.thread.start()

    def listen(self):
        try:
            for line in self.link.makefile("rb"):
                if line.startswith(b"data: "):
                    self.batches.append(json.loads(line[6:]))
        except OSError:
            pass
        self.has_ended = True

    def goes_on(self):
        """Two more batches have come since it was asked."""
        before = len(self.batches)
        return wait_until(lambda: len(self.batches) >= before + 2)

    def close(self):
        # Wakes the thread, which holds the file.
        self.link.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.link.close()


if __name__ == "__main__":
    sys.exit("a module of the tests")
