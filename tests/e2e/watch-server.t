#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# The server of ebb watch against rude, broken and foreign clients, while a stream goes on; its
# token, its levers, its memory, its end.
# timeout: 120
import json
import os
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tap  # noqa: E402
from watching import Listener, Server, parse, read_all, wait_until  # noqa: E402

MIB = 1 << 20
LONG = 40000  # samples; a series is sent in parts of 2,048, however many there are
TOOL = os.path.join(os.environ["BUILD"], "tests/programs/test_recording")


def start_target():
    return subprocess.Popen([sys.executable, "-c", "import time\nx=bytearray(1<<24)\n"
                             "while True: x=bytearray(1<<24); time.sleep(0.05)"])


def statuses(server, cases):
    """The names of those that were answered otherwise than expected."""
    wrong = []
    for name, expected, answer in cases:
        status = answer[0] if isinstance(answer, tuple) else parse(answer)[0]
        if status not in (expected if isinstance(expected, tuple) else (expected,)):
            wrong.append(f"{name}: {status}, not {expected}: {str(answer)[:200]}")
    return "\n".join(wrong)


def check(server, name, cases):
    wrong = statuses(server, cases)
    tap.report(not wrong, name, wrong)


def good_clients(server):
    about = server.json("/api/about")
    subject = about.get("subjects", [{}])[0]
    tap.report(about.get("live") is True and about.get("levers") is False and
               subject.get("rss_bytes", 0) > MIB, "about tells of the process", about)
    series = server.json("/api/series?subject=1&points=10")
    columns = series.get("columns", [])
    tap.report(series.get("parts") and all(len(part["data"]) == len(columns)
                                           for part in series["parts"]),
               "a series has all columns in each part", series)
    part = series["parts"][0]["data"]
    at = {name: part[i] for i, name in enumerate(columns)}
    accounts = [i for i, kind in enumerate(at["kind"]) if kind == 2]
    rows = columns[columns.index("in_use_bytes"):columns.index("unexplained_bytes") + 1]
    tap.report(accounts and all(sum(at[row][i] for row in rows) == at["rss_bytes"][i]
                                for i in accounts), "rows sum to RSS", at)
    account = server.json("/api/account?subject=1")
    tap.report(sum(row["bytes"] for row in account.get("rows", [])) == account.get("rss_bytes"),
               "an account sums to RSS", account)
    kinds = [event["kind"] for event in server.json("/api/events?subject=1")]
    tap.report("appeared" in kinds, "events are told", kinds)
    status, headers, body = server.get("/api/csv?subject=1")
    tap.report(status == 200 and "attachment" in headers["content-disposition"] and
               body.startswith(b"time_ms,kind,rss_bytes") and body.count(b"\r\n") > 1,
               "a series as CSV", body[:300])


def headers_of_answers(server):
    status, headers, body = server.get("/")
    policy = headers.get("content-security-policy", "")
    tap.report(status == 200 and "default-src 'none'" in policy and "unsafe" not in policy and
               headers.get("x-content-type-options") == "nosniff" and
               headers.get("referrer-policy") == "no-referrer" and
               headers.get("cross-origin-resource-policy") == "same-origin",
               "the page comes with its policy", headers)
    tap.report(server.get("/api/about")[1].get("cache-control") == "no-store",
               "figures are kept nowhere", headers)
    if "etag" not in headers:
        tap.skip("files are sent once", "this build has no page: npm could not fetch uPlot")
    else:
        again = server.get("/", headers={"If-None-Match": headers["etag"]})
        other = server.get("/", headers={"If-None-Match": '"other"'})
        tap.report(again[0] == 304 and not again[2] and other[2] == body, "files are sent once",
                   (again, other))
        tag = headers["etag"]
        check(server, "tags are compared as RFC 9110 says; ranges are not served", [
            ("any", 304, server.get("/", headers={"If-None-Match": "*"})),
            ("list", 304, server.get("/", headers={"If-None-Match": f'"x", W/{tag}'})),
            ("of another file", 200, server.get("/style.css", headers={"If-None-Match": tag})),
            ("of figures", 200, server.get("/api/about", headers={"If-None-Match": "*"})),
            ("range", 200, server.get("/", headers={"Range": "bytes=0-9"})),
        ])
        tap.report(server.get("/", "HEAD")[1]["content-length"] == str(len(body)),
                   "HEAD tells the length", headers)
        licence = server.get("/app.js")
        tap.report(licence[0] == 200 and b"MIT License" in licence[2][:200] and
                   licence[1]["content-type"].startswith("text/javascript"),
                   "uPlot comes with its licence", licence[2][:300])
    head = server.raw(b"HEAD /api/series?subject=1 HTTP/1.1\r\nHost: localhost\r\n"
                      b"Connection: close\r\n\r\n")
    stream = server.raw(b"HEAD /api/stream HTTP/1.1\r\nHost: localhost\r\n"
                        b"Connection: close\r\n\r\n")
    tap.report(parse(head)[0] == 200 and head.endswith(b"\r\n\r\n") and
               stream.endswith(b"\r\n\r\n"), "HEAD has no body", (head, stream))


