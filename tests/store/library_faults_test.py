"""Kills at every system call that changes the disk, a full disk at each write: the old state or the new, whole."""

import re
import shutil
import subprocess

import pytest
from support import MIB, Server, Tool, gguf, make_certificate, make_wheel, sha256

CALLS = "write,fsync,rename,unlink,unlinkat,mkdir,symlink,chmod,fchmod,ftruncate"

needs_strace = pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")


@pytest.fixture
def index(tmp_path):
    folder = tmp_path / "index"
    folder.mkdir()
    return folder


@pytest.fixture
def tool(tmp_path):
    return Tool(tmp_path / "home")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return make_certificate(tmp_path_factory.mktemp("certificate"))


def injection_points(tool, calls, *arguments):
    """(call, k) for the k-th of each of these calls that a run makes; strace counts each call by itself."""
    if subprocess.run(["strace", "-o", "/dev/null", "true"], capture_output=True).returncode != 0:
        pytest.skip("strace may not trace here")
    trace = tool.home / "trace"
    process = tool.start(*arguments, prefix=["strace", "-e", f"trace={calls}", "-o", trace])
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    names = [match[1] for line in trace.read_text().splitlines() if (match := re.match(r"(\w+)\(", line))]
    trace.unlink()
    return [(name, k) for name in sorted(set(names)) for k in range(1, names.count(name) + 1)]


def inject(point, fault):
    return ["strace", "-o", "/dev/null", "-e", f"inject={point[0]}:{fault}:when={point[1]}"]


def check_state(tool, old, new):
    """The listed models are old, or old and new; each resolves and is whole."""
    names = sorted(line.split()[0] for line in tool.ok("list").splitlines())
    assert names in (sorted(old), sorted({**old, **new}))
    for name, data in {**old, **new}.items():
        if name in names:
            assert tool.content(name) == data


@needs_strace
def test_kill_at_every_call_of_import_copy_remove(tool, tmp_path):
    path = tmp_path / "a.gguf"
    path.write_bytes(gguf(1000, 1))
    tool.ok("import", path, "a")
    data = path.read_bytes()
    for command in (("cp", "a", "b"), ("import", str(path), "b")):
        points = injection_points(tool, CALLS, *command)
        assert {name for name, _ in points} >= {"write", "fsync", "rename"}
        for point in points:
            tool.run("rm", "b")
            tool.start(*command, prefix=inject(point, "signal=KILL")).communicate(timeout=60)
            check_state(tool, {"a:latest": data}, {"b:latest": data})
        tool.run("rm", "b")
        tool.ok(*command)
        assert len(list((tool.data / "manifests").iterdir())) == 2  # nothing of the killed ones is left
        points = injection_points(tool, CALLS, "rm", "b")
        for point in points:
            tool.run(*command)
            tool.start("rm", "b", prefix=inject(point, "signal=KILL")).communicate(timeout=60)
            check_state(tool, {"a:latest": data}, {"b:latest": data})
    assert path.read_bytes() == data


@pytest.fixture
def served(tool, certificate):
    server = Server(tls=certificate[0])
    server.files["/old.gguf"], server.files["/new.gguf"] = gguf(1000, 1), gguf(200_000, 2)
    tool.env["SSL_CERT_FILE"] = str(certificate[1])
    tool.ok("pull", server.url + "/old.gguf")
    yield server
    server.close()


@needs_strace
def test_kill_at_every_call_of_a_pull(tool, served):
    old, new = served.files["/old.gguf"], served.files["/new.gguf"]
    command = ("pull", served.url + "/new.gguf")
    points = injection_points(tool, CALLS, *command)
    points = [p for p in points if p[0] != "write" or p[1] % 4 == 1]  # most writes are alike
    assert {name for name, _ in points} >= {"write", "fsync", "rename", "chmod", "unlink"}
    for point in points:
        tool.run("rm", "new")
        tool.start(*command, prefix=inject(point, "signal=KILL")).communicate(timeout=60)
        check_state(tool, {"old:latest": old}, {"new:latest": new})
        tool.ok(*command)
        check_state(tool, {"old:latest": old, "new:latest": new}, {})
    tool.ok("rm", "new")
    assert tool.blobs() == ["sha256-" + sha256(old)]
    assert len(list((tool.data / "manifests").iterdir())) == 1 and tool.parts() == []


@needs_strace
@pytest.mark.parametrize("error", ["ENOSPC", "EIO"])
def test_failing_calls_of_a_pull(tool, served, error):
    """Each call that changes the disk fails once: an error or success, never a half."""
    old, new = served.files["/old.gguf"], served.files["/new.gguf"]
    command = ("pull", served.url + "/new.gguf")
    n_errors = 0
    for point in injection_points(tool, "fsync,rename,fchmod,chmod,ftruncate,symlink", *command):
        tool.run("rm", "new")
        process = tool.start(*command, prefix=inject(point, "error=" + error))
        _, err = process.communicate(timeout=60)
        assert process.returncode in (0, 1), (point, err)
        n_errors += process.returncode
        if process.returncode == 1:
            assert "cannot" in err.splitlines()[-1]
        check_state(tool, {"old:latest": old}, {"new:latest": new})
        tool.ok(*command)
        assert tool.content("new") == new
    assert n_errors >= 8


def test_full_disk(tool, certificate, index):
    """A disk of 1 MiB: a clear error, and nothing half done."""
    mount = ["unshare", "-rm", "sh", "-c", 'mount -t tmpfs -o size=1m none "$XDG_DATA_HOME" && exec "$@"', "sh"]
    tool.home.mkdir(parents=True, exist_ok=True)
    if subprocess.run([*mount, "true"], env=tool.env, capture_output=True).returncode != 0:
        pytest.skip("user namespaces with mounts are not allowed here")
    server = Server(tls=certificate[0])
    server.files["/big.gguf"] = gguf(3 * MIB, 1)
    tool.env["SSL_CERT_FILE"] = str(certificate[1])
    err = tool.fails("pull", server.url + "/big.gguf", prefix=mount)
    assert err.startswith("resource_exhausted") and "full" in err and str(len(server.files["/big.gguf"])) in err
    make_wheel(index, "big", "1", {"big.gguf": gguf(3 * MIB, 1)})
    tool.env.update(PIP_NO_INDEX="1", PIP_FIND_LINKS=str(index))
    err = tool.fails("pull", "pip:big", prefix=mount)
    assert err.startswith("resource_exhausted") and "full" in err
    server.close()
