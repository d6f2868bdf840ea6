"""What the store's tests share: the program under test, small models, a server that can misbehave, wheels."""

import hashlib
import http.server
import os
import pathlib
import ssl
import struct
import subprocess
import threading
import zipfile

TOOL = os.environ["LAMINA_STORE_TOOL"]
MIB = 1 << 20


def gguf(n_bytes=0, seed=0, extra=()):
    """A whole GGUF of about n_bytes: one F32 tensor of pseudo-random content; extra: (key, type, bytes) entries."""
    n_values = max(1, n_bytes // 4)
    keys = [("general.architecture", 8, struct.pack("<Q", 5) + b"llama"), *extra]
    header = b"GGUF" + struct.pack("<IQQ", 3, 1, len(keys))
    for key, kind, value in keys:
        header += struct.pack("<Q", len(key)) + key.encode() + struct.pack("<I", kind) + value
    name = f"w{seed}".encode()
    header += struct.pack("<Q", len(name)) + name + struct.pack("<IQIQ", 1, n_values, 0, 0)
    header += bytes(-len(header) % 32)
    block = hashlib.sha512(str(seed).encode()).digest() * 1024
    data = (block * (n_values * 4 // len(block) + 1))[: n_values * 4]
    return header + data


def split_part(number, count, seed):
    extra = [("split.no", 2, struct.pack("<H", number)), ("split.count", 2, struct.pack("<H", count))]
    return gguf(4000, seed, extra)


def sha256(data):
    return hashlib.sha256(data).hexdigest()


class Tool:
    """Runs store_tool with a library of its own."""

    def __init__(self, folder):
        self.home = pathlib.Path(folder)
        self.data = self.home / "lamina"
        self.env = {k: v for k, v in os.environ.items() if not k.startswith("HF_") and k.lower() != "https_proxy"}
        self.env.update(XDG_DATA_HOME=str(self.home), NO_PROXY="127.0.0.1,localhost", no_proxy="127.0.0.1,localhost")

    def start(self, *arguments, prefix=(), **options):
        command = [*prefix, TOOL, *map(str, arguments)]
        return subprocess.Popen(
            command, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
        )

    def run(self, *arguments, **options):
        process = self.start(*arguments, **options)
        out, err = process.communicate(timeout=120)
        return process.returncode, out.strip(), err.strip().split("\n")[-1]

    def ok(self, *arguments):
        code, out, err = self.run(*arguments)
        assert code == 0, err
        return out

    def fails(self, *arguments, **options):
        code, out, err = self.run(*arguments, **options)
        assert code == 1, (code, out, err)
        return err

    def content(self, name):
        return pathlib.Path(self.ok("resolve", name)).read_bytes()

    def blobs(self):
        return sorted(p.name for p in (self.data / "blobs").iterdir()) if (self.data / "blobs").exists() else []

    def parts(self):
        return sorted(p.name for p in (self.data / "partial").iterdir())


class Server:
    """Serves `files` (path -> bytes) on 127.0.0.1. Attributes switch its faults on; `log` lists (path, headers)."""

    def __init__(self, tls=None):
        self.files = {}
        self.etags = {}
        self.redirects = {}
        self.json = {}
        self.log = []
        self.has_ranges = True
        self.has_etags = True
        self.break_after = []  # body lengths after which the next answers end, one each
        self.claims_bytes = None  # a Content-Length that is not true
        self.status = None  # answer everything with this
        self.token = None  # demand this bearer token
        self.ignores_if_range = False
        self.on_bytes = None  # called with the number of bytes sent so far
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                server.answer(self)

        self.httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.httpd.daemon_threads = True
        scheme = "http"
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(tls)
            self.httpd.socket = context.wrap_socket(self.httpd.socket, server_side=True)
            scheme = "https"
        self.port = self.httpd.server_address[1]
        self.url = f"{scheme}://127.0.0.1:{self.port}"
        threading.Thread(target=self.httpd.serve_forever, daemon=True).start()

    def close(self):
        self.httpd.shutdown()
        self.httpd.server_close()

    def etag(self, path):
        return self.etags.get(path, '"' + sha256(self.files[path])[:16] + '"')

    def ranges(self):
        return [headers.get("Range") for _, headers in self.log]

    def answer(self, request):
        self.log.append((request.path, dict(request.headers)))
        path = request.path.split("?")[0]
        if self.token and request.headers.get("Authorization") != f"Bearer {self.token}" and path not in self.files:
            return self.send(request, 401, {}, b"")
        if self.status:
            return self.send(request, self.status, {}, b"no")
        if path in self.redirects:
            return self.send(request, 302, {"Location": self.redirects[path]}, b"moved")
        if path in self.json:
            return self.send(request, 200, {"Content-Type": "application/json"}, self.json[path])
        if path not in self.files:
            return self.send(request, 404, {}, b"no such file")
        body = self.files[path]
        headers = {"ETag": self.etag(path)} if self.has_etags else {}
        start = request.headers.get("Range")
        is_same = self.ignores_if_range or request.headers.get("If-Range") == self.etag(path)
        if start and self.has_ranges and is_same:
            first = int(start.removeprefix("bytes=").split("-")[0])
            if first >= len(body):
                return self.send(request, 416, {"Content-Range": f"bytes */{len(body)}"}, b"")
            headers["Content-Range"] = f"bytes {first}-{len(body) - 1}/{len(body)}"
            return self.send(request, 206, headers, body[first:])
        return self.send(request, 200, headers, body)

    def send(self, request, status, headers, body):
        request.send_response(status)
        for key, value in headers.items():
            request.send_header(key, value)
        claims = self.claims_bytes if self.claims_bytes is not None and status == 200 else len(body)
        request.send_header("Content-Length", str(claims))
        request.end_headers()
        if status in (200, 206) and self.break_after:
            body = body[: self.break_after.pop(0)]
            request.close_connection = True
        try:
            for at in range(0, len(body), 1 << 16):
                request.wfile.write(body[at : at + (1 << 16)])
                if self.on_bytes:
                    self.on_bytes(at + (1 << 16))
        except OSError:
            request.close_connection = True
        if claims != len(body):
            request.close_connection = True


def make_certificate(folder):
    path = pathlib.Path(folder) / "server.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", path, "-out", f"{path}.crt"],
        check=True, capture_output=True,
    )
    certificate = pathlib.Path(f"{path}.crt")
    path.write_text(path.read_text() + certificate.read_text())
    return path, certificate


def make_wheel(folder, package, version, members, requires=(), licence="MIT"):
    """A wheel with these members (name -> bytes)."""
    module = package.replace("-", "_")
    path = pathlib.Path(folder) / f"{module}-{version}-py3-none-any.whl"
    info = f"{module}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\nLicense: {licence}\n"
    metadata += "".join(f"Requires-Dist: {r}\n" for r in requires)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        for name, data in members.items():
            wheel.writestr(f"{module}/{name}", data)
        wheel.writestr(f"{info}/METADATA", metadata)
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    return path