def malformed(server):
    host = b"Host: localhost\r\nConnection: close\r\n\r\n"

    def line(target, method=b"GET"):
        return server.raw(method + b" " + target + b" HTTP/1.1\r\n" + host)

    check(server, "malformed targets are refused", [
        ("..", 400, line(b"/../../etc/passwd")),
        (".. within", 400, line(b"/api/../../etc/passwd")),
        (".. escaped", 400, line(b"/%2e%2e/%2e%2e/etc/passwd")),
        ("NUL", 400, line(b"/api/about%00.js")),
        ("bare NUL", (400, 0, 404), server.raw(b"GET /a\0b HTTP/1.1\r\n" + host)),
        ("bad UTF-8", 400, line(b"/?x=%ff%fe")),
        ("raw bad UTF-8", 400, line(b"/\xff\xfe")),
        ("overlong UTF-8", 400, line(b"/..%c0%af..%c0%afetc")),
        ("cut escape", 400, line(b"/api/about%2")),
        ("absolute", 400, line(b"http://localhost/api/about")),
        ("a parameter twice", 400, line(b"/api/series?subject=1&subject=2")),
        ("many parameters", 400, line(b"/?" + b"&".join(b"p%d" % i for i in range(20)))),
        ("long", 414, line(b"/" + b"a" * 3000)),
        ("very long", 414, line(b"/" + b"a" * 200000)),
        ("unknown", 404, line(b"/nothing")),
    ])
    check(server, "wrong questions are answered", [
        ("no subject", 400, line(b"/api/series")),
        ("subject 0", 400, line(b"/api/series?subject=0")),
        ("subject x", 400, line(b"/api/series?subject=x")),
        ("subject -1", 400, line(b"/api/account?subject=-1")),
        ("subject 99", 404, line(b"/api/series?subject=99")),
        ("account 99", 404, line(b"/api/account?subject=99")),
        ("too many points", 400, line(b"/api/series?subject=1&points=100001")),
        ("from x", 400, line(b"/api/series?subject=1&from=x")),
        ("from > to", 200, line(b"/api/series?subject=1&from=9&to=1")),
        ("extremes", 200, line(b"/api/series?subject=1&from=-2000000000000000000")),
        ("overflow", 400, line(b"/api/series?subject=1&from=-9223372036854775809")),
        ("at 0", 404, line(b"/api/account?subject=1&at=0")),
    ])
    allowed = parse(line(b"/api/about", b"DELETE"))
    check(server, "other methods are refused", [
        ("DELETE", 405, allowed),
        ("POST", 405, line(b"/api/about", b"POST")),
        ("OPTIONS", 405, line(b"/", b"OPTIONS")),
        ("lever", 404, line(b"/api/lever", b"POST")),
        ("made up", 405, line(b"/api/about", b"BREW")),
    ])
    tap.report(allowed[1].get("allow") == "GET, HEAD", "405 says what would do", allowed)


def oversized(server):
    line = b"GET /api/about HTTP/1.1\r\nHost: localhost\r\n"
    check(server, "sizes have limits", [
        ("huge header", 431, server.raw(line + b"X: " + b"a" * 200000 + b"\r\n\r\n")),
        ("many headers", 431, server.raw(line + b"X: a\r\n" * 20000 + b"\r\n")),
        ("huge body", 413, server.raw(line + b"Content-Length: 999999999\r\n\r\n")),
        ("huge number", (400, 413), server.raw(line + b"Content-Length: 9" + b"9" * 40 +
                                               b"\r\n\r\n")),
        ("negative", (400, 413), server.raw(line + b"Content-Length: -5\r\n\r\n")),
        ("chunked", 413, server.raw(
            line + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n" +
            (b"1000\r\n" + b"a" * 4096 + b"\r\n") * 2 + b"0\r\n\r\n")),
    ])


