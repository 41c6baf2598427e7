#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# ebb export: the textfile, the server, what is refused; over trees of other kernels.
# needs: EBB_WITH_HTTP EBB_WITH_JSON
import difflib
import http.client
import os
import signal
import stat
import subprocess
import sys
import time

SRC, EBB, TMP = os.environ["SRC"], os.environ["EBB"], os.environ["TMPDIR"]
sys.path[:0] = [f"{SRC}/tests/e2e", f"{SRC}/tests/cli"]
import openmetrics  # noqa: E402
import tap  # noqa: E402

FIXTURES = f"{SRC}/tests/fixtures/proc"
GOLDEN = f"{SRC}/tests/cli/golden/export-linux-6.1-cgroup2.txt"
OPEN = {"Accept": "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"}


def tree(name):
    return ["--proc-root", f"{FIXTURES}/{name}/proc"]


def ebb(*arguments):
    return subprocess.run([EBB, "export", *arguments], capture_output=True, text=True, timeout=30,
                          check=False)


def refuses(status, text, *arguments):
    done = ebb(*arguments)
    tap.report(done.returncode == status and text in done.stderr and not done.stdout,
               f"status {status} for: {' '.join(arguments) or 'nothing'}",
               f"{done.returncode}\n{done.stderr}{done.stdout}")


def read(data, classic):
    try:
        return openmetrics.Reader(classic).read(data), ""
    except (openmetrics.Wrong, ValueError) as error:
        return None, str(error)


def usage():
    refuses(2, "--interval", "--interval", "1ms")
    refuses(2, "--top", "--top", "0")
    refuses(2, "--once", "--once")
    refuses(2, "does not serve", "--textfile", f"{TMP}/x.prom", "--listen", "9999")
    refuses(2, "--all", "--all", "1")
    refuses(2, "no PID, name or pattern", "cgroup:")
    refuses(2, "--group-by", "--group-by", "colour")


def textfile():
    path = f"{TMP}/ebb.prom"
    done = ebb("--textfile", path, "--once", *tree("linux-6.1-cgroup2"))
    tap.report(done.returncode == 0 and not done.stderr, "a textfile, once", done.stderr)
    with open(path, "rb") as file:
        data = file.read()
    reader, error = read(data, True)
    tap.report(reader, "it is what the collector reads", error)
    check_by_promtool(data)
    tap.report(stat.S_IMODE(os.stat(path).st_mode) == 0o644, "others may read it")
    tap.report(os.listdir(TMP) == ["ebb.prom"], "nothing is left beside it", os.listdir(TMP))
    said = [line for line in data.decode().splitlines(True)
            if "ebb_group_" in line or "ebb_cgroup_" in line]
    if "--update" in sys.argv:
        with open(GOLDEN, "w", encoding="utf-8") as file:
            file.writelines(said)
    with open(GOLDEN, encoding="utf-8") as file:
        difference = list(difflib.unified_diff(file.readlines(), said, "golden", "said"))
    tap.report(not difference, "word for word", "".join(difference))
    # The account of a group has one value for each byte of RSS.
    rows = [value for (name, labels), value in (reader.points if reader else {}).items()
            if name == "ebb_group_account_bytes" and ("group", "api") in labels]
    rss = reader.value("ebb_group_resident_bytes", group="api") if reader else 0
    tap.report(rows and sum(rows) == rss, "the rows sum to the RSS", f"{rows} {rss}")
    os.symlink("nowhere", f"{TMP}/link")
    refuses(1, "no regular file", "--textfile", f"{TMP}/link", "--once", *tree("hostile"))
    tap.report(os.path.islink(f"{TMP}/link"), "what is no file is not replaced")
    before = os.stat(path).st_ino
    ebb("--textfile", path, "--once", *tree("linux-6.1-cgroup2"))
    tap.report(os.stat(path).st_ino != before, "the file is replaced, not written over")
    refuses(1, "cannot write", "--textfile", f"{TMP}/none/ebb.prom", "--once", *tree("hostile"))
    refuses(1, "/nowhere", "--textfile", path, "--once", "--proc-root", "/nowhere")


