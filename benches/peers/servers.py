"""The servers of a comparison, each on one thread: a school's API, other people's proxies, and ours.

Every proxy listens twice: plain on `Peer.port`, and with TLS 1.3 on both sides on `Peer.tls_port`.
"""
import contextlib
import dataclasses
import os
import pathlib
import re
import shutil
import socket
import subprocess
import time

import pages

HERE = pathlib.Path(__file__).parent
# Where the school listens: plain, and with TLS.
SCHOOL = 9101, 9102
# Kept alive for as long as anyone measures.
FOREVER = 1_000_000_000

HTTP = """worker_processes 1; pid {d}/{name}.pid; error_log {d}/{name}.err;
events {{ worker_connections 4096; }}
http {{
 access_log off; keepalive_requests {forever}; keepalive_timeout 600s; client_max_body_size 0;
 client_body_buffer_size 32m; client_body_temp_path {d}/{name}-body; proxy_temp_path {d}/{name}-proxy;
 ssl_certificate {d}/server.pem; ssl_certificate_key {d}/server.key; ssl_protocols TLSv1.3;
 {http}
}}
"""
SCHOOL_HTTP = """open_file_cache max=100; sendfile on; tcp_nopush on; default_type application/json;
 server {{ listen 127.0.0.1:{plain} backlog=4096; listen 127.0.0.1:{tls} ssl backlog=4096; root {d};
  location = /users {{ if ($request_method = POST) {{ return 200 '{{"ok":true}}'; }}
   rewrite ^ /users_$arg_limit.json break; }} }}"""
PROXY_HTTP = """proxy_buffers 16 64k; proxy_buffer_size 16k; proxy_busy_buffers_size 128k;
 proxy_http_version 1.1; proxy_set_header Connection ""; proxy_ssl_protocols TLSv1.3;
 upstream plain {{ server 127.0.0.1:{school}; keepalive 256; keepalive_requests {forever}; }}
 upstream tls {{ server 127.0.0.1:{school_tls}; keepalive 256; keepalive_requests {forever}; }}
 server {{ listen 127.0.0.1:{port} backlog=4096; location / {{ proxy_pass http://plain; }} }}
 server {{ listen 127.0.0.1:{tls_port} ssl http2 backlog=4096; location / {{ proxy_pass https://tls; }} }}"""
LUA_HTTP = """lua_package_path "{here}/?.lua;/usr/share/lua/5.1/?.lua;;";
 lua_package_cpath "/usr/lib/x86_64-linux-gnu/lua/5.1/?.so;;";
 init_by_lua_block {{ require "resty.core"; M = require "minimise" }}
 proxy_buffers 16 64k; proxy_buffer_size 16k; proxy_busy_buffers_size 128k;
 proxy_http_version 1.1; proxy_set_header Connection "";
 upstream plain {{ server 127.0.0.1:{school}; keepalive 256; keepalive_requests {forever}; }}
 server {{ listen 127.0.0.1:{port} backlog=4096;
  access_by_lua_block {{ if ngx.req.get_method() == "POST" then
   ngx.req.read_body(); ngx.req.set_body_data(M.run(ngx.req.get_body_data())) end }}
  header_filter_by_lua_block {{ if ngx.req.get_method() == "GET" then ngx.header.content_length = nil end }}
  body_filter_by_lua_block {{ if ngx.req.get_method() ~= "GET" then return end
   local c = ngx.ctx; c.p = c.p or {{}}; c.p[#c.p + 1] = ngx.arg[1]
   ngx.arg[1] = ngx.arg[2] and M.run(table.concat(c.p)) or nil }}
  location / {{ proxy_pass http://plain; }} }}"""
