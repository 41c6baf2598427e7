#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# What deploy/ ships fits together: rules and dashboard ask for metrics that there are (so does
# docs/metrics.md), the rules behave (promtool), systemd takes the unit, the DaemonSet asks for no
# more than it says.
import json
import os
import re
import shutil
import subprocess
import sys

SRC, EBB, BUILD, TMP = (os.environ[name] for name in ("SRC", "EBB", "BUILD", "TMPDIR"))
sys.path[:0] = [f"{SRC}/tests/e2e", f"{SRC}/tests/cli"]
import openmetrics  # noqa: E402
import tap  # noqa: E402

DEPLOY = f"{SRC}/deploy"


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def text_of(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def exposed():
    """The names of all metrics, with their suffixes."""
    path = f"{TMP}/all.prom"
    run(EBB, "export", "--textfile", path, "--once", "--proc-root",
        f"{SRC}/tests/fixtures/proc/linux-6.1-cgroup2/proc")
    with open(path, "rb") as file:
        return set(openmetrics.Reader(True).read(file.read()).families)


def asked(text):
    """Names of metrics in queries; records of the rules have a colon in front."""
    return set(re.findall(r"(?<![\w:])ebb_\w+", text))


def documented(names):
    text = text_of(f"{SRC}/docs/metrics.md")
    told = set(re.findall(r"`(ebb_[a-z_]+[a-z])(?:\{[^`]*)?`", text))
    alike = text[text.index("## Groups and cgroups alike"):text.index("## What the kernel counts")]
    for row in re.findall(r"(?m)^\| (`[^|]+) \| (?:gauge|counter)", alike):
        told |= {f"ebb_{of}_{name}" for name in re.findall(r"`([a-z_]+)", row)
                 for of in ("group", "cgroup")}
    tap.report(told == names, "docs/metrics.md tells of every metric, and of no other",
               sorted(told ^ names))


def rules(names):
    text = text_of(f"{DEPLOY}/prometheus/ebb-rules.yml")
    queries = "\n".join(line for line in text.splitlines()
                        if not re.search(r"summary:|description:|^\s+#|name:", line))
    missing = asked(queries) - names
    tap.report(asked(queries) and not missing, "the rules ask for metrics that there are", missing)
    records = set(re.findall(r"record: (\S+)", text))
    used = set(re.findall(r"\b(?:cgroup|group):ebb_\w+:\w+", text))
    tap.report(used <= records, "and for records that there are", used - records)
    if not shutil.which("promtool"):
        tap.skip("promtool", "promtool is not installed")
        return
    for what in (["check", "rules", f"{DEPLOY}/prometheus/ebb-rules.yml"],
                 ["test", "rules", f"{DEPLOY}/prometheus/ebb-rules.test.yml"],
                 ["check", "config", "--syntax-only",
                  f"{DEPLOY}/prometheus/prometheus-scrape.yml"]):
        done = run("promtool", *what)
        tap.report(done.returncode == 0, f"promtool {what[0]} {what[1]}", done.stdout + done.stderr)


def panels_of(dashboard):
    for panel in dashboard["panels"]:
        yield panel
        yield from panel.get("panels", [])


def dashboard(names):
    board = json.loads(text_of(f"{DEPLOY}/grafana/ebb-dashboard.json"))
    panels = list(panels_of(board))
    queries = [target["expr"] for panel in panels for target in panel.get("targets", [])]
    queries += [variable["definition"] for variable in board["templating"]["list"]
                if variable["type"] == "query"]
    missing = asked("\n".join(queries)) - names
    tap.report(len(queries) > 20 and not missing, "the dashboard asks for metrics that there are",
               missing)
    tap.report(len({panel["id"] for panel in panels}) == len(panels), "each panel has its number")
    free = all(place["x"] + place["w"] <= 24 for place in (panel["gridPos"] for panel in panels))
    cells = [(x, y) for panel in panels for x in range(24) for y in range(99)
             if panel["gridPos"]["x"] <= x < panel["gridPos"]["x"] + panel["gridPos"]["w"]
             and panel["gridPos"]["y"] <= y < panel["gridPos"]["y"] + panel["gridPos"]["h"]]
    tap.report(free and len(cells) == len(set(cells)), "no panel covers another one")
    variables = {variable["name"] for variable in board["templating"]["list"]}
    used = set(re.findall(r"\$(\w+)", "\n".join(queries))) - {"__rate_interval"}
    tap.report(used <= variables and board["schemaVersion"] >= 36 and board["id"] is None,
               "its variables are there", used - variables)
    if not shutil.which("promtool"):
        tap.skip("its queries parse", "promtool is not installed")
        return
    # As rules, their syntax can be checked.
    plain = [re.sub(r"\$__rate_interval", "5m", re.sub(r"\$(instance|group|cgroup)", ".*", query))
             for query in queries if not query.startswith("label_values")]
    with open(f"{TMP}/queries.yml", "w", encoding="utf-8") as file:
        json.dump({"groups": [{"name": "q", "rules": [{"record": f"q:{i}", "expr": query}
                                                      for i, query in enumerate(plain)]}]}, file)
    done = run("promtool", "check", "rules", f"{TMP}/queries.yml")
    tap.report(done.returncode == 0, "its queries parse", done.stdout + done.stderr)


def unit():
    prefix = f"{TMP}/prefix"
    done = run("cmake", "--install", BUILD, "--prefix", prefix, "--component", "deploy")
    path = f"{prefix}/lib/systemd/system/ebb-export.service"
    tap.report(done.returncode == 0 and f"ExecStart={prefix}/bin/ebb export" in text_of(path),
               "it is installed, with the command where that is", done.stdout + done.stderr)
    tap.report(os.path.exists(f"{prefix}/share/ebb/prometheus/ebb-rules.yml"),
               "and what goes with it")
    if not shutil.which("systemd-analyze"):
        tap.skip("systemd takes the unit", "systemd-analyze is not installed")
        return
    os.makedirs(f"{prefix}/bin", exist_ok=True)
    os.symlink(EBB, f"{prefix}/bin/ebb")
    done = run("systemd-analyze", "verify", "--man=no", path)
    wrong = [line for line in done.stderr.splitlines() if "ebb-export" in line]
    tap.report(not wrong, "systemd takes the unit", done.stderr)
    done = run("systemd-analyze", "security", "--offline=true", path)
    level = re.search(r"Overall exposure level for ebb-export.service: (\S+)", done.stdout)
    if level:
        tap.report(float(level[1]) < 2.5, f"its exposure is {level[1]} of 10", done.stdout)
    else:
        tap.skip("its exposure", "this systemd-analyze does not judge a file")


def kubernetes():
    try:
        import yaml
    except ImportError:
        tap.skip("the DaemonSet", "Python's yaml is not installed")
        return
    objects = {item["kind"]: item
               for item in yaml.safe_load_all(text_of(f"{DEPLOY}/kubernetes/ebb-export.yaml"))}
    pod = objects["DaemonSet"]["spec"]["template"]["spec"]
    container, = pod["containers"]
    rights = container["securityContext"]
    tap.report(rights["capabilities"] == {"drop": ["ALL"], "add": ["SYS_PTRACE"]}
               and not rights["privileged"] and not rights["allowPrivilegeEscalation"]
               and rights["readOnlyRootFilesystem"]
               and rights["seccompProfile"]["type"] == "RuntimeDefault", "one capability", rights)
    tap.report(pod["hostPID"] and "hostNetwork" not in pod and "hostIPC" not in pod
               and pod["automountServiceAccountToken"] is False, "no more of the host", pod)
    tap.report(all(mount["readOnly"] for mount in container["volumeMounts"]), "nothing to write to")
    labels = objects["DaemonSet"]["spec"]["template"]["metadata"]["labels"].items()
    chosen = [objects["DaemonSet"]["spec"]["selector"],
              objects["NetworkPolicy"]["spec"]["podSelector"]]
    tap.report(all(selector["matchLabels"].items() <= labels for selector in chosen),
               "what chooses it finds it")
    # The command takes these arguments: it goes as far as to look for a tree that is not there.
    done = run(EBB, *container["args"], "--proc-root", "/nowhere")
    tap.report("/nowhere" in done.stderr and done.returncode == 1, "ebb knows its arguments",
               done.stderr)


all_names = exposed()
documented(all_names)
rules(all_names)
dashboard(all_names)
unit()
kubernetes()
tap.done()
