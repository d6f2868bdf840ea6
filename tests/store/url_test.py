"""Pulls over https from a server with every fault that a download meets."""

import os
import pathlib
import signal
import time

import pytest
from support import MIB, Server, Tool, gguf, make_certificate, sha256

PATH = "/models/tiny.gguf"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return make_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture
def server(certificate):
    server = Server(tls=certificate[0])
    server.files[PATH] = gguf(3 * MIB, 1)
    yield server
    server.close()


@pytest.fixture
def tool(tmp_path, certificate):
    tool = Tool(tmp_path)
    tool.env["SSL_CERT_FILE"] = str(certificate[1])
    return tool


def assert_installed(tool, server, name="tiny"):
    assert tool.content(name) == server.files[PATH]
    assert tool.blobs() == ["sha256-" + sha256(server.files[PATH])]
    assert tool.parts() == []


def test_whole(tool, server):
    out = tool.ok("pull", server.url + PATH)
    assert out == f"tiny:latest {len(server.files[PATH])} {sha256(server.files[PATH])}"
    assert_installed(tool, server)
    blob = next((tool.data / "blobs").iterdir())
    assert blob.stat().st_mode & 0o777 == 0o444
    tool.ok("pull", server.url + PATH)
    assert len(server.log) == 1  # the second found it whole


def test_untrusted_certificate(tool, server):
    del tool.env["SSL_CERT_FILE"]
    assert "certificate" in tool.fails("pull", server.url + PATH)


