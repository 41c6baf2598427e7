# SPDX-License-Identifier: Apache-2.0
# What drives the servers: clients of their protocols, on loopback. Each returns what it was
# answered, as text that is the same whenever the server did the same.
import concurrent.futures
import hashlib
import re
import socket
import struct
import subprocess
import urllib.request

from programs import Failed

HOST = "127.0.0.1"
WAIT_S = 60
DNS_TYPES = {"A": 1, "TXT": 16}


def at_once(work, count):
    """work(0) to work(count - 1), each in a thread; their results in order."""
    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        return list(pool.map(work, range(count)))


def ask(command, text="", **options):
    """The output of a client that must succeed."""
    ran = subprocess.run(command, input=text, capture_output=True, text=True, errors="replace",
                         check=False, timeout=2 * WAIT_S, **options)
    if ran.returncode != 0:
        said = (ran.stderr or ran.stdout).strip().splitlines()[-1:]
        raise Failed(f"{command[0]}: status {ran.returncode} {' '.join(said)}")
    return ran.stdout


def digest(texts):
    total = hashlib.sha256()
    for text in texts:
        total.update(text.encode() if isinstance(text, str) else text)
    return total.hexdigest()[:16]


def ab(url, requests, clients, *options):
    """ApacheBench, without a line of what depends on time."""
    said = ask(["ab", "-q", "-n", str(requests), "-c", str(min(clients, requests)),
                *options, url])
    return ", ".join(re.findall(r"(?m)^(?:Complete requests|Failed requests|Document Length|"
                                r"Non-2xx responses): +\d+", said))


def bodies(urls, proxy=None):
    """The digest of what some URLs hold, one after the other."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler(
        {"http": f"http://{proxy}"} if proxy else {}))

    def body(url):
        with opener.open(url, timeout=WAIT_S) as answer:
            return answer.read()
    return digest(map(body, urls))


def dns_query(number, name, kind):
    """A question for a record; the name ends with a dot, and so with an empty label."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return (struct.pack(">HHHHHH", number & 0xffff, 0x100, 1, 0, 0, 0) + labels
            + struct.pack(">HH", DNS_TYPES[kind], 1))


def dns(port, records, clients=4):
    """The digest of all answers to questions for records: name, type, data."""
    def client(first):
        answers = []
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
            link.connect((HOST, port))
            link.settimeout(WAIT_S)
            for number in range(first, len(records), clients):
                link.send(dns_query(number, *records[number][:2]))
                answers.append(link.recv(4096))
        return digest(answers)
    return digest(at_once(client, clients))


def memcached(port, clients, values):
    """Each client sets and gets values of up to 5 KB. Returns how many came back as they were."""
    def client(number):
        good = 0
        with socket.create_connection((HOST, port), WAIT_S) as link, link.makefile("rwb") as file:
            for i in range(values):
                key, value = b"k%d_%d" % (number, i % 300), bytes([65 + i % 26]) * (i * 7 % 5000)
                file.write(b"set %s 0 0 %d\r\n%s\r\nget %s\r\n" % (key, len(value), value, key))
                file.flush()
                stored, _, back, _ = (file.readline() for _ in range(4))
                good += stored == b"STORED\r\n" and back == value + b"\r\n"
        return good
    return str(sum(at_once(client, clients)))


class Amqp:
    """As much of AMQP 0-9-1 as publishing and getting back take."""
    METHOD, HEADER, BODY, HEARTBEAT = 1, 2, 3, 8
    GET_EMPTY = struct.pack(">HH", 60, 72)

    def __init__(self, port):
        self.link = socket.create_connection((HOST, port), WAIT_S)
        self.file = self.link.makefile("rb")
        self.link.sendall(b"AMQP\0\0\x09\x01")
        self.read()  # start
        self.call(0, 10, 11, struct.pack(">I", 0) + self.short("PLAIN")
                  + self.long(b"\0guest\0guest") + self.short("en_US"))
        tune = self.read()
        self.call(0, 10, 31, tune[4:12])
        self.call(0, 10, 40, self.short("/") + b"\0\0")
        self.read()  # the connection is open
        self.call(1, 20, 10, b"\0")
        self.read()  # the channel is open

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()
        self.link.close()

    @staticmethod
    def short(text):
        return bytes([len(text)]) + text.encode()

    @staticmethod
    def long(data):
        return struct.pack(">I", len(data)) + data

    def frame(self, kind, channel, payload):
        self.link.sendall(struct.pack(">BHI", kind, channel, len(payload)) + payload + b"\xce")

    def call(self, channel, group, method, arguments):
        self.frame(self.METHOD, channel, struct.pack(">HH", group, method) + arguments)

    def read(self):
        """The payload of the next frame."""
        while True:
            head = self.file.read(7)
            if len(head) < 7:
                raise Failed("the broker closed the connection")
            kind, _, length = struct.unpack(">BHI", head)
            payload = self.file.read(length + 1)[:-1]
            if kind != self.HEARTBEAT:
                return payload

    def declare(self, queue):
        self.call(1, 50, 10, b"\0\0" + self.short(queue) + b"\0" + struct.pack(">I", 0))
        self.read()

    def publish(self, queue, message):
        self.call(1, 60, 40, b"\0\0" + self.short("") + self.short(queue) + b"\0")
        self.frame(self.HEADER, 1, struct.pack(">HHQH", 60, 0, len(message), 0))
        self.frame(self.BODY, 1, message)

    def get(self, queue):
        """The next message, or None."""
        self.call(1, 60, 70, b"\0\0" + self.short(queue) + b"\1")
        if self.read()[:4] == self.GET_EMPTY:
            return None
        length, message = struct.unpack(">Q", self.read()[4:12])[0], b""
        while len(message) < length:
            message += self.read()
        return message


def amqp(port, clients, messages):
    """Each client fills a queue of its own with messages of up to 4 KB, and empties it."""
    def client(number):
        queue = f"q{number}"
        with Amqp(port) as broker:
            broker.declare(queue)
            for i in range(messages):
                broker.publish(queue, bytes([65 + i % 26]) * (i * 11 % 4000 + 1))
            back = list(iter(lambda: broker.get(queue), None))
        return f"{len(back)} {digest(back)}"
    return " ".join(at_once(client, clients))