def nobody():
    """Once, a target that is not there is a failure; the file tells that nobody is there."""
    path = f"{TMP}/nobody.prom"
    refuses(3, "no process matches 'nosuch'", "--textfile", path, "--once",
            *tree("linux-6.1-cgroup2"), "nosuch")
    with open(path, "rb") as file:
        data = file.read()
    reader, error = read(data, True)
    tap.report(reader and b"ebb_group_resident_bytes{" not in data,
               "the file is written without groups", error)
    refuses(3, "no process 4194304", "--textfile", path, "--once", "4194304")
    done = ebb("--textfile", path, "--once", *tree("linux-6.1-cgroup2"), "api")
    tap.report(done.returncode == 0 and not done.stderr, "one that is there is none", done.stderr)
    os.unlink(path)
    with Server(*tree("linux-6.1-cgroup2"), "nosuch") as server:
        server.metrics()
        said = server.said + server.process.stderr.readline() + server.process.stderr.readline()
        tap.report("no process matches 'nosuch'" in said and "Going on" in said,
                   "who serves says so and goes on", said)


def told_once():
    """A folder that goes and comes back: each is told once, however many rounds there are."""
    folder, aside = f"{TMP}/goes", f"{TMP}/aside"
    os.mkdir(folder)
    path = f"{folder}/ebb.prom"
    with open(f"{TMP}/said", "w+", encoding="utf-8") as said:
        with subprocess.Popen([EBB, "export", "--textfile", path, "--interval", "100ms",
                               *tree("linux-6.1-cgroup2")], stderr=said) as exporter:

            def wait_until(is_true):
                deadline = time.monotonic() + 10
                while not is_true() and time.monotonic() < deadline:
                    time.sleep(0.02)

            def lines():
                with open(f"{TMP}/said", encoding="utf-8") as file:
                    return file.read().splitlines()

            wait_until(lambda: os.path.exists(path))
            os.rename(folder, aside)
            wait_until(lines)
            # Some rounds more, each of which fails.
            time.sleep(0.5)
            os.rename(aside, folder)
            os.unlink(path)
            wait_until(lambda: len(lines()) > 1 and os.path.exists(path))
            exporter.terminate()
    found = lines()
    tap.report(len(found) == 2 and "cannot write" in found[0] and "written again" in found[1],
               "a file that cannot be written is told once, and its end", found)


def check_by_promtool(data):
    try:
        done = subprocess.run(["promtool", "check", "metrics"], input=data, capture_output=True,
                              timeout=60, check=False)
    except FileNotFoundError:
        tap.skip("promtool finds nothing to say", "promtool is not installed")
        return
    tap.report(done.returncode == 0 and not done.stdout + done.stderr,
               "promtool finds nothing to say", (done.stdout + done.stderr).decode())


