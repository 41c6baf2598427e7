#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# A real Prometheus scrapes a real ebb export, with the rules of deploy/: an alert that fires since
# memory is really used, and one that rightly does not since it is lazily freed; an alarm on RSS
# cannot tell the two apart. And which rights the exporter needs for what.
# timeout: 120
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request

SRC, EBB, BUILD, TMP = (os.environ[name] for name in ("SRC", "EBB", "BUILD", "TMPDIR"))
sys.path[:0] = [f"{SRC}/tests/e2e", f"{SRC}/tests/cli"]
import balloon_group  # noqa: E402
import openmetrics  # noqa: E402
import tap  # noqa: E402
from balloon_group import MIB, Group, Program  # noqa: E402

LIVE = f"{BUILD}/tests/programs/prog_lazy_live"
CLASSIC = """
  - name: classic
    rules:
      - alert: RssHigh
        expr: ebb_cgroup_resident_bytes / on (instance, job, cgroup) ebb_cgroup_limit_bytes > 0.9
"""


def fetch(url, headers=None):
    request = urllib.request.Request(url, headers=headers or {})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.read()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def running(command, **options):
    process = subprocess.Popen(command, **options)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def exporter(*options, prefix=()):
    """The URL of an ebb export on a free port."""
    command = [*prefix, EBB, "export", "--listen", "127.0.0.1:0", "--interval", "500ms", *options]
    with running(command, stderr=subprocess.PIPE, text=True) as process:
        line = process.stderr.readline()
        if "http://" not in line:
            raise RuntimeError(f"ebb export said: {line}")
        yield line.split()[-1].rsplit("/", 1)[0]


def scrape(url):
    data = fetch(f"{url}/metrics", {"Accept": "application/openmetrics-text;version=1.0.0"})
    return openmetrics.Reader().read(data)


class Prometheus:
    def __init__(self, target):
        self.port, self.target = free_port(), target
        with open(f"{SRC}/deploy/prometheus/ebb-rules.yml", encoding="utf-8") as file:
            rules = re.sub(r"for: \d+[mh]", "for: 1s", file.read())
        with open(f"{TMP}/rules.yml", "w", encoding="utf-8") as file:
            file.write(rules + CLASSIC)
        with open(f"{TMP}/prometheus.yml", "w", encoding="utf-8") as file:
            json.dump({"global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
                       "rule_files": [f"{TMP}/rules.yml"],
                       "scrape_configs": [{"job_name": "ebb",
                                           "static_configs": [{"targets": [target]}]}]}, file)

    def command(self):
        return ["prometheus", f"--config.file={TMP}/prometheus.yml",
                f"--storage.tsdb.path={TMP}/data", f"--web.listen-address=127.0.0.1:{self.port}",
                "--log.level=warn"]

    def ask(self, path, **query):
        try:
            return json.loads(fetch(f"http://127.0.0.1:{self.port}/api/v1/{path}?"
                                    f"{urllib.parse.urlencode(query)}"))["data"]
        except OSError:
            return None

    def alerts(self):
        """Names and groups of the alerts that fire."""
        data = self.ask("alerts") or {"alerts": []}
        return {(alert["labels"]["alertname"], alert["labels"].get("cgroup"))
                for alert in data["alerts"] if alert["state"] == "firing"}

    def value(self, query):
        data = self.ask("query", query=query)
        return float(data["result"][0]["value"][1]) if data and data["result"] else None


def name_of(group):
    return group.path[len(balloon_group.MOUNT):]


def test_alerts(prometheus, lazy, full, rewritten):
    wanted = {("EbbMemoryNearLimit", name_of(full)), ("RssHigh", name_of(full)),
              ("RssHigh", name_of(lazy)), ("EbbRssExplainedLazy", name_of(lazy)),
              ("EbbWorkingSetUnderreports", name_of(rewritten))}
    balloon_group.wait_until(lambda: wanted <= prometheus.alerts(), 20)
    fired = prometheus.alerts()
    shares = {}
    for group in (lazy, full):
        shares[group] = [prometheus.value(f'{record}{{cgroup="{name_of(group)}"}}') or 0
                         for record in ("cgroup:ebb_resident:of_limit",
                                        "cgroup:ebb_effective:of_limit")]
        print(f"# RSS {shares[group][0]:.0%} of the limit, effective {shares[group][1]:.0%}: "
              f"{sorted(name for name, cgroup in fired if cgroup == name_of(group))}")
    for name, cgroup in sorted(wanted):
        tap.report((name, cgroup) in fired, f"{name} fires", sorted(fired, key=str))
    tap.report(("EbbMemoryNearLimit", name_of(lazy)) not in fired,
               "lazily freed memory is no alarm, though an alarm on RSS sees one", shares[lazy])
    tap.report(("EbbRssExplainedLazy", name_of(full)) not in fired,
               "memory that is used is not explained away", shares[full])
    tap.report(shares[lazy][0] > 0.9 and shares[lazy][1] < 0.4 and shares[full][1] > 0.9,
               "the shares are what they should be", shares)
    hidden = prometheus.value("ebb_cgroup_working_set_underreports_bytes"
                              f'{{cgroup="{name_of(rewritten)}"}}') or 0
    print(f"# written again, and missing in the working set: {hidden / MIB:.1f} MiB")
    tap.report(60 * MIB < hidden < 66 * MIB,
               "64 MiB that were written again are missing in the working set", hidden / MIB)


