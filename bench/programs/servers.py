# SPDX-License-Identifier: Apache-2.0
# The servers: how each is configured in a folder of its own, started on loopback and driven. A row
# is a class; SERVERS names them. `needs` are programs: where one is missing the row is skipped.
import contextlib
import glob
import os
import shutil
import signal
import socket
import time

import loads
import trees
from programs import Failed
from real_programs import free_port, listens, wait_for

PAGE, FILE = "<p>hello</p>" * 300, bytes(range(256)) * 800
URLS = 300
UP_S = 180


def write(path, content):
    with open(path, "wb") as file:
        file.write(content.encode() if isinstance(content, str) else content)


def find(name):
    """The path of a program, also where that of administrators is not searched; or None."""
    places = os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin"
    if name.startswith("/"):
        return max(glob.glob(name), default=None)
    return shutil.which(name, path=places)


class Server:
    """The folder is the server's own, and empty; `environment` is without its malloc. `work` tells
    all of the load, `percent` of which is asked for."""
    name, work, needs = "", "", ()

    def __init__(self, folder, environment, percent=100):
        self.folder, self.port, self.percent = folder, free_port(), percent
        self.environment = {**environment, "HOME": folder, "TMPDIR": folder}

    def file(self, name, content=None):
        """The path of a file of the server, written where there is content."""
        path = f"{self.folder}/{name}"
        if content is not None:
            write(path, content)
            trees.give_away(path)
        return path

    def make_folder(self, name):
        path = f"{self.folder}/{name}"
        os.mkdir(path)
        trees.give_away(path)
        return path

    def beside(self):
        """Other servers that it takes, on the system's malloc."""
        return contextlib.nullcontext()

    def configure(self):
        raise NotImplementedError

    def command(self):
        raise NotImplementedError

    def is_up(self):
        return listens(self.port)()

    def load(self, child):
        """Drives the server. Returns what it answered, as text."""
        raise NotImplementedError

    def part(self, count):
        return max(1, count * self.percent // 100)

    def url(self, path=""):
        return f"http://127.0.0.1:{self.port}/{path}"

    @contextlib.contextmanager
    def started(self, environment):
        """Runs it until the end of the block; yields its process once it is up."""
        self.configure()
        command = self.command()
        with trees.running([find(command[0]), *command[1:]], environment, self.folder,
                           self.file("log")) as child:
            wait_for(lambda: child.poll() is not None or self.is_up(), self.name, UP_S)
            if child.poll() is not None:
                raise Failed(f"ended with status {child.returncode} before it was up")
            yield child

    def log(self):
        """What it said; nothing where it was never started."""
        if not os.path.exists(self.file("log")):
            return ""
        with open(self.file("log"), encoding="utf-8", errors="replace") as file:
            return file.read()


class Nginx(Server):
    name = "nginx"
    work = "ab -k -c 40 -n 4000 of 3.6 and 205 KB, proxied; 500 gzipped; 5 reloads"
    needs = ("nginx", "ab")
    # What stands in the server's block beside the files.
    more = """gzip on; gzip_types *; gzip_http_version 1.0;
        location /proxied/ {{ proxy_pass http://127.0.0.1:{port}/; }}"""

    def configure(self):
        os.chmod(self.make_folder("www"), 0o755)
        self.file("www/page.html", PAGE)
        self.file("www/file.bin", FILE)
        temporary = " ".join(f"{kind}_temp_path {self.folder}/{kind};" for kind in (
            "client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        self.file("conf", f"""
daemon off; worker_processes 2; pid {self.folder}/pid; error_log {self.folder}/error.log;
events {{}}
http {{
    access_log off; {temporary}
    server {{
        listen 127.0.0.1:{self.port}; root {self.folder}/www;
        {self.more.format(port=self.port, parent=os.path.dirname(self.folder))}
    }}
}}
""")

    def command(self):
        return ["nginx", "-c", self.file("conf"), "-p", self.folder, "-e", self.file("error.log")]

    def load(self, child):
        answers = [loads.ab(self.url(path), self.part(4000), 40, "-k")
                   for path in ("page.html", "file.bin", "proxied/file.bin")]
        answers.append(loads.ab(self.url("file.bin"), self.part(500), 40, "-H",
                                "Accept-Encoding: gzip"))
        for _ in range(5):
            child.send_signal(signal.SIGHUP)
            time.sleep(0.3)
        return "\n".join([*answers, loads.ab(self.url("file.bin"), self.part(1000), 40, "-k"),
                          loads.bodies([self.url("page.html"), self.url("file.bin")])])


class Backend(Nginx):
    """What proxies stand before."""
    name = "nginx as backend"
    more = ""


class Proxied(Server):
    """A server that needs another one behind it."""
    backend_class = Backend

    @contextlib.contextmanager
    def beside(self):
        self.backend = self.backend_class(self.make_folder("backend"), self.environment)
        with self.backend.started(self.backend.environment):
            yield


class Haproxy(Proxied):
    name = "haproxy"
    work = "4 threads, ab -k -c 40 -n 6000 of 3.6 and 205 KB through it"
    needs = ("haproxy", "nginx", "ab")

    def configure(self):
        self.file("conf", f"""
global
    maxconn 500
    nbthread 4
defaults
    mode http
    timeout connect 5s
    timeout client 20s
    timeout server 20s
    compression algo gzip
    compression type text/html
frontend front
    bind 127.0.0.1:{self.port}
    default_backend back
backend back
    server one 127.0.0.1:{self.backend.port}
""")

    def command(self):
        return ["haproxy", "-W", "-db", "-f", self.file("conf")]

    def load(self, child):
        urls = [self.url("page.html"), self.url("file.bin")]
        answers = [loads.ab(url, self.part(6000), 40, "-k") for url in urls]
        return "\n".join([*answers, loads.bodies(urls)])


class Varnish(Proxied):
    name = "varnish"
    work = "ab -k -c 40 -n 4000 of 3.6 and 205 KB, then 300 other URLs of 205 KB, 64 MB of cache"
    needs = ("varnishd", "gcc", "nginx", "ab")

    def configure(self):
        pass

    def command(self):
        return ["varnishd", "-F", "-n", f"{self.folder}/instance", "-a", f"127.0.0.1:{self.port}",
                "-b", f"127.0.0.1:{self.backend.port}", "-s", "malloc,64m", "-j", "none",
                "-T", "none"]

    def load(self, child):
        urls = [self.url("page.html"), self.url("file.bin")]
        # Twice without a cache: which of many first requests were sent on is chance.
        answers = [loads.bodies(urls)] + [loads.ab(url, self.part(4000), 40, "-k") for url in urls]
        return "\n".join([*answers, loads.bodies(f"{urls[1]}?{i}" for i in range(self.part(URLS)))])


class Squid(Proxied):
    name = "squid"
    work = "-N, ab -X -c 30 -n 3000 of 3.6 and 205 KB, then 300 other URLs, 64 MB of cache"
    needs = ("squid", "nginx", "ab")

    def configure(self):
        self.file("conf", f"""
http_port 127.0.0.1:{self.port}
http_access allow all
cache_mem 64 MB
pid_filename none
cache_log {self.folder}/cache.log
access_log none
coredump_dir {self.folder}
visible_hostname localhost
shutdown_lifetime 1 second
netdb_filename none
pinger_enable off
max_filedescriptors 1024
""")

    def command(self):
        return ["squid", "-N", "-f", self.file("conf")]

    def load(self, child):
        proxy, urls = f"127.0.0.1:{self.port}", [self.backend.url("page.html"),
                                                 self.backend.url("file.bin")]
        answers = [loads.ab(url, self.part(3000), 30, "-X", proxy) for url in urls]
        urls += [f"{urls[1]}?{i}" for i in range(self.part(URLS))]
        return "\n".join([*answers, loads.bodies(urls, proxy)])


class FastCgi(Nginx):
    """What gives php-fpm its requests, which the server itself listens for on a socket."""
    more = """location ~ php {{ include /etc/nginx/fastcgi_params; fastcgi_read_timeout 60s;
        fastcgi_param SCRIPT_FILENAME {parent}/work.php;
        fastcgi_pass unix:{parent}/socket; }}"""


class Php(Proxied):
    name = "php-fpm"
    work = "24 requests, 8 at a time, that build, sort, serialise and compress an array"
    needs = ("/usr/sbin/php-fpm*", "nginx")
    backend_class = FastCgi
    script = """<?php
ini_set('memory_limit', '512M'); mt_srand(1); $a = [];
for ($i = 0; $i < 20000; $i++) {
    $a["k$i"] = str_repeat("x", mt_rand(0, 900));
    if ($i % 2) unset($a["k" . mt_rand(0, $i)]);
}
echo count($a), " ", array_sum(array_map('strlen', $a)), "\n";
ksort($a); echo md5(serialize($a)), " ", crc32(gzcompress(implode('', $a))), "\n";
for ($i = 0; $i < 300; $i++) preg_match_all('/(x+)y?/', str_repeat("xxy", $i), $m);
unset($a); $j = json_encode(range(1, 10000));
echo count($m[0]), " ", strlen($j), " ", count(json_decode($j)), "\n";
"""

    def configure(self):
        self.file("work.php", self.script)
        self.file("conf", f"""
[global]
daemonize = no
error_log = {self.folder}/error.log
[pool]
listen = {self.folder}/socket
pm = dynamic
pm.max_children = 4
pm.start_servers = 2
pm.min_spare_servers = 1
pm.max_spare_servers = 3
pm.max_requests = 20
""")

    def command(self):
        return ["/usr/sbin/php-fpm*", "-F", "-n", "-y", self.file("conf")]

    def is_up(self):
        return os.path.exists(self.file("socket"))

    def load(self, child):
        url = self.backend.url("work.php")
        return "\n".join(loads.at_once(lambda _: loads.bodies([url] * self.part(3)), 8))


class Memcached(Server):
    name = "memcached"
    work = "10 clients set and get 3000 values each of up to 5 KB"
    needs = ("memcached",)

    def configure(self):
        pass

    def command(self):
        return ["memcached", "-l", "127.0.0.1", "-p", str(self.port), "-m", "64", "-t", "4"]

    def load(self, child):
        return loads.memcached(self.port, 10, self.part(3000))


class Dns(Server):
    """Servers of names: 8000 addresses and 8000 texts of up to 200 characters."""
    records = ([(f"h{i}.x.test.", "A", f"10.0.{i // 250}.{i % 250}") for i in range(8000)]
               + [(f"t{i}.x.test.", "TXT", "t" * (i % 200 + 1)) for i in range(8000)])

    def ask(self):
        return loads.dns(self.port, self.records[:self.part(len(self.records))])

    def is_up(self):
        """Whether it answers, not whether it listens: zones are loaded after that."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
            link.settimeout(0.5)
            try:
                link.connect((loads.HOST, self.port))
                link.send(loads.dns_query(1, *self.records[0][:2]))
                return link.recv(4096)[7] > 0
            except OSError:
                return False


class Bind(Dns):
    name = "BIND"
    work = "4 threads, 16000 queries of a zone of as many records, a transfer of it"
    needs = ("named", "dig")

    def configure(self):
        self.file("zone", "$TTL 60\n@ IN SOA ns. a. 1 60 60 60 60\n@ IN NS ns.x.test.\n"
                  "ns IN A 127.0.0.1\n"
                  + "".join(f"{name} IN {kind} {data}\n" for name, kind, data in self.records))
        self.file("conf", f"""
options {{
    directory "{self.folder}"; listen-on port {self.port} {{ 127.0.0.1; }};
    listen-on-v6 {{ none; }}; pid-file none; session-keyfile none; recursion no;
    dnssec-validation no;
}};
controls {{ }};
zone "x.test" {{ type master; file "{self.folder}/zone"; }};
""")

    def command(self):
        return ["named", "-g", "-c", self.file("conf"), "-n", "4"]

    def load(self, child):
        answers = self.ask()
        zone = loads.ask(["dig", "@127.0.0.1", "-p", str(self.port), "+tcp", "+noall", "+answer",
                          "x.test", "axfr"])
        return f"{answers}\n{loads.digest(sorted(zone.splitlines()))}"


class Unbound(Dns):
    name = "Unbound"
    work = "4 threads, 32000 queries of as many local records"
    needs = ("unbound",)

    def configure(self):
        self.file("conf", f"""server:
  verbosity: 0
  interface: 127.0.0.1
  port: {self.port}
  do-daemonize: no
  username: ""
  chroot: ""
  directory: "{self.folder}"
  pidfile: ""
  use-syslog: no
  num-threads: 4
  module-config: "iterator"
  local-zone: "x.test." transparent
""" + "".join(f'  local-data: "{name} {kind} {data}"\n'
              for name, kind, data in self.records))

    def command(self):
        return ["unbound", "-d", "-c", self.file("conf")]

    def load(self, child):
        return "\n".join(self.ask() for _ in range(2))


class Slapd(Server):
    name = "slapd"
    work = "ldapadd of 3000 entries, 24 searches by 8 clients"
    needs = ("slapd", "ldapadd", "ldapsearch")

    def configure(self):
        self.make_folder("db")
        schemas = "".join(f"include /etc/ldap/schema/{name}.schema\n"
                          for name in ("core", "cosine", "inetorgperson"))
        self.file("conf", schemas + f"""modulepath /usr/lib/ldap
moduleload back_mdb
sizelimit unlimited
database mdb
maxsize 268435456
suffix "dc=x"
rootdn "cn=a,dc=x"
rootpw p
directory {self.folder}/db
index cn eq,sub
dbnosync
""")

    def command(self):
        return ["slapd", "-d", "0", "-f", self.file("conf"), "-h", f"ldap://127.0.0.1:{self.port}"]

    def load(self, child):
        there = ["-x", "-H", f"ldap://127.0.0.1:{self.port}"]
        entries = ["dn: dc=x\nobjectClass: dcObject\nobjectClass: organization\no: x\ndc: x\n"]
        entries += [f"dn: cn=u{i},dc=x\nobjectClass: inetOrgPerson\nsn: s{i}\ncn: u{i}\n"
                    f"description: {'d' * (i % 400 + 1)}\n" for i in range(self.part(3000))]
        loads.ask(["ldapadd", *there, "-D", "cn=a,dc=x", "-w", "p"], "\n".join(entries))

        def client(_):
            return [loads.digest([loads.ask(["ldapsearch", *there, "-LLL", "-b", "dc=x",
                                             "(|(cn=u1*)(description=ddd*))"])])
                    for _ in range(3)]
        return "\n".join(sum(loads.at_once(client, 8), []))


class Mosquitto(Server):
    name = "mosquitto"
    work = "3000 messages to 5 subscribers; 200 retained ones of 50 KB, set and cleared"
    needs = ("mosquitto", "mosquitto_sub", "mosquitto_pub")

    def configure(self):
        self.file("conf", f"listener {self.port} 127.0.0.1\nallow_anonymous true\n"
                  "max_queued_messages 100000\n")

    def command(self):
        return ["mosquitto", "-c", self.file("conf")]

    def publish(self, topic, *options, text=""):
        return loads.ask(["mosquitto_pub", "-h", "127.0.0.1", "-p", str(self.port), "-t", topic,
                          *options], text)

    def fill(self, number):
        # Until the subscribers are there: what is published before does not reach them.
        time.sleep(0.5)
        lines = "".join(f"{number} {i} " + f" {i}" * 100 + "\n"
                        for i in range(self.part(1000)))
        self.publish(f"t/{number}", "-q", "1", "-l", text=lines)

    def read(self, number):
        said = loads.ask(["mosquitto_sub", "-h", "127.0.0.1", "-p", str(self.port), "-t", "t/#",
                          "-q", "1", "-C", str(3 * self.part(1000)), "-W", str(loads.WAIT_S)])
        return loads.digest(sorted(said.splitlines()))

    def load(self, child):
        results = loads.at_once(lambda i: self.fill(i) if i < 3 else self.read(i), 8)
        for options, text in ((["-r", "-s"], "x" * 50000), (["-r", "-n"], "")):
            for i in range(self.part(200)):
                self.publish(f"r/{i}", *options, text=text)
        return "\n".join(results[3:])


class MariaDb(Server):
    name = "MariaDB"
    work = ("sysbench of 2 tables of 5000 rows, 16 threads: 1500 oltp_read_write, 2000 "
            "oltp_point_select; mysqlslap --concurrency=40")
    needs = ("mariadbd", "mariadb-install-db", "mariadb", "sysbench", "mysqlslap")

    def options(self):
        return ["--no-defaults", f"--socket={self.folder}/socket"]

    def configure(self):
        loads.ask(["mariadb-install-db", "--no-defaults", f"--datadir={self.folder}/data",
                   "--auth-root-authentication-method=normal", "--skip-test-db"],
                  env=self.environment, cwd=self.folder, **trees.without_rights())

    def command(self):
        return ["mariadbd", *self.options(), f"--datadir={self.folder}/data", "--skip-networking",
                "--innodb-buffer-pool-size=32M"]

    def is_up(self):
        return os.path.exists(self.file("socket"))

    def query(self, text):
        return loads.ask(["mariadb", *self.options(), "-uroot", "-N", "-e", text])

    def sysbench(self, *words):
        loads.ask(["sysbench", "--db-driver=mysql", f"--mysql-socket={self.folder}/socket",
                   "--mysql-user=root", "--tables=2", "--table-size=5000", "--threads=16",
                   "--rand-seed=7", "--time=0", *words])

    def load(self, child):
        self.query("create database sbtest")
        self.sysbench("oltp_read_write", "prepare")
        self.sysbench(f"--events={self.part(1500)}", "oltp_read_write", "run")
        self.sysbench(f"--events={self.part(2000)}", "oltp_point_select", "run")
        loads.ask(["mysqlslap", *self.options(), "-uroot", "--concurrency=40",
                   "--auto-generate-sql", f"--number-of-queries={self.part(2000)}",
                   "--auto-generate-sql-load-type=mixed"])
        return self.query("use sbtest; select count(*), sum(length(c)) from sbtest1; "
                          "select a.k > b.k, count(*) > 9 from sbtest1 a join sbtest2 b "
                          "on a.k % 97 = b.k % 97 group by 1 order by 1; "
                          "check table sbtest1, sbtest2")


class RabbitMq(Server):
    name = "RabbitMQ"
    work = "6 clients publish 1500 messages each of up to 4 KB, and get them back"
    needs = ("/usr/lib/rabbitmq/bin/rabbitmq-server", "epmd")

    @contextlib.contextmanager
    def beside(self):
        """The port mapper, which it would else start so that it outlives it."""
        self.mapper = free_port()
        with trees.running([find("epmd"), "-port", str(self.mapper), "-address", "127.0.0.1"],
                           self.environment, self.folder, self.file("epmd.log")):
            wait_for(listens(self.mapper), "epmd")
            yield

    def configure(self):
        self.file("rabbit.conf", f"listeners.tcp.1 = 127.0.0.1:{self.port}\n"
                  f"loopback_users.guest = true\n")
        self.file("plugins", "[].\n")

    def settings(self):
        return {"RABBITMQ_NODENAME": f"bench{self.port}@localhost",
                "RABBITMQ_DIST_PORT": str(free_port()), "ERL_EPMD_PORT": str(self.mapper),
                "ERL_EPMD_ADDRESS": "127.0.0.1", "RABBITMQ_MNESIA_BASE": f"{self.folder}/data",
                "RABBITMQ_LOG_BASE": self.folder, "RABBITMQ_LOGS": "-",
                "RABBITMQ_CONFIG_FILE": f"{self.folder}/rabbit",
                "RABBITMQ_ENABLED_PLUGINS_FILE": self.file("plugins"),
                "RABBITMQ_PID_FILE": self.file("pid"), "RABBITMQ_CONF_ENV_FILE": os.devnull,
                # So that the shell becomes the server, which then is asked to end, not the shell.
                "RUNNING_UNDER_SYSTEMD": "1"}

    def command(self):
        return ["/usr/lib/rabbitmq/bin/rabbitmq-server"]

    def started(self, environment):
        return super().started({**environment, **self.settings()})

    def load(self, child):
        return loads.amqp(self.port, 6, self.part(1500))


SERVERS = (MariaDb, RabbitMq, Varnish, Squid, Php, Nginx, Memcached, Bind, Unbound, Slapd,
           Mosquitto, Haproxy)
