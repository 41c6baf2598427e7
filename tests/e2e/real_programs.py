# SPDX-License-Identifier: Apache-2.0
# Real programs from the distribution, started on loopback in a private folder, given some work, and
# left alone. Used by tests/e2e/real-programs.t and bench/unexplained. Each starter is a context
# manager that yields {label: pid} of processes to look at; it raises Missing where the program is
# not installed.
import base64
import contextlib
import glob
import http.client
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time


class Missing(Exception):
    """The program is not installed here."""


def need(name, *places):
    for pattern in places:
        for path in sorted(glob.glob(pattern), reverse=True):
            return path
    path = shutil.which(name)
    if not path:
        raise Missing(f"{name} is not installed")
    return path


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(condition, what, seconds=30):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return
        time.sleep(0.05)
    raise RuntimeError(f"{what} did not come up within {seconds} s")


def listens(port):
    def check():
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", port)) == 0
    return check


@contextlib.contextmanager
def process(command, log, **options):
    """A child that is ended by its pid, gently and then for good."""
    with open(log, "ab") as output:
        child = subprocess.Popen(command, stdout=output, stderr=output,
                                 stdin=options.pop("stdin", subprocess.DEVNULL), **options)
    try:
        yield child
    finally:
        if child.poll() is None:
            child.send_signal(signal.SIGTERM)
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                child.kill()
        child.wait()


@contextlib.contextmanager
def etcd(folder):
    port, peer = free_port(), free_port()
    url, peer_url = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{peer}"
    command = [need("etcd"), "--data-dir", f"{folder}/etcd", "--listen-client-urls", url,
               "--advertise-client-urls", url, "--listen-peer-urls", peer_url,
               "--initial-advertise-peer-urls", peer_url,
               "--initial-cluster", f"default={peer_url}"]
    with process(command, f"{folder}/etcd.log") as child:
        wait_for(listens(port), "etcd")
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        for number in range(500):
            body = {"key": base64.b64encode(b"key%d" % number).decode(),
                    "value": base64.b64encode(os.urandom(2048)).decode()}
            client.request("POST", "/v3/kv/put", json.dumps(body))
            client.getresponse().read()
        yield {"etcd": child.pid}


@contextlib.contextmanager
def redis(folder):
    port = free_port()
    command = [need("redis-server"), "--port", str(port), "--bind", "127.0.0.1", "--save", "",
               "--dir", folder, "--enable-debug-command", "local"]
    with process(command, f"{folder}/redis.log") as child:
        wait_for(listens(port), "redis")
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(b"DEBUG POPULATE 300000 key 100\r\n")
            client.recv(100)
        yield {"redis": child.pid}


QUERIES = b"""
create table t as select g, md5(g::text) m from generate_series(1, 300000) g;
set work_mem = '64MB';
select count(*) from (select m from t order by m) s;
select pg_backend_pid() \\g """


@contextlib.contextmanager
def postgresql(folder):
    initdb = need("initdb", "/usr/lib/postgresql/*/bin/initdb")
    tools = os.path.dirname(initdb)
    data, port = f"{folder}/pg", free_port()
    os.mkdir(data, 0o700)
    user = {}
    if os.geteuid() == 0:
        # PostgreSQL refuses to run as root.
        names = [user.pw_name for user in pwd.getpwall()]
        account = pwd.getpwnam("postgres" if "postgres" in names else "nobody")
        user = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
        os.chmod(folder, 0o755)
        os.chown(data, account.pw_uid, account.pw_gid)
    environment = {**os.environ, "PGHOST": "127.0.0.1", "PGPORT": str(port), "PGUSER": "ebb",
                   "HOME": data}
    with open(f"{folder}/initdb.log", "wb") as log:
        subprocess.run([initdb, "-D", data, "-U", "ebb", "-A", "trust", "-N"], check=True,
                       stdout=log, stderr=log, env=environment, cwd=data, **user)
    command = [f"{tools}/postgres", "-D", data, "-p", str(port), "-c", "unix_socket_directories=",
               "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"]
    with process(command, f"{folder}/postgres.log", env=environment, cwd=data, **user) as child:
        wait_for(listens(port), "PostgreSQL")
        with process([f"{tools}/psql", "-X", "-d", "postgres"], f"{folder}/psql.log",
                     env=environment, stdin=subprocess.PIPE) as client:
            client.stdin.write(QUERIES + f"{folder}/backend\n".encode())
            client.stdin.flush()
            wait_for(lambda: os.path.exists(f"{folder}/backend") and
                     "row)" in open(f"{folder}/backend", encoding="ascii").read(), "the query")
            lines = open(f"{folder}/backend", encoding="ascii").read().split("\n")
            yield {"postgres": child.pid, "postgres backend": int(lines[2])}