def test_scraping(prometheus):
    balloon_group.wait_until(lambda: prometheus.value('up{job="ebb"}') == 1, 15)
    tap.report(prometheus.value('up{job="ebb"}') == 1, "Prometheus takes what it scrapes",
               prometheus.ask("targets"))
    kinds = prometheus.ask("metadata", metric="ebb_group_cpu_seconds_total") or {}
    # As OpenMetrics, a family of counters has the name without its suffix.
    kinds = kinds or prometheus.ask("metadata", metric="ebb_group_cpu_seconds") or {}
    found = [entry for entries in kinds.values() for entry in entries]
    tap.report(found and found[0]["type"] == "counter" and found[0]["unit"] == "seconds",
               "with type and unit, so as OpenMetrics", found)


def with_prometheus(url):
    if not shutil.which("prometheus"):
        tap.skip("Prometheus", "prometheus is not installed")
        return
    why = balloon_group.usable()
    prometheus = Prometheus(url.removeprefix("http://"))
    with open(f"{TMP}/log", "w", encoding="utf-8") as log, contextlib.ExitStack() as stack:
        if not why:
            lazy, full, rewritten = (stack.enter_context(Group(limit)) for limit in (100, 100, 0))
            stack.enter_context(Program(lazy, [LIVE, "78", "15"]))
            stack.enter_context(Program(full, [LIVE, "0", "94"]))
            stack.enter_context(Program(rewritten, [LIVE, "64", "8"])).order("w")
        stack.enter_context(running(prometheus.command(), stdout=log, stderr=log))
        test_scraping(prometheus)
        if why:
            tap.skip("alerts", why)
        else:
            test_alerts(prometheus, lazy, full, rewritten)


def test_counters():
    """A process of a group ends: its counters stay in the group's, the group goes with the last."""
    def cpu():
        return scrape(url).value("ebb_group_cpu_seconds_total", group="prog_lazy_live")

    first, second = (subprocess.Popen([LIVE, "1", "40"], stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE) for _ in range(2))
    try:
        for child in (first, second):
            child.stdout.readline()
        with exporter("name:prog_lazy_live") as url:
            for _ in range(50):
                first.stdin.write(b"c")
                first.stdin.flush()
                first.stdout.readline()
            balloon_group.wait_until(lambda: (cpu() or 0) > 0.05)
            before = cpu()
            first.kill()
            first.wait()
            gone = balloon_group.wait_until(
                lambda: scrape(url).value("ebb_group_processes", group="prog_lazy_live") == 1)
            tap.report(gone and cpu() >= before > 0, "a counter does not fall with a process's end",
                       f"{before} {cpu()}")
            second.kill()
            second.wait()
            tap.report(balloon_group.wait_until(lambda: cpu() is None),
                       "a group goes with its last process")
    finally:
        for child in (first, second):
            child.kill()
            child.wait()


def test_rights():
    """As another user with the one right of the unit, and with that of its drop-in."""
    if os.geteuid() != 0 or not shutil.which("setpriv"):
        tap.skip("rights", "needs root and setpriv")
        return
    copy = "/tmp/ebb-test-%d" % os.getpid()
    shutil.copy(EBB, copy)
    child = subprocess.Popen([LIVE, "32", "16"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        child.stdout.readline()
        for caps, has_rows in (("+sys_ptrace", False), ("+sys_ptrace,+dac_read_search", True)):
            done = subprocess.run(
                ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs",
                 f"--inh-caps=-all,{caps}", f"--ambient-caps=-all,{caps}",
                 f"--bounding-set=-all,{caps}", copy, "explain", "--json", str(child.pid)],
                capture_output=True, text=True, timeout=30, check=False)
            account = json.loads(done.stdout or "{}")
            lazy = account.get("lazy_bytes") or 0
            tap.report(lazy > 30 * MIB, f"{caps}: what is lazily freed is known", done.stderr)
            unread = any("memory of" in entry["what"] for entry in account.get("unread", []))
            tap.report(unread != has_rows, f"{caps}: the runtime's memory is "
                       f"{'read' if has_rows else 'not'}", account.get("unread"))
    finally:
        os.unlink(copy)
        child.kill()
        child.wait()


if "without HTTP" in subprocess.run([EBB, "export", "--listen", "127.0.0.1:0", "--proc-root", "/x"],
                                    capture_output=True, text=True, check=False).stderr:
    print("1..0 # SKIP built without HTTP")
    sys.exit(0)
balloon_group.end_cleanly()
with exporter() as export_url:
    with_prometheus(export_url)
test_counters()
test_rights()
tap.done()
