#!/usr/bin/env python3
"""Shows a gateway the messages of its working day, for a compiler that wants to see which way they go.

usage  train.py SLUIS      runs SLUIS serve on free ports of this machine, plain and with TLS, and ends it
needs  openssl, curl with HTTP/2

A school's API, the callers and all pupils are made up. Fails if any answer is not as expected.
"""
import asyncio
import pathlib
import socket
import ssl
import subprocess
import sys
import tempfile

import pages
import servers

# What is asked, how often, and the status that must come back.
DAY = [
    ("GET", "/pull/users?limit=1", 1, 16_000, 200),
    ("POST", "/push/users", 1, 16_000, 200),
    ("GET", "/pull/users?limit=100", 100, 800, 200),
    ("POST", "/push/users", 100, 800, 200),
    ("GET", "/pull/teachers", 1, 160, 404),
    ("GET", "/pull/users?limit=many", 1, 160, 400),
]
CALLERS = 8
# Requests over HTTP/2.
STREAMS = 4_000


def free_ports(count):
    held = [socket.socket() for _ in range(count)]
    for each in held:
        each.bind(("127.0.0.1", 0))
    found = [each.getsockname()[1] for each in held]
    for each in held:
        each.close()
    return found


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


def school():
    """What answers a connection: a page to who asks for one, and thanks for what is sent."""
    kept = {users: pages.page(users) for users in (1, 100)}

    async def answer(reader, writer):
        try:
            while True:
                line, _ = await message(reader)
                body = kept[int(line.split("limit=")[1].split()[0])] if line.startswith("GET") else b'{"ok":true}'
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body))
                writer.write(body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    return answer


async def call(port, secure, method, target, users, times, status):
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=secure)
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


async def call_http2(port, folder):
    """The same small page again and again, on the streams of one connection."""
    url = f'url = "https://127.0.0.1:{port}/pull/users?limit=1"\noutput = "/dev/null"\n'
    asked = pathlib.Path(folder, "asked")
    asked.write_text(url * STREAMS)
    curl = ["curl", "--silent", "--fail", "--http2", "--cacert", f"{folder}/ca.pem", "--config", asked]
    curl += ["--parallel", "--parallel-max", "32", "--write-out", "%{http_version}\n"]
    run = await asyncio.create_subprocess_exec(*curl, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    told, _ = await run.communicate()
    if run.returncode or told.split() != [b"2"] * STREAMS:
        raise SystemExit(f"HTTP/2: exit code {run.returncode}, {told.count(b'2')} of {STREAMS} answers")


async def day(sluis, folder):
    *gateways, plain, tls = free_ports(6)
    listening = [plain, tls]
    house = servers.House(folder, listening)
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    served.load_cert_chain(f"{folder}/server.pem", f"{folder}/server.key")
    asked = ssl.create_default_context(cafile=f"{folder}/ca.pem")
    answer = school()
    schools = [
        await asyncio.start_server(answer, "127.0.0.1", port, ssl=secure)
        for port, secure in zip(listening, (None, served))
    ]
    try:
        for port, admin, secure in ((*gateways[:2], None), (*gateways[2:], asked)):
            # Off the loop, which the school needs.
            start = {"tls": bool(secure), "admin": admin}
            await asyncio.to_thread(house.sluis, sluis, f"sluis-{port}", port, **start)
            for method, target, users, times, status in DAY:
                times = times // CALLERS // (4 if secure else 1)
                each = (call(port, secure, method, target, users, times, status) for _ in range(CALLERS))
                await asyncio.gather(*each)
        await call_http2(port, folder)
    finally:
        await asyncio.to_thread(house.stop)
    for each in schools:
        each.close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="train-") as place:
        asyncio.run(day(pathlib.Path(sys.argv[1]).resolve(), place))