def test_broken_connections_are_resumed(tool, server):
    server.break_after = [MIB, MIB // 2, 100]
    tool.ok("pull", server.url + PATH)
    assert_installed(tool, server)
    assert server.ranges()[:4] == [None, f"bytes={MIB}-", f"bytes={MIB * 3 // 2}-", f"bytes={MIB * 3 // 2 + 100}-"]


def test_killed_at_each_mib(tool, server):
    """SIGKILL after each MiB: nothing is installed, and the next pull asks for the rest only."""
    for n_mib in range(1, 4):
        sent = []
        server.on_bytes = lambda n: (sent.append(n), time.sleep(0.02))
        process = tool.start("pull", server.url + PATH)
        deadline = time.time() + 60
        part = None
        while time.time() < deadline:
            parts = [p for p in (tool.data / "partial").glob("*.part")] if tool.data.exists() else []
            part = parts[0] if parts else None
            if part and part.stat().st_size >= n_mib * MIB - MIB // 2:
                break
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert part and part.stat().st_size < len(server.files[PATH])
        assert tool.ok("list") == ""
        assert tool.blobs() == []
    server.on_bytes = None
    server.log.clear()
    tool.ok("pull", server.url + PATH)
    assert_installed(tool, server)
    assert int(server.ranges()[0].removeprefix("bytes=")[:-1]) >= 2 * MIB


def leave_part(tool, server, n_bytes=MIB):
    """A pull that ends after n_bytes and gives up."""
    server.break_after = [n_bytes] + [0] * 4
    assert "unavailable" in tool.fails("pull", server.url + PATH)
    server.break_after = []
    server.log.clear()


def test_server_without_ranges(tool, server):
    leave_part(tool, server)
    server.has_ranges = False
    tool.ok("pull", server.url + PATH)
    assert server.ranges() == [f"bytes={MIB}-"]
    assert_installed(tool, server)


def test_server_without_etags(tool, server):
    server.has_etags = False
    leave_part(tool, server)
    tool.ok("pull", server.url + PATH)
    assert server.ranges() == [None]
    assert_installed(tool, server)


@pytest.mark.parametrize("ignores_if_range", [False, True])
def test_changed_file(tool, server, ignores_if_range):
    leave_part(tool, server)
    server.files[PATH] = gguf(3 * MIB, 2)
    server.ignores_if_range = ignores_if_range
    tool.ok("pull", server.url + PATH)
    assert_installed(tool, server)


@pytest.mark.parametrize("n_bytes", [MIB // 2, 5 * MIB])
def test_changed_length_under_the_same_etag(tool, server, n_bytes):
    server.etags[PATH] = '"fixed"'
    leave_part(tool, server)
    server.files[PATH] = gguf(n_bytes, 1)
    tool.ok("pull", server.url + PATH)
    assert_installed(tool, server)


def test_shorter_body_than_promised(tool, server):
    server.claims_bytes = len(server.files[PATH]) + 1000
    assert "connection" in tool.fails("pull", server.url + PATH)
    assert tool.ok("list") == ""


def test_longer_body_than_promised(tool, server):
    server.claims_bytes = len(server.files[PATH]) - 1000
    err = tool.fails("pull", server.url + PATH)
    assert "not a usable model" in err  # cut where the server said that it ends
    assert tool.ok("list") == "" and tool.blobs() == [] and tool.parts() == []


def test_pinned_digest(tool, server):
    good = sha256(server.files[PATH])
    err = tool.fails("pull", server.url + PATH + "#sha256=" + "0" * 64)
    assert "data_loss" in err and good in err
    assert tool.ok("list") == "" and tool.blobs() == [] and tool.parts() == []
    tool.ok("pull", server.url + PATH + "#sha256=" + good)
    assert_installed(tool, server)


def test_not_a_model(tool, server):
    server.files[PATH] = b"<html>please log in</html>"
    assert "GGUF" in tool.fails("pull", server.url + PATH)
    assert tool.blobs() == [] and tool.parts() == []


@pytest.mark.parametrize("status, code", [(404, "not_found"), (401, "unauthenticated"), (403, "permission_denied")])
def test_refusals(tool, server, status, code):
    server.status = status
    assert tool.fails("pull", server.url + PATH).startswith(code)
    assert len(server.log) == 1


def test_server_errors_are_tried_again(tool, server):
    server.status = 503
    assert tool.fails("pull", server.url + PATH).startswith("unavailable")
    assert len(server.log) == 4


def test_redirects(tool, server):
    server.redirects["/go"] = server.url + PATH
    tool.ok("pull", server.url + "/go", "tiny")
    assert_installed(tool, server)
    plain = Server()
    plain.files[PATH] = server.files[PATH]
    server.redirects["/down"] = plain.url + PATH
    assert "not https" in tool.fails("pull", server.url + "/down")  # never from https to http
    assert plain.log == []
    server.redirects["/loop"] = server.url + "/loop"
    assert "in a circle" in tool.fails("pull", server.url + "/loop")
    plain.close()


def test_offline(tool):
    err = tool.fails("pull", "https://lamina-test.invalid/x.gguf")
    assert err.startswith("unavailable") and "offline" in err
    err = tool.fails("pull", "https://127.0.0.1:1/x.gguf")
    assert err.startswith("unavailable")


def test_two_pulls_of_one_model(tool, server):
    server.on_bytes = lambda n: time.sleep(0.01)
    first = tool.start("pull", server.url + PATH)
    second = tool.start("pull", server.url + PATH)
    assert first.communicate(timeout=60) and second.communicate(timeout=60)
    assert first.returncode == 0 and second.returncode == 0
    assert len(server.log) == 1
    assert_installed(tool, server)


def test_a_name_in_use(tool, server):
    tool.ok("pull", server.url + PATH, "m")
    server.files["/other.gguf"] = gguf(100, 3)
    assert "already_exists" in tool.fails("pull", server.url + "/other.gguf", "m")
    assert tool.content("m") == server.files[PATH]


def test_same_content_is_stored_once(tool, server):
    server.files["/copy.gguf"] = server.files[PATH]
    tool.ok("pull", server.url + PATH)
    tool.ok("pull", server.url + "/copy.gguf")
    assert len(tool.blobs()) == 1
    tool.ok("rm", "tiny")
    assert tool.content("copy") == server.files[PATH]


def test_part_is_no_way_out(tool, server, tmp_path):
    """A link in the place of a part is not written through."""
    leave_part(tool, server)
    part = next((tool.data / "partial").glob("*.part"))
    victim = tmp_path / "victim"
    victim.write_text("mine")
    part.unlink()
    os.symlink(victim, part)
    tool.fails("pull", server.url + PATH)
    assert victim.read_text() == "mine"
    assert pathlib.Path(part).is_symlink()