HAPROXY = """global
  nbthread 1
  maxconn 4000
  ssl-default-bind-options ssl-min-ver TLSv1.3
defaults
  mode http
  timeout connect 5s
  timeout client 600s
  timeout server 60s
  http-reuse always
frontend plain
  bind 127.0.0.1:{port}
  default_backend plain
frontend tls
  bind 127.0.0.1:{tls_port} ssl crt {d}/both.pem alpn h2,http/1.1
  default_backend tls
backend plain
  server school 127.0.0.1:{school}
backend tls
  server school 127.0.0.1:{school_tls} ssl verify none ssl-min-ver TLSv1.3
"""
ENVOY_LISTENER = """  - address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: i
          route_config: {{virtual_hosts: [{{name: v, domains: ["*"], routes: [{{match: {{prefix: "/"}}, route: {{cluster: {cluster}}}}}]}}]}}
          http_filters: [{{name: envoy.filters.http.router, typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}}}]
"""
ENVOY_TLS = """      transport_socket:
        name: envoy.transport_sockets.tls
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
          common_tls_context:
            alpn_protocols: [h2, http/1.1]
            tls_params: {{tls_minimum_protocol_version: TLSv1_3, tls_maximum_protocol_version: TLSv1_3}}
            tls_certificates: [{{certificate_chain: {{filename: {d}/server.pem}}, private_key: {{filename: {d}/server.key}}}}]
"""
ENVOY_CLUSTER = """  - name: {cluster}
    connect_timeout: 5s
    load_assignment: {{cluster_name: {cluster}, endpoints: [{{lb_endpoints: [{{endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}}}}}]}}]}}
"""
ENVOY_TLS_OUT = """    transport_socket:
      name: envoy.transport_sockets.tls
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext
        common_tls_context: {tls_params: {tls_minimum_protocol_version: TLSv1_3, tls_maximum_protocol_version: TLSv1_3}}
"""
# A vendor with every route and shape of a preset.
VENDOR = """version = 1
[vendor]
name      = "Vendor {number}"
agreement = "BENCH-{number}"
purpose   = "Measuring"
contact   = "bench@vendor.example"
valid     = {{ from = 2020-01-01, until = 2099-12-31 }}
[flow.pull]
preset   = "oneroster-1.2/pull@1"
caller   = "vendor"
at       = "/vendor-{number}"
upstream = "http://127.0.0.1:{school}"
callers  = "anyone"
"""


@dataclasses.dataclass
class Peer:
    """A proxy that is measured: where it listens, and its processes for plain and for TLS."""

    name: str
    port: int
    tls_port: int
    plain: list
    tls: list
    prefix: str = ""

    def target(self, path, method, tls=False):
        """The address of a resource of the school, as this proxy has it."""
        prefix = self.prefix.replace("pull", "push") if method == "POST" else self.prefix
        scheme, port = ("https", self.tls_port) if tls else ("http", self.port)
        return f"{scheme}://127.0.0.1:{port}{prefix}{path}"


def family(pid):
    """A process with all that came of it."""
    children = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True).stdout.split()
    return [pid] + [below for child in children for below in family(int(child))]


def until_open(port):
    for _ in range(300):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.1)
    raise SystemExit(f"nothing listens on port {port}")


def certificates(folder):
    """A certificate for 127.0.0.1, and who issued it."""

    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=Bench CA", "-days", "30")
    openssl("req", *key, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=127.0.0.1")
    (folder / "san").write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\nbasicConstraints=CA:FALSE\n")
    signing = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "san", "-days", "30"]
    openssl("x509", "-req", "-in", "server.csr", "-out", "server.pem", *signing)
    (folder / "both.pem").write_text((folder / "server.pem").read_text() + (folder / "server.key").read_text())
    os.chmod(folder / "server.key", 0o600)