def foreign(server):
    port = server.port
    check(server, "a foreign Host is refused (DNS rebinding)", [
        ("evil", 421, server.get("/api/about", host="evil.example")),
        ("evil with our port", 421, server.get("/", host=f"evil.example:{port}")),
        ("prefix", 421, server.get("/", host=f"localhost.evil.example:{port}")),
        ("other address", 421, server.get("/", host="192.0.2.1")),
        ("none", 400, server.raw(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n")),
        ("none, 1.0", 421, server.raw(b"GET / HTTP/1.0\r\n\r\n")),
        ("two", (400, 421), server.raw(b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil\r\n"
                                       b"Connection: close\r\n\r\n")),
        ("no port number", 421, server.get("/", host="localhost:http")),
        ("name as user", 421, server.get("/", host="localhost@evil.example")),
        ("address in hexadecimal", 421, server.get("/", host="0x7f000001")),
        ("IPv4 in IPv6", 421, server.get("/", host="[::ffff:127.0.0.1]")),
        ("half a bracket", 421, server.get("/", host="[::1")),
        ("letters' case", 200, server.get("/api/about", host="LocalHost")),
        ("forwarded port", 200, server.get("/api/about", host="localhost:9000")),
        ("IPv6", 200, server.get("/api/about", host=f"[::1]:{port}")),
    ])
    own = f"http://127.0.0.1:{port}"
    navigation = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate",
                  "Sec-Fetch-Dest": "document"}
    check(server, "pages of other origins are refused", [
        ("own", 200, server.get("/api/about", headers={"Origin": own})),
        ("other", 403, server.get("/api/about", headers={"Origin": "http://evil.example"})),
        ("other port", 403, server.get("/api/about", headers={"Origin": "http://127.0.0.1:1"})),
        ("null", 403, server.get("/api/about", headers={"Origin": "null"})),
        ("https", 403, server.get("/api/about", headers={"Origin": f"https://127.0.0.1:{port}"})),
        ("cross-site", 403, server.get("/api/about", headers={"Sec-Fetch-Site": "cross-site"})),
        ("same-site", 403, server.get("/api/stream", headers={"Sec-Fetch-Site": "same-site"})),
        ("a link to the page", 200, server.get("/", headers=navigation)),
        ("a link to figures", 403, server.get("/api/about", headers=navigation)),
        ("a frame", 403, server.get("/", headers={**navigation, "Sec-Fetch-Dest": "iframe"})),
    ])


def rude(server, listener):
    """Those that hold on to a connection were opened first: by now their time is over."""
    about = b"GET /api/about HTTP/1.1\r\nHost: localhost\r\n"
    answers = server.raw((about + b"\r\n") * 2 + about + b"Connection: close\r\n\r\n")
    tap.report(answers.count(b"HTTP/1.1 200") == 3, "three requests in a row get three answers",
               answers[:300])
    half = server.raw(about + b"\r\n", half_close=True)
    tap.report(parse(half)[0] in (200, 0), "a half-closed client harms nobody", half[:300])
    for garbage in (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 20, b"\0" * 5000,
                    b"\r\n" * 5000, os.urandom(5000) + b"\r\n\r\n", b"GET\r\n\r\n",
                    b"GET /\r\n\r\n"):
        server.raw(garbage, half_close=True)
    tap.report(server.get("/api/about")[0] == 200, "garbage harms nobody", "")
    links = []
    for _ in range(150):
        try:
            links.append(server.connect())
        except OSError:
            break
    tap.report(listener.goes_on(), "the stream goes on beside 150 connections", len(links))
    for link in links:
        link.close()
    tap.report(wait_until(lambda: server.get("/api/about")[0] == 200),
               "and the next client is served", "")


def unread(server):
    """Clients that ask for much and read nothing."""
    links, answers = [], []

    def is_refused():
        # Those that were broken off before hold their places for a moment: then there is none.
        link = server.connect()
        links.append(link)
        try:
            link.sendall(b"GET /api/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
            answers.append(parse(link.recv(4096)))
        except OSError:
            answers.append((0, {}, b""))
        return answers[-1][0] == 503

    wait_until(is_refused)
    served = [status for status, _, _ in answers if status == 200]
    tap.report(0 < len(served) < 40 and "retry-after" in answers[-1][1],
               "streams have a limit, and it is told", [status for status, _, _ in answers])
    for link in links:
        link.close()


def slow(server):
    """A head that comes byte by byte, one that never ends, and a body that does not come."""
    links = [server.connect() for _ in range(3)]
    links[1].sendall(b"GET /api/about HTTP/1.1\r\nHost: localhost\r\n")
    links[2].sendall(b"GET /api/about HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nx")
    return links


def trickle(links):
    """True when the server has closed all of them, however alive the first one looked."""
    def is_over():
        try:
            links[0].sendall(b"G")
        except OSError:
            pass
        time.sleep(0.1)
        return all(is_closed(link) for link in links)
    return wait_until(is_over)


def is_closed(link):
    link.setblocking(False)
    try:
        return link.recv(4096, 0) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def private_server():
    target = start_target()
    try:
        with Server("--interval", "200ms", str(target.pid)) as server:
            links = slow(server)
            listener = Listener(server)
            tap.report(listener.goes_on(), "a stream brings batches", "")
            good_clients(server)
            headers_of_answers(server)
            malformed(server)
            oversized(server)
            foreign(server)
            rude(server, listener)
            unread(server)
            tap.report(trickle(links), "slow clients are broken off", "")
            tap.report(listener.goes_on() and not listener.has_ended,
                       "through all of it the stream went on", len(listener.batches))
            target.kill()
            target.wait()
            tap.report(wait_until(lambda: any(event["kind"] == "ended" for batch in listener.batches
                                              for event in batch["events"])),
                       "the end of the process is told", "")
            about = server.json("/api/about")
            tap.report(about["live"] is False and about["subjects"][0]["ended"] is True and
                       server.json("/api/series?subject=1")["parts"], "and its page stays", about)
            tap.report(server.peak_bytes() < 32 * MIB, "all of it in less than 32 MiB",
                       server.peak_bytes())
            tap.report(server.stop() == 0 and wait_until(lambda: listener.has_ended),
                       "Ctrl-C ends it, with a stream open", "")
    finally:
        target.kill()
        target.wait()


def token():
    with Server("--token", "auto", str(os.getpid())) as server:
        token = server.token or ""
        tap.report(len(token) == 32, "--token auto makes a token, behind the address's '#'",
                   server.url)
        wrong = token[:-1] + ("0" if token[-1] != "0" else "1")
        check(server, "with a token only who has it is answered", [
            ("none", 401, server.raw(b"GET /api/about HTTP/1.1\r\nHost: localhost\r\n"
                                     b"Connection: close\r\n\r\n")),
            ("right", 200, server.get("/api/about")),
            ("wrong", 401, server.get("/api/about", headers={"Authorization": f"Bearer {wrong}"})),
            ("cut", 401, server.get("/api/about",
                                    headers={"Authorization": f"Bearer {token[:-1]}"})),
            ("longer", 401, server.get("/api/about",
                                       headers={"Authorization": f"Bearer {token}0"})),
            ("basic", 401, server.get("/api/about", headers={"Authorization": f"Basic {token}"})),
            ("query", 401, server.get(f"/api/about?token={token}",
                                      headers={"Authorization": ""})),
            ("stream", 401, server.get("/api/stream", headers={"Authorization": "Bearer x"})),
            ("the page itself", 200, server.get("/", headers={"Authorization": "Bearer x"})),
            ("lever", 404, server.get("/api/lever", "POST", body=b"{}")),
        ])


def sixth():
    """The same on the IPv6 loopback."""
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError as error:
        tap.skip("IPv6", f"this host has no IPv6 loopback: {error}")
        return
    with Server("--listen", "[::1]", str(os.getpid())) as server:
        own = f"http://[::1]:{server.port}"
        check(server, "[::1] is a name of its own, with its origin", [
            ("own", 200, server.get("/api/about", headers={"Origin": own})),
            ("localhost", 200, server.get("/api/about", host="localhost")),
            ("other origin", 403, server.get("/api/about", headers={"Origin": "http://[::2]"})),
            ("other port", 403, server.get("/api/about", headers={"Origin": "http://[::1]:1"})),
            ("other address", 421, server.get("/api/about", host="[::2]")),
            ("evil", 421, server.get("/api/about", host="evil.example")),
        ])


def levers():
    target = start_target()
    try:
        with Server("--allow-levers", "--interval", "200ms", str(target.pid)) as server:
            wish = b'{"subject": 1, "lever": "reclaim", "dry_run": true}'
            own = f"http://127.0.0.1:{server.port}"
            right = server.get("/api/lever", "POST", {"Origin": own}, wish)
            check(server, "a lever needs the token, our origin and sense", [
                ("no token", 401, server.get("/api/lever", "POST", {"Authorization": "x"}, wish)),
                ("foreign", 403, server.get("/api/lever", "POST", {"Origin": "http://x"}, wish)),
                ("GET", 405, server.get("/api/lever")),
                ("no JSON", 400, server.get("/api/lever", "POST", {}, b"reclaim")),
                ("other lever", 400, server.get("/api/lever", "POST", {},
                                                b'{"subject":1,"lever":"balloon"}')),
                ("no such subject", 404, server.get("/api/lever", "POST", {},
                                                    b'{"subject":9,"lever":"reclaim"}')),
                ("long", 413, server.get("/api/lever", "POST", {}, b" " * 5000)),
                ("right", 200, right),
            ])
            report = json.loads(right[2]) if right[0] == 200 else {}
            tap.report(report.get("lever") == "reclaim" and report.get("pid") == target.pid,
                       "its report is the answer", right)
            about = server.json("/api/about")
            tap.report(about.get("levers") is True, "about tells of levers", about)
    finally:
        target.kill()
        target.wait()


class Recordings:
    """One that is long and one that goes on, made and watched while clients are waited for."""

    def __enter__(self):
        folder = os.environ["TMPDIR"]
        self.has_tool = os.path.exists(TOOL)
        if self.has_tool:
            self.path = os.path.join(folder, "large.ebb")
            self.maker = subprocess.Popen([TOOL, self.path, "1", str(LONG)])
            path = os.path.join(folder, "growing.ebb")
            self.writer = subprocess.Popen([TOOL, path, "2", "20", "more"], stdout=subprocess.PIPE)
            self.writer.stdout.read(1)
            self.server = Server(path)
            self.listener = Listener(self.server)
        return self

    def __exit__(self, *_):
        if self.has_tool:
            self.server.__exit__()
            for child in (self.writer, self.maker):
                child.kill()
                child.wait()
            self.writer.stdout.close()

    def is_followed(self):
        tap.report(self.listener.goes_on() and
                   {sample["subject"] for sample in self.listener.batches[-1]["samples"]} == {1, 2},
                   "a recording that is still written is followed", self.listener.batches[-1:])
        about = self.server.json("/api/about")
        tap.report(about["live"] is True, "and is told to be live", about)
        self.listener.close()

    def check(self):
        if not self.has_tool:
            tap.skip("recordings", "this build has no SQLite")
            return
        self.is_followed()
        tap.report(self.maker.wait() == 0, "a long recording was made", self.maker.returncode)
        long_recording(self.path)


def long_recording(path):
    with Server(path) as server:
        about = server.json("/api/about")
        tap.report(about["live"] is False and about["ended"] is True and
                   "\x1b" not in about["subjects"][0]["name"],
                   "a recording is told from what is live, with names escaped", about)
        raw = server.get("/api/about")[2]
        tap.report(b"</" not in raw and b"\\u003c/script>" in raw, "no name can end a script", raw)
        links = [server.connect() for _ in range(4)]
        for link in links:
            link.sendall(b"GET /api/series?subject=1&points=100000 HTTP/1.1\r\nHost: localhost\r\n"
                         b"Connection: close\r\n\r\n")
        # The first reads nothing meanwhile.
        series = [json.loads(parse(read_all(link))[2]) for link in links[1:]]
        counts = [sum(len(part["data"][0]) for part in one["parts"]) for one in series]
        tap.report(counts == [LONG] * 3, f"three series of {LONG} points at a time", counts)
        tap.report(server.peak_bytes() < 32 * MIB, "the server stays below 32 MiB",
                   server.peak_bytes())
        few = server.json("/api/series?subject=1")
        count = sum(len(part["data"][0]) for part in few["parts"])
        tap.report(100 < count <= 2000, "a series has 2,000 points at most unless asked for more",
                   count)
        for link in links:
            link.close()
        tap.report(server.stop() == 0, "Ctrl-C ends it", "")


def few_descriptors():
    """Clients never take those that the server itself needs."""
    prefix = ["sh", "-c", 'ulimit -n 40; exec "$@"', "sh"]
    with Server("--interval", "200ms", str(os.getpid()), prefix=prefix) as server:
        listener = Listener(server)
        links = [server.connect() for _ in range(60)]
        held = len(os.listdir(f"/proc/{server.process.pid}/fd"))
        tap.report(listener.goes_on() and held < 30, "60 connections with 40 descriptors: the "
                   "stream goes on", held)
        for link in links:
            link.close()
        tap.report(wait_until(lambda: server.get("/api/about")[0] == 200),
                   "and the next client is served", "")
        listener.close()


if subprocess.run([os.environ["EBB"], "watch", "--help"], capture_output=True,
                  check=False).returncode:
    print("1..0 # SKIP this build has no libmicrohttpd, SQLite or jansson")
    sys.exit(0)
with Recordings() as made:
    private_server()
    token()
    few_descriptors()
    levers()
    sixth()
    made.check()
tap.done()
