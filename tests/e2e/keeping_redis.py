# SPDX-License-Identifier: Apache-2.0
# A redis that keeps what was deleted: filled, emptied down to a tenth, with a jemalloc that
# never purges by itself. Used by tests/e2e/purge.t and bench/purge.
import contextlib
import os
import socket
import threading
import time

from keeping import rss_bytes  # noqa: F401
from real_programs import Missing, free_port, listens, need, process, wait_for

KEYS, VALUE_BYTES = 280000, 1000


class Client:
    """Speaks redis' protocol over one raw socket."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.socket.makefile("rb")

    def ask(self, *words):
        self.socket.sendall(" ".join(words).encode() + b"\r\n")
        return self.answer()

    def answer(self):
        line = self.file.readline().rstrip()
        if line[:1] == b"$":
            return self.file.read(int(line[1:]) + 2)[:-2]
        return line[1:]

    def delete_most(self, keys):
        """All but the first tenth, some at a time."""
        for first in range(keys // 10, keys, 2000):
            names = [f"key:{i}" for i in range(first, min(first + 2000, keys))]
            self.socket.sendall(("DEL " + " ".join(names) + "\r\n").encode())
            self.answer()

    def close(self):
        self.file.close()
        self.socket.close()


class Pinger:
    """PINGs without a pause and remembers the longest answer and every wrong one."""

    def __init__(self, port):
        self.client, self.stop = Client(port), False
        self.longest_s = self.wrong = self.count = 0
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        while not self.stop:
            began = time.monotonic()
            self.wrong += self.client.ask("PING") != b"PONG"
            self.longest_s = max(self.longest_s, time.monotonic() - began)
            self.count += 1

    def end(self):
        self.stop = True
        self.thread.join()
        self.client.close()


@contextlib.contextmanager
def keeping_redis(folder, keys=KEYS, conf="dirty_decay_ms:-1"):
    """Yields (pid, port, client) of a redis that holds a tenth of what it once held."""
    port = free_port()
    command = [need("redis-server"), "--port", str(port), "--bind", "127.0.0.1", "--save", "",
               "--dir", folder, "--enable-debug-command", "local"]
    with process(command, f"{folder}/redis.log",
                 env={**os.environ, "MALLOC_CONF": conf}) as child:
        wait_for(listens(port), "redis")
        client = Client(port)
        if b"jemalloc" not in client.ask("INFO", "memory"):
            raise Missing("this redis has no jemalloc")
        client.ask("DEBUG", "POPULATE", str(keys), "key", str(VALUE_BYTES))
        client.delete_most(keys)
        try:
            yield child.pid, port, client
        finally:
            client.close()