class House:
    """Starts servers in a folder, and ends them."""

    def __init__(self, folder, school=SCHOOL):
        self.folder = pathlib.Path(folder)
        self.school_port, self.school_tls_port = school
        self.running = []
        certificates(self.folder)

    def start(self, *command, ports=()):
        started = subprocess.Popen([str(part) for part in command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.running.append(started)
        for port in ports:
            until_open(port)
        return started.pid

    def stop(self):
        for process in self.running:
            process.terminate()
        for process in self.running:
            process.wait()

    def file(self, name, text):
        path = self.folder / name
        path.write_text(text)
        return path

    def nginx(self, name, http, ports, modules=""):
        filled = http.format(
            d=self.folder, here=HERE, forever=FOREVER, school=self.school_port, school_tls=self.school_tls_port,
            plain=ports[0], tls=ports[-1], port=ports[0], tls_port=ports[-1],
        )
        config = HTTP.format(d=self.folder, name=name, forever=FOREVER, http=filled)
        return self.start("nginx", "-g", "daemon off;", "-c", self.file(f"{name}.conf", modules + config), ports=ports)

    def school(self):
        for users in (1, 6, 100, 10_000):
            (self.folder / f"users_{users}.json").write_bytes(pages.page(users))
        return self.nginx("school", SCHOOL_HTTP, [self.school_port, self.school_tls_port])

    def peer_nginx(self):
        pid = self.nginx("nginx", PROXY_HTTP, [8101, 8111])
        return Peer("nginx, untouched", 8101, 8111, [pid], [pid])

    def peer_lua(self):
        modules = "load_module modules/ndk_http_module.so; load_module modules/ngx_http_lua_module.so;\n"
        pid = self.nginx("lua", LUA_HTTP, [8102], modules)
        return Peer("nginx + Lua, minimising", 8102, 0, [pid], [])

    def peer_haproxy(self):
        schools = {"school": self.school_port, "school_tls": self.school_tls_port}
        config = HAPROXY.format(d=self.folder, port=8103, tls_port=8113, **schools)
        pid = self.start("haproxy", "-f", self.file("haproxy.cfg", config), "-q", ports=[8103, 8113])
        return Peer("HAProxy, untouched", 8103, 8113, [pid], [pid])

    def peer_envoy(self, binary):
        listeners = ENVOY_LISTENER.format(port=8104, cluster="plain")
        listeners += ENVOY_LISTENER.format(port=8114, cluster="tls") + ENVOY_TLS.format(d=self.folder)
        clusters = ENVOY_CLUSTER.format(cluster="plain", port=self.school_port)
        clusters += ENVOY_CLUSTER.format(cluster="tls", port=self.school_tls_port) + ENVOY_TLS_OUT
        config = f"static_resources:\n  listeners:\n{listeners}  clusters:\n{clusters}"
        config = self.file("envoy.yaml", config)
        pid = self.start(binary, "-c", config, "--concurrency", "1", "-l", "off", ports=[8104, 8114])
        return Peer("Envoy, untouched", 8104, 8114, [pid], [pid])

    def sluis(self, binary, name, port, threads=1, tls=False, admin=None):
        """Starts one gateway of ours."""
        command = self.sluis_command(binary, name, port, threads, tls, admin)
        return self.start(*command, ports=[port, admin or port + 1])

    def sluis_command(self, binary, name, port, threads=1, tls=False, admin=None, vendors=0):
        """How one is started with the policy of the benchmarks, and so many vendors of a preset beside it.

        The admin listener is one port on.
        """
        folder, admin = self.folder / name, admin or port + 1
        shutil.copytree(HERE / "config", folder)
        for number in range(vendors):
            file = folder / f"schools/bench/vendors/vendor-{number}.toml"
            file.write_text(VENDOR.format(number=number, school=self.school_port))
        school = f"https://127.0.0.1:{self.school_tls_port}" if tls else f"http://127.0.0.1:{self.school_port}"
        for file in folder.rglob("*.toml"):
            text = file.read_text().replace("127.0.0.1:8010", f"127.0.0.1:{port}")
            text = text.replace("127.0.0.1:8011", f"127.0.0.1:{admin}")
            secure = f'\nupstream-tls = {{ roots = "{self.folder}/ca.pem" }}' if tls else ""
            text = text.replace('"http://127.0.0.1:9101"', f'"{school}"{secure}')
            if tls:
                text = text.replace("http://127.0.0.1", "https://127.0.0.1")
                listen = f'tls = {{ cert = "{self.folder}/server.pem", key = "{self.folder}/server.key" }}\n'
                text = re.sub(r"(\[listen\]\naddress.*\n)", lambda found: found.group(1) + listen, text)
            file.write_text(text)
        quiet = {"check": True, "stdout": subprocess.DEVNULL}
        subprocess.run([binary, "keys", "new", "--config", folder], **quiet)
        return [binary, "serve", "--config", folder, "--threads", threads]

    def peer_sluis(self, binary, name="Sluis, minimising", port=8010, threads=1):
        plain = self.sluis(binary, f"sluis-{port}", port, threads)
        tls = self.sluis(binary, f"sluis-{port + 2}", port + 2, threads, tls=True)
        return Peer(name, port, port + 2, [plain], [tls], prefix="/pull")
