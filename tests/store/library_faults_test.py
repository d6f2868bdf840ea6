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


def count_calls(tool, calls, *arguments):
    run = subprocess.run(["strace", "-f", "-c", "-e", f"trace={calls}", "-o", "/dev/stdout",
                          "true"], capture_output=True, text=True)
    if run.returncode != 0:
        pytest.skip("strace may not trace here")
    process = tool.start(*arguments, prefix=["strace", "-f", "-e", f"trace={calls}", "-o", "!cat >&2"])
    _, err = process.communicate(timeout=60)
    return sum(bool(re.match(rf"^\d+ +(?:{calls.replace(',', '|')})\(", line)) for line in err.splitlines())


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
    for verb, arguments in (("cp", ("a", "b")), ("import", (str(path), "b"))):
        for k in range(1, 40):
            inject = ["strace", "-f", "-o", "/dev/null", "-e", f"inject={CALLS}:signal=KILL:when={k}"]
            process = tool.start(verb, *arguments, prefix=inject)
            process.communicate(timeout=60)
            check_state(tool, {"a:latest": data}, {"b:latest": data})
            if process.returncode == 0:
                break
        else:
            pytest.fail("never got by")
        tool.ok("rm", "b")
    for k in range(1, 60):
        inject = ["strace", "-f", "-o", "/dev/null", "-e", f"inject={CALLS}:signal=KILL:when={k}"]
        process = tool.start("rm", "a", prefix=inject)
        process.communicate(timeout=60)
        check_state(tool, {}, {"a:latest": data})
        if process.returncode == 0:
            break
    assert tool.ok("list") == "" and path.exists()


@needs_strace
def test_kill_at_every_call_of_a_pull(tool, certificate):
    """From the last bytes of a download to the end of its installation."""
    server = Server(tls=certificate[0])
    old, new = gguf(1000, 1), gguf(200_000, 2)
    server.files["/old.gguf"], server.files["/new.gguf"] = old, new
    tool.env["SSL_CERT_FILE"] = str(certificate[1])
    tool.ok("pull", server.url + "/old.gguf")
    calls = "fsync,rename,unlink,chmod,fchmod,mkdir,ftruncate"
    n_calls = count_calls(tool, calls, "pull", server.url + "/new.gguf")
    tool.ok("rm", "new")
    assert n_calls > 8
    for k in range(1, n_calls + 1):
        inject = ["strace", "-f", "-o", "/dev/null", "-e", f"inject={calls}:signal=KILL:when={k}"]
        tool.start("pull", server.url + "/new.gguf", prefix=inject).communicate(timeout=60)
        check_state(tool, {"old:latest": old}, {"new:latest": new})
        tool.ok("pull", server.url + "/new.gguf")
        check_state(tool, {"old:latest": old, "new:latest": new}, {})
        tool.ok("rm", "new")
        assert tool.blobs() == ["sha256-" + sha256(old)]
    server.close()


@needs_strace
@pytest.mark.parametrize("error", ["ENOSPC", "EIO"])
def test_failing_writes_of_a_pull(tool, certificate, error):
    server = Server(tls=certificate[0])
    new = gguf(200_000, 2)
    server.files["/new.gguf"] = new
    tool.env["SSL_CERT_FILE"] = str(certificate[1])
    calls = "fsync,rename,fchmod,ftruncate"
    n_calls = count_calls(tool, calls, "pull", server.url + "/new.gguf")
    tool.ok("rm", "new")
    for k in range(1, n_calls + 1):
        inject = ["strace", "-f", "-o", "/dev/null", "-e", f"inject={calls}:error={error}:when={k}"]
        process = tool.start("pull", server.url + "/new.gguf", prefix=inject)
        _, err = process.communicate(timeout=60)
        assert process.returncode in (0, 1), (k, err)
        check_state(tool, {}, {"new:latest": new})
        tool.ok("pull", server.url + "/new.gguf")
        assert tool.content("new") == new
        tool.ok("rm", "new")
    server.close()


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
    assert "No space left" in err
    server.close()