@contextlib.contextmanager
def script(folder, name, command, ready):
    """A program that prints a line when it stands still."""
    log = f"{folder}/{name}.log"
    with process(command, log) as child:
        wait_for(lambda: ready in open(log, encoding="utf-8", errors="replace").read(), name, 60)
        time.sleep(0.3)
        yield {name: child.pid}


def python3(folder):
    code = ("import time\nkeep = [str(i) * 3 for i in range(400000)]\n"
            "table = {i: [i] for i in range(200000)}\n"
            "print('ready', flush=True)\ntime.sleep(600)\n")
    return script(folder, "python3", [need("python3", "/usr/bin/python3"), "-c", code], "ready")


def node(folder):
    code = ("const keep = Array.from({length: 500000}, (_, i) => ({i, s: 'x' + i}));"
            "console.log('ready'); setInterval(() => keep.length, 1000);")
    return script(folder, "node", [need("node"), "-e", code], "ready")


JAVA = """
import java.util.*;
public class Hold {
    public static void main(String[] arguments) throws Exception {
        List<String> keep = new ArrayList<>();
        for (int i = 0; i < 500000; i++) keep.add("value " + i);
        System.out.println("ready");
        Thread.sleep(600000);
        System.out.println(keep.size());
    }
}
"""


@contextlib.contextmanager
def java(folder):
    need("javac")
    with open(f"{folder}/Hold.java", "w", encoding="ascii") as source:
        source.write(JAVA)
    subprocess.run(["javac", "-d", folder, f"{folder}/Hold.java"], check=True)
    with script(folder, "java", [need("java"), "-cp", folder, "Hold"], "ready") as pids:
        yield pids


@contextlib.contextmanager
def nginx(folder):
    port = free_port()
    with open(f"{folder}/nginx.conf", "w", encoding="ascii") as config:
        config.write(f"""
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{}}
http {{
    access_log off; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p;
    fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    server {{ listen 127.0.0.1:{port}; location / {{ return 200 'ebb'; }} }}
}}
""")
    command = [need("nginx", "/usr/sbin/nginx"), "-c", f"{folder}/nginx.conf", "-p", folder]
    with process(command, f"{folder}/nginx.log") as child:
        wait_for(listens(port), "nginx")
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        for _ in range(500):
            client.request("GET", "/")
            client.getresponse().read()
        workers = []
        for stat in glob.glob("/proc/[0-9]*/stat"):
            with contextlib.suppress(OSError):
                if int(open(stat, "rb").read().rpartition(b")")[2].split()[1]) == child.pid:
                    workers.append(int(stat.split("/")[2]))
        yield {"nginx": child.pid, "nginx worker": workers[0]}


@contextlib.contextmanager
def git(folder):
    path = need("git")
    work = f"{folder}/repository"
    quiet = {"check": True, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.run([path, "init", work], **quiet)
    for number in range(50):
        with open(f"{work}/{number}", "wb") as file:
            file.write(os.urandom(200000))
    subprocess.run([path, "-C", work, "add", "."], **quiet)
    with process([path, "-C", work, "cat-file", "--batch"], f"{folder}/git.log",
                 stdin=subprocess.PIPE) as child:
        names = subprocess.run([path, "-C", work, "ls-files", "-s"], capture_output=True,
                               text=True, check=True)
        for line in names.stdout.splitlines():
            child.stdin.write(line.split()[1].encode() + b"\n")
        child.stdin.flush()
        time.sleep(0.5)
        yield {"git": child.pid}


@contextlib.contextmanager
def this_tool(folder):
    command = [os.environ.get("EBB", "build/ebb"), "explain", "--for", "60s", str(os.getpid())]
    with process(command, f"{folder}/ebb.log") as child:
        time.sleep(0.5)
        yield {"ebb": child.pid}


STARTERS = {"etcd": etcd, "redis": redis, "postgresql": postgresql, "python3": python3,
            "node": node, "java": java, "nginx": nginx, "git": git, "ebb": this_tool}


def explain(pid):
    """The report of `ebb explain --json`, and its exit status."""
    command = [os.environ.get("EBB", "build/ebb"), "explain", "--json", str(pid)]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    return (json.loads(run.stdout) if run.stdout else None), run.returncode
