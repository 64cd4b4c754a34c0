"""What a proxy costs: CPU time a request, time a request waits, memory."""
import contextlib
import os
import pathlib
import re
import resource
import socket
import ssl
import statistics
import subprocess
import tempfile
import time

import servers

TICKS = os.sysconf("SC_CLK_TCK")
# The proxy has this core for itself; load and school share the other one.
PROXY_CORE, LOAD_CORE = "0", "1"
CONNECTIONS = 64


def cpu_seconds(pids):
    total = 0
    for pid in pids:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICKS


def memory_kib(pids, field="VmRSS"):
    status = [pathlib.Path(f"/proc/{pid}/status").read_text() for pid in pids]
    return sum(int(re.search(rf"{field}:\s+(\d+)", text).group(1)) for text in status)


def pin(pids, cores):
    for pid in pids:
        subprocess.run(["taskset", "-acp", cores, str(pid)], capture_output=True)


def processes(peer, tls):
    return [pid for first in (peer.tls if tls else peer.plain) for pid in servers.family(first)]


def load(url, seconds, body=None, http2=False):
    """Sends for so long as fast as answers come; how many came, and how many were not good."""
    on_core = ["taskset", "-c", LOAD_CORE]
    if http2:
        command = ["h2load", "-t1", "-c1", "-m64", "-D", str(seconds), "--warm-up-time", "0", url]
        text = subprocess.run(on_core + command, capture_output=True, text=True).stdout
        good = int(re.search(r"status codes: (\d+) 2xx", text).group(1))
        done = int(re.search(r"requests: \d+ total, \d+ started, (\d+) done", text).group(1))
        # An answer whose head has come by the end counts as good before it counts as done.
        return done, max(done - good, 0)
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", url]
    if body:
        command += ["-s", str(body)]
    text = subprocess.run(on_core + command, capture_output=True, text=True).stdout
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    broken = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
    wrong = int(bad.group(1)) if bad else 0
    wrong += sum(map(int, broken.groups())) if broken else 0
    return int(re.search(r"(\d+) requests in", text).group(1)), wrong


def cost(peer, case, seconds):
    """Microseconds of the proxy's CPU time for one request of a case, and requests a second."""
    pids = processes(peer, case.tls)
    pin(pids, PROXY_CORE if case.threads == 1 else f"{PROXY_CORE},{LOAD_CORE}")
    before = cpu_seconds(pids)
    done, wrong = load(peer.target(case.path, case.method, case.tls), seconds, case.body, case.http2)
    if wrong:
        raise SystemExit(f"{peer.name}, {case.name}: {wrong} of {done} answers were not good")
    return (cpu_seconds(pids) - before) / done * 1e6, done / seconds


def waits(url, rate, seconds):
    """Milliseconds that requests waited, at so many a second: the median and the 99th in a hundred."""
    clients = 8
    with tempfile.NamedTemporaryFile() as log:
        command = ["h2load", "--h1", "-t1", f"-c{clients}", f"--rps={rate / clients}", "-D", str(seconds)]
        command += ["--warm-up-time", "0", f"--log-file={log.name}", url]
        subprocess.run(["taskset", "-c", LOAD_CORE] + command, check=True, capture_output=True)
        lines = pathlib.Path(log.name).read_text().splitlines()
    times = sorted(int(line.split()[2]) / 1e3 for line in lines)
    return statistics.median(times), times[len(times) * 99 // 100]


def readiness(command, admin):
    """Milliseconds from exec until the admin listener says that requests are taken."""
    request = b"GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    began = time.perf_counter()
    started = subprocess.Popen([str(part) for part in command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while time.perf_counter() - began < 30:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", admin), 1) as asked:
                asked.sendall(request)
                if asked.recv(12) == b"HTTP/1.1 200":
                    return (time.perf_counter() - began) * 1e3
            time.sleep(0.001)
        raise SystemExit("not ready in 30 s")
    finally:
        started.terminate()
        started.wait()


@contextlib.contextmanager
def idle_connections(port, count, tls, requests):
    """Opens so many connections and holds them; each is silent after that many requests."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, count * 2 + 1_000), hard))
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    request = b"GET /pull/nothing HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n" % port
    held = []
    try:
        for number in range(count):
            # From many addresses: those of one have only so many ports.
            connection = socket.create_connection(("127.0.0.1", port), source_address=(f"127.0.0.{number % 50 + 2}", 0))
            connection = context.wrap_socket(connection) if tls else connection
            held.append(connection)
            for _ in range(requests):
                connection.sendall(request)
                if not connection.recv(4_096):
                    raise SystemExit(f"connection {number} was closed")
        yield
    finally:
        for connection in held:
            connection.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
