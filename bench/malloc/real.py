# SPDX-License-Identifier: Apache-2.0
# Real programs of the distribution at work on each allocator: what it takes, and that the work was
# done. Each is a class with prepare(scratch), which may raise Missing, and run(allocator, scratch).
import ctypes.util
import glob
import os
import shutil
import subprocess
import time

import programs
from memory import resident

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.abspath(os.path.join(HERE, "../.."))


class Missing(Exception):
    """A program is not installed, or does not do what it should here."""


def need(name):
    path = shutil.which(name)
    if not path:
        raise Missing(f"{name} is not installed")
    return path


def write(path, text):
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


class Script:
    """An interpreter with a program of ours; `percent` of the amount is its argument."""
    text, suffix, environment = "", "", {}

    def __init__(self, percent):
        self.percent = percent

    def interpreter(self):
        raise NotImplementedError

    def prepare(self, scratch):
        self.command = [*self.interpreter(), f"{scratch}/work.{self.suffix}", str(self.percent)]
        write(self.command[-2], self.text)

    def run(self, allocator, scratch):
        return programs.measure(allocator, self.command, scratch, self.environment)


class Python(Script):
    suffix, environment = "py", {"PYTHONMALLOC": "malloc", "PYTHONHASHSEED": "0"}
    text = """
import collections, json, random, sys
random.seed(7)
percent = int(sys.argv[1])
class Node:
    def __init__(self, key, value):
        self.key, self.value, self.links = key, value, []
nodes = {}
for i in range(600 * percent):
    node = Node(str(i), "y" * (i % 300))
    nodes[node.key] = node
    node.links.append(nodes[str(random.randrange(i + 1))])
text = json.dumps([{n.key: n.value, "l": [m.key for m in n.links]} for n in nodes.values()])
rows = json.loads(text)
words = collections.Counter(k[:3] for row in rows for k in row)
lines = sorted((row["l"][0] + "-" + str(len(row))) for row in rows)
queue = collections.deque(maxlen=20000)
for i in range(4000 * percent):
    queue.append((i, str(i), [i]))
assert len(lines) == 600 * percent and words
"""

    def interpreter(self):
        # A wrapper that picks a version would be measured as well.
        return ["/usr/bin/python3" if os.path.exists("/usr/bin/python3") else need("python3")]


class Perl(Script):
    suffix = "pl"
    text = """
my ($percent) = @ARGV; my (%h, @rows); srand(7);
for my $i (1 .. 2500 * $percent) {
    my $key = "k" . int(rand(30000)) . "/" . ($i % 97);
    $h{$key} = [$i, "x" x ($i % 200), { a => $i }];
    delete $h{"k" . int(rand(30000)) . "/" . ($i % 89)};
    push @rows, join(",", map { $_ * 2 } 1 .. 5) if $i % 3 == 0;
}
my %count; $count{$_}++ for map { split /,/ } @rows;
my $text = join("\\n", sort @rows); $text =~ s/1(\\d)/<$1>/g;
die unless length $text and keys %count;
"""

    def interpreter(self):
        return [need("perl")]


class Lua(Script):
    suffix = "lua"
    text = """
local percent = tonumber(arg[1]); local rows, total = {}, 0
math.randomseed(7)
for i = 1, 3500 * percent do
  local row = { id = i, name = "row " .. i, tags = { i % 7, i % 11 } }
  row.next = rows[math.random(1, 50000)]
  rows[math.random(1, 50000)] = row
  if row.next then row.next.next = nil end
end
local parts = {}
for i = 1, 3000 * percent do parts[#parts + 1] = ("%d:%x"):format(i, i * 7919) end
for word in table.concat(parts, " "):gmatch("%S+") do total = total + #word end
assert(total > 0)
"""

    def interpreter(self):
        return [shutil.which("lua5.4") or need("lua")]


class Sqlite(Script):
    def prepare(self, scratch):
        rows = 1000 * self.percent
        self.command = [need("sqlite3"), ":memory:", f"""
create table t(a integer primary key, b text, c text);
with recursive n(x) as (select 1 union all select x + 1 from n where x < {rows})
insert into t select x, hex(x * 7919 % 10007), printf('%0*d', x % 200, x) from n;
create index i on t(b, c);
update t set c = c || b where a % 3 = 0;
delete from t where a % 5 = 0;
select b, count(*), group_concat(substr(c, 1, 8)) from t group by b order by 2, 1;
select count(*) from t x join t y on x.b = y.b and x.a < y.a where x.a % 100 = 1;"""]


