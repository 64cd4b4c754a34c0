"""What a body costs against how long it is: from a pupil to a gigabyte of them."""
import math
import os
import statistics
import subprocess

import measure
import pages

# Users a page: from 1.8 KB to 1 GB.
USERS = [1, 10, 100, 1_000, 10_000, 100_000, 600_000]
# The longest page that is made at once; longer ones repeat its pupils.
MADE = 10_000
# So much passes at least for one figure: the clock of CPU time counts in hundredths of a second.
BYTES = 400_000_000


def write_page(path, users):
    """A page of so many users."""
    if users <= MADE:
        path.write_bytes(pages.page(users))
        return
    listed = pages.page(MADE).removeprefix(b'{"users":[').removesuffix(b"]}")
    with path.open("wb") as file:
        file.write(b'{"users":[')
        for part in range(users // MADE):
            file.write((b"," if part else b"") + listed)
        file.write(b"]}")


def cost(peer, pid, users, size):
    """Seconds of the proxy's CPU time for one page of so many users."""
    url = peer.target(f"/users?limit={users}", "GET")
    times = min(20_000, math.ceil(BYTES / size))
    before = measure.cpu_seconds([pid])
    command = ["taskset", "-c", measure.LOAD_CORE, "curl", "--silent", "--fail", "--config", "-"]
    # All on one connection, one after the other.
    config = f'url = "{url}"\noutput = "/dev/null"\n' * times
    subprocess.run(command, input=config, text=True, check=True)
    return (measure.cpu_seconds([pid]) - before) / times


def measured(house, peer, rounds):
    """By size in bytes: the median of seconds of CPU time; and KiB of memory at most."""
    [pid] = peer.plain
    measure.pin([pid], measure.PROXY_CORE)
    found = {}
    for users in USERS:
        path = house.folder / f"users_{users}.json"
        if not path.exists():
            write_page(path, users)
        size = os.path.getsize(path)
        found[size] = statistics.median(cost(peer, pid, users, size) for _ in range(rounds))
        if users > MADE:
            path.unlink()
    return found, measure.memory_kib([pid], "VmHWM")


def line(found):
    """Seconds a body and seconds a byte: the line with the least sum of squares of relative errors."""
    terms = [(1 / cost, size / cost) for size, cost in found.items()]
    aa, ab, bb = (sum(one * other for one, other in pairs) for pairs in (
        [(a, a) for a, _ in terms], [(a, b) for a, b in terms], [(b, b) for _, b in terms]
    ))
    a, b = sum(a for a, _ in terms), sum(b for _, b in terms)
    det = aa * bb - ab * ab
    return (a * bb - b * ab) / det, (b * aa - a * ab) / det
