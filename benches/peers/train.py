#!/usr/bin/env python3
"""Shows a gateway the messages of its working day, for a compiler that wants to see which way they go.

usage: train.py SLUIS      runs SLUIS serve on free ports of this machine, and ends it

A school's API, the callers and all pupils are made up. Fails if any answer is not as expected.
"""
import asyncio
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile

import pages

HERE = pathlib.Path(__file__).parent
# What is asked, how often, and the status that must come back.
DAY = [
    ("GET", "/pull/users?limit=1", 1, 20_000, 200),
    ("POST", "/push/users", 1, 20_000, 200),
    ("GET", "/pull/users?limit=100", 100, 1_000, 200),
    ("POST", "/push/users", 100, 1_000, 200),
    ("GET", "/pull/teachers", 1, 200, 404),
    ("GET", "/pull/users?limit=many", 1, 200, 400),
]
CALLERS = 8


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def put_in_place(folder, gateway, admin, upstream):
    """The configuration of the benchmarks, on ports that are free."""
    shutil.copytree(HERE / "config", folder, dirs_exist_ok=True)
    ports = {":8010": f":{gateway}", ":8011": f":{admin}", ":9101": f":{upstream}"}
    for file in pathlib.Path(folder).rglob("*.toml"):
        text = file.read_text()
        for usual, free in ports.items():
            text = text.replace(usual, free)
        file.write_text(text)


async def message(reader):
    """One message: its first line and its body, which says how long it is or comes in chunks."""
    head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    fields = dict(line.lower().split(": ", 1) for line in lines if line)
    if fields.get("transfer-encoding") == "chunked":
        body = b""
        while size := int((await reader.readline()), 16):
            body += await reader.readexactly(size + 2)
        await reader.readline()
        return first, body
    return first, await reader.readexactly(int(fields.get("content-length", 0)))


async def answer(reader, writer):
    """The school: a page to who asks for one, and thanks for what it is sent."""
    kept = {users: pages.page(users) for users in (1, 100)}
    try:
        while True:
            line, _ = await message(reader)
            body = kept[int(line.split("limit=")[1].split()[0])] if line.startswith("GET") else b'{"ok":true}'
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body))
            writer.write(body)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def call(port, method, target, users, times, status):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    body = pages.page(users) if method == "POST" else b""
    head = f"{method} {target} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAccept: application/json\r\n"
    if body:
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    request = head.encode() + b"\r\n" + body
    for _ in range(times):
        writer.write(request)
        line, _ = await message(reader)
        if int(line.split()[1]) != status:
            raise SystemExit(f"{method} {target}: {line}, not {status}")
    writer.close()


async def until_open(port):
    for _ in range(200):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            return writer.close()
        except ConnectionError:
            await asyncio.sleep(0.05)
    raise SystemExit(f"nothing listens on port {port}")


async def day(sluis):
    gateway, admin = free_port(), free_port()
    school = await asyncio.start_server(answer, "127.0.0.1", 0)
    upstream = school.sockets[0].getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        put_in_place(folder, gateway, admin, upstream)
        subprocess.run([sluis, "keys", "new", "--config", folder], check=True, stdout=subprocess.DEVNULL)
        serve = [sluis, "serve", "--config", folder, "--threads", "1"]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        running = await asyncio.create_subprocess_exec(*serve, **quiet)
        try:
            await until_open(gateway)
            for method, target, users, times, status in DAY:
                each = (call(gateway, method, target, users, times // CALLERS, status) for _ in range(CALLERS))
                await asyncio.gather(*each)
        finally:
            running.send_signal(signal.SIGTERM)
            await asyncio.wait_for(running.wait(), 60)
    school.close()


if __name__ == "__main__":
    asyncio.run(day(str(pathlib.Path(sys.argv[1]).resolve())))
