# SPDX-License-Identifier: Apache-2.0
# The allocators of the malloc suite: libebb, its peers from the distribution, and any library that
# EBB_BENCH_PEERS names; and settings of theirs that make them give memory back.
import dataclasses
import glob
import os
import shutil
import subprocess

BUILD = os.path.abspath(os.environ.get("BUILD", os.path.join(os.path.dirname(__file__),
                                                             "../../build")))
OURS = "libebb"
DEBIAN = {"jemalloc": "libjemalloc.so.2", "mimalloc": "libmimalloc.so.*",
          "tcmalloc": "libtcmalloc_minimal.so.4"}
# Each library's own names for "give back soon"; those that a version does not know have no effect.
TUNED = {
    "jemalloc": {"MALLOC_CONF": "dirty_decay_ms:500,muzzy_decay_ms:0,background_thread:true"},
    "mimalloc": {"MIMALLOC_PURGE_DELAY": "0", "MIMALLOC_RESET_DELAY": "0",
                 "MIMALLOC_SEGMENT_DECOMMIT_DELAY": "0", "MIMALLOC_PAGE_RESET": "1",
                 "MIMALLOC_DECOMMIT_DELAY": "0", "MIMALLOC_ABANDONED_PAGE_DECOMMIT": "1"},
    "tcmalloc": {"TCMALLOC_RELEASE_RATE": "10"},
}
SETTINGS = ("MALLOC_", "MIMALLOC_", "TCMALLOC_", "GLIBC_TUNABLES", "EBB_CONF", "LD_PRELOAD")


@dataclasses.dataclass
class Allocator:
    name: str
    lib: str = ""  # "": the system's
    settings: dict = dataclasses.field(default_factory=dict)
    trims: bool = False  # the program calls malloc_trim() once it has freed

    @property
    def is_tuned(self):
        return bool(self.settings) or self.trims

    def environment(self, **more):
        """Without LD_PRELOAD, which is for the measured program alone."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith(SETTINGS)}
        return {**kept, "LC_ALL": "C", **self.settings, **more}

    def describe(self):
        return {"library": os.path.realpath(self.lib) if self.lib else "the system's",
                "version": version(self), "settings": self.settings, "trims": self.trims}


def version(allocator):
    """What the package manager calls it, where it knows it."""
    path = allocator.lib or "/lib/x86_64-linux-gnu/libc.so.6"
    if not shutil.which("dpkg-query") or allocator.name == OURS:
        return ""
    owner = subprocess.run(["dpkg-query", "-S", os.path.realpath(path)], capture_output=True,
                           text=True, check=False).stdout.partition(": ")[0].partition(",")[0]
    if not owner:
        owner = "libc6" if not allocator.lib else ""
    return subprocess.run(["dpkg-query", "-W", "-f", "${Package} ${Version}", owner],
                          capture_output=True, text=True, check=False).stdout if owner else ""


def defaults():
    """(allocators with default settings, ours first; reasons for those that are missing)."""
    found, missing = [Allocator(OURS, f"{BUILD}/libebb.so"), Allocator("glibc")], {}
    if not os.path.exists(found[0].lib):
        missing[OURS] = f"{found[0].lib} is not built"
        del found[0]
    for name, pattern in DEBIAN.items():
        paths = sorted(glob.glob(f"/usr/lib/*/{pattern}") + glob.glob(f"/usr/lib*/{pattern}"))
        if paths:
            found.append(Allocator(name, paths[0]))
        else:
            missing[name] = f"no {pattern} is installed"
    for path in filter(None, os.environ.get("EBB_BENCH_PEERS", "").split(":")):
        if os.path.exists(path):
            found.append(Allocator(os.path.basename(path).partition(".so")[0],
                                   os.path.abspath(path)))
        else:
            missing[path] = "there is no such file"
    return found, missing


def tuned(allocators):
    """The same libraries, told to give back."""
    return [Allocator(f"{one.name}, tuned", one.lib, TUNED.get(one.name, {}),
                      one.name == "glibc")
            for one in allocators if one.name in TUNED or one.name == "glibc"]