class Server:
    """ebb export on a free port, for the time of a with block."""

    def __init__(self, *arguments):
        self.process = subprocess.Popen(
            [EBB, "export", "--listen", "127.0.0.1:0", "--interval", "100ms", *arguments],
            stderr=subprocess.PIPE, text=True)
        line = self.process.stderr.readline()
        self.port = int(line.rsplit(":", 1)[1].split("/")[0]) if "http://" in line else None
        self.said = line

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def ask(self, path, method="GET", headers=None, host=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.putrequest(method, path, skip_host=True)
        connection.putheader("Host", host or f"127.0.0.1:{self.port}")
        for name, value in (headers or {}).items():
            connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, answer.getheader("Content-Type"), answer.read()

    def metrics(self):
        """The metrics once there was a round."""
        for _ in range(100):
            status, kind, data = self.ask("/metrics", headers=OPEN)
            if b"ebb_sample_age_seconds" in data:
                break
            time.sleep(0.05)
        return status, kind, data


def routes(server):
    status, kind, data = server.metrics()
    reader, error = read(data, False)
    tap.report(status == 200 and "openmetrics-text; version=1.0.0" in kind and reader,
               "OpenMetrics where it is asked for", error or kind)
    tap.report(b"\x1b" not in data, "no control character of a name comes through")
    status, kind, data = server.ask("/metrics")
    reader, error = read(data, True)
    tap.report(status == 200 and kind.startswith("text/plain; version=0.0.4") and reader,
               "the older format where it is not", error or kind)
    check_by_promtool(data)
    tap.report(server.ask("/-/healthy")[0] == 200, "healthy")
    status, kind, data = server.ask("/")
    tap.report(status == 200 and "html" in kind and b'href="/metrics"' in data, "a page")
    tap.report(server.ask("/metrics", "HEAD")[0] == 200, "HEAD")
    tap.report(server.ask("/nothing")[0] == 404, "no such path")
    tap.report(server.ask("/../etc/passwd")[0] == 400, "a path that climbs")
    tap.report(server.ask("/metrics", "POST")[0] in (405, 411), "no POST")
    tap.report(server.ask("/metrics", host="evil.example")[0] == 421, "another Host")


def serving():
    with Server(*tree("hostile")) as server:
        if server.port is None and "without HTTP" in server.said:
            tap.skip("serving", "built without HTTP")
            return
        routes(server)
        refuses(1, "in use", "--listen", f"127.0.0.1:{server.port}", *tree("hostile"))
        server.process.send_signal(signal.SIGTERM)
        tap.report(server.process.wait(10) == 0, "SIGTERM ends it well")
    refuses(2, "--allow-remote", "--listen", "0.0.0.0:0")
    refuses(2, "--listen takes ADDRESS:PORT", "--listen", "nowhere:x")
    refuses(2, "brackets: [::1] or [::1]:9876", "--listen", "::1")
    refuses(2, "at most 65535", "--listen", "127.0.0.1:65536")
    refuses(1, "token", "--token-file", "/nonexistent")
    token = f"{TMP}/token"
    with open(token, "w", encoding="utf-8") as file:
        file.write("short\n")
    refuses(1, "no token", "--token-file", token)
    with open(token, "w", encoding="utf-8") as file:
        file.write("a-token-of-some-length\nand more\n")
    with Server("--token-file", token, *tree("hostile")) as server:
        tap.report(server.ask("/metrics")[0] == 401, "no token, no metrics")
        tap.report(server.ask("/metrics", headers={"Authorization": "Bearer nonsense"})[0] == 401,
                   "a wrong token")
        good = {"Authorization": "Bearer a-token-of-some-length"}
        tap.report(server.ask("/metrics", headers=good)[0] == 200, "the right one")
        tap.report(server.ask("/-/healthy")[0] == 200, "probes need none")


def grouping():
    path = f"{TMP}/g.prom"
    ebb("--textfile", path, "--once", "--top", "1", "--group-by", "cgroup",
        *tree("linux-6.1-cgroup2"))
    with open(path, "rb") as file:
        reader, error = read(file.read(), True)
    groups = {dict(labels)["group"] for name, labels in (reader.points if reader else {})
              if name == "ebb_group_processes"}
    tap.report(len(groups) == 2 and "other" in groups, "--top 1 --group-by cgroup", error or groups)
    tap.report(reader and reader.value("ebb_group_processes", group="other") == 3,
               "the rest is one group", error)
    ebb("--textfile", path, "--once", "--group-by", "process", *tree("linux-6.1-cgroup2"))
    with open(path, "rb") as file:
        reader, error = read(file.read(), True)
    tap.report(reader and reader.value("ebb_group_processes", group="api 4121") == 1,
               "--group-by process", error)


usage()
textfile()
nobody()
told_once()
grouping()
serving()
tap.done()