class Git:
    """A full repack, as gc --aggressive does it, of a repository that is made here."""

    def __init__(self, percent):
        self.percent = percent
        self.environment = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull}

    def prepare(self, scratch):
        git = need("git")
        self.template, self.copy = f"{scratch}/repository", f"{scratch}/copy"
        environment = {**os.environ, **self.environment}
        subprocess.run([git, "init", "-q", "--bare", self.template], check=True, env=environment)
        subprocess.run([git, "-C", self.template, "fast-import", "--quiet"], check=True,
                       input=self.history().encode(), env=environment)
        self.command = [git, "-C", self.copy, "-c", "pack.threads=2", "gc", "--aggressive",
                        "--prune=now", "--quiet"]

    def history(self):
        """A few hundred commits, each of which changes some lines of some of forty files."""
        files = {f"file{i}": [f"line {k} of {i}: {k * i * 7919 % 10007}" for k in range(300)]
                 for i in range(40)}
        stream, random = [], 7
        for commit in range(2 + 4 * self.percent):
            stream.append(f"commit refs/heads/main\ncommitter A <a@b> {commit + 1} +0000\n"
                          "data 1\nc")
            for name, lines in files.items():
                random = (random * 1103515245 + 12345) % 2147483648
                if commit and random >> 8 & 7:
                    continue
                lines[random >> 12 & 255] = f"changed by {commit}: {random}"
                text = "\n".join(lines) + "\n"
                stream.append(f"M 100644 inline {name}\ndata {len(text)}\n{text}")
        return "\n".join(stream) + "\n"

    def run(self, allocator, scratch):
        shutil.rmtree(self.copy, ignore_errors=True)
        shutil.copytree(self.template, self.copy)
        return programs.measure(allocator, self.command, scratch, self.environment)


class Gcc(Script):
    """Compiles files of this repository. The C compiler proper is a child, which counts."""

    def prepare(self, scratch):
        files = sorted(glob.glob(f"{SOURCE}/lib/heap/*.c"))[:max(1, 9 * self.percent // 100)]
        if not files:
            raise Missing("no sources of libebb are here")
        self.command = [need("gcc"), "-O2", "-std=c11", "-D_GNU_SOURCE", f"-I{SOURCE}/lib",
                        f"-I{SOURCE}", f"-I{SOURCE}/include", "-c", *files]
        self.folder = scratch

    def run(self, allocator, scratch):
        return programs.measure(allocator, self.command, scratch, cwd=self.folder)


class Redis:
    """The CPU and memory are the server's; the wall time is that of the requests."""

    def __init__(self, percent):
        self.percent = percent

    def prepare(self, scratch):
        self.server, self.client = need("redis-server"), need("redis-cli")
        self.benchmark = need("redis-benchmark")
        self.socket = f"{scratch}/redis.sock"

    def ask(self, *words):
        return subprocess.run([self.client, "-s", self.socket, *words], capture_output=True,
                              text=True, check=False, timeout=30).stdout

    def load(self):
        requests = str(1500 * self.percent)
        for work in (["-P", "16", "-r", "1000000", "lpush", "a", "1", "2", "3", "4", "5"],
                     ["-P", "16", "-r", "100000", "-d", "256", "-t", "set,get,lpush,lpop,hset"]):
            ran = subprocess.run([self.benchmark, "-s", self.socket, "-q", "-n", requests, *work],
                                 capture_output=True, check=False, timeout=120)
            if ran.returncode != 0:
                raise programs.Failed("redis-benchmark failed")

    def run(self, allocator, scratch):
        # Where redis is linked with a malloc of its own, libc's comes first only if it is asked to.
        lib = allocator.lib or libc_path()
        result = f"{scratch}/measured"
        command = [self.server, "--port", "0", "--unixsocket", self.socket, "--save", "",
                   "--appendonly", "no", "--daemonize", "no", "--dir", scratch]
        child = subprocess.Popen([f"{programs.PROGRAMS}measure", result, lib, *command],
                                 stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                 stderr=subprocess.DEVNULL, env=allocator.environment())
        try:
            for _ in range(200):
                if self.ask("ping").strip() == "PONG":
                    break
                time.sleep(0.05)
            else:
                raise programs.Failed("redis-server does not answer")
            started = time.monotonic()
            self.load()
            wall = time.monotonic() - started
            after = self.after()
            self.ask("shutdown", "nosave")
            child.wait(timeout=30)
        finally:
            child.kill()
            child.wait()
        return {**programs.read_result(result), "wall_s": wall, **after}

    def after(self):
        """What is left a second after all keys were dropped."""
        self.ask("flushall")
        time.sleep(1)
        words = dict(line.split(":", 1) for line in self.ask("info", "server").splitlines()
                     if ":" in line)
        rss, lazy = resident(int(words["process_id"]))
        return {"after_kib": (rss - lazy) >> 10}


def libc_path():
    """The file of the libc that this process runs on."""
    with open("/proc/self/maps", encoding="ascii", errors="replace") as maps:
        for line in maps:
            path = line.split()[-1]
            if os.path.basename(path).startswith(("libc.so", "libc-", "ld-musl")):
                return path
    return ctypes.util.find_library("c")


KINDS = {"redis": Redis, "sqlite3": Sqlite, "python3": Python, "perl": Perl, "git-gc": Git,
         "gcc": Gcc, "lua": Lua}


def program(name, percent, scratch):
    """A function of (allocator, scratch) that runs the program. Raises Missing."""
    one = KINDS[name](percent)
    folder = f"{scratch}/{name}"
    os.makedirs(folder)
    one.prepare(folder)
    return lambda allocator, _: one.run(allocator, folder)
