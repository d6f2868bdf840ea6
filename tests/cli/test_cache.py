"""The cache of packed weights: warm starts, switches, faults, kills, memory."""

import json
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import time

import pytest
from conftest import BINARY

ANSWER = ("--raw", "--temperature", "0", "--max-tokens", "8", "--json")
PROMPT = "The capital of France is"
MIB = 1 << 20

needs_strace = pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")


def weights(lamina):
    return pathlib.Path(lamina.env["XDG_CACHE_HOME"]) / "lamina" / "weights"


def files(lamina):
    return sorted(weights(lamina).iterdir()) if weights(lamina).exists() else []


def answer(lamina, model, *options, **kwargs):
    return json.loads(lamina("run", model, PROMPT, *ANSWER, *options, **kwargs).out)["text"]


def test_second_start_maps_the_file_of_the_first(cold_lamina, gemma3):
    without = answer(cold_lamina, gemma3, "--no-cache")
    assert files(cold_lamina) == []
    assert answer(cold_lamina, gemma3) == without
    (file,) = files(cold_lamina)
    before = file.stat()
    assert answer(cold_lamina, gemma3) == without
    after = file.stat()
    assert files(cold_lamina) == [file]
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert after.st_atime_ns > before.st_atime_ns


def test_list_show_verify_prune(cold_lamina, smollm2):
    answer(cold_lamina, smollm2)
    listed = cold_lamina.json("cache", "list")
    (file,) = listed["files"]
    assert file["model"] == smollm2 and file["state"] == "good"
    assert file["bytes"] == listed["bytes"] > 90_000_000
    assert abs(file["last_used_unix_s"] - time.time()) < 60
    assert "smollm2.gguf" in cold_lamina("cache", "list").out
    assert cold_lamina.json("show", smollm2)["cache_bytes"] == file["bytes"]
    assert "of packed weights" in cold_lamina("show", smollm2).out
    assert cold_lamina.json("cache", "verify") == {"good": 1, "removed": 0}
    assert cold_lamina.json("cache", "prune") == {"freed_bytes": 0, "bytes": file["bytes"]}
    with open(file["path"], "r+b") as out:  # A flipped bit, with the time set back.
        stat = os.stat(file["path"])
        out.seek(50_000_000)
        byte = out.read(1)[0]
        out.seek(50_000_000)
        out.write(bytes([byte ^ 1]))
    os.utime(file["path"], ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert cold_lamina.json("cache", "verify") == {"good": 0, "removed": 1}
    answer(cold_lamina, smollm2)
    assert cold_lamina.json("cache", "prune", "--all")["freed_bytes"] == file["bytes"]
    assert files(cold_lamina) == []
    cold_lamina("cache", "burn", code=2)


def test_rm_removes_the_packed_weights_with_the_last_name(cold_lamina, smollm2):
    cold_lamina("import", smollm2, "--name", "one")
    cold_lamina("cp", "one", "two")
    answer(cold_lamina, "one")
    (file,) = cold_lamina.json("cache", "list")["files"]
    assert file["model"] in ("one:latest", "two:latest")
    cold_lamina("rm", "one")
    assert len(files(cold_lamina)) == 1
    cold_lamina("rm", "two")
    assert files(cold_lamina) == []


@pytest.mark.parametrize("how", ["flag", "environment", "file"])
def test_it_can_be_switched_off(cold_lamina, smollm2, how):
    options, env = (), {}
    if how == "flag":
        options = ("--no-cache",)
    elif how == "environment":
        env = {"LAMINA_NO_CACHE": "1"}
    else:
        config = cold_lamina.home / "config" / "lamina"
        config.mkdir(parents=True)
        (config / "lamina.toml").write_text("no_cache = true\n")
    answer(cold_lamina, smollm2, *options, env=env)
    assert files(cold_lamina) == []


def test_a_budget_too_small_warns_once_and_works(cold_lamina, gemma3):
    done = cold_lamina("run", gemma3, PROMPT, *ANSWER, env={"XDG_CACHE_HOME": "/proc/nowhere"})
    warnings = [line for line in done.err.splitlines() if "not kept" in line]
    assert len(warnings) == 1, done.err
    expected = json.loads(done.out)["text"]
    config = cold_lamina.home / "config" / "lamina"
    config.mkdir(parents=True)
    (config / "lamina.toml").write_text("cache_gb = 0\n")
    assert answer(cold_lamina, gemma3) == expected
    assert files(cold_lamina) == []


def test_damage_of_every_kind_is_mended(cold_lamina, smollm2):
    expected = answer(cold_lamina, smollm2)
    (file,) = files(cold_lamina)
    content = file.read_bytes()
    for damaged in (b"", content[:100], content[:-1], content + b"x", bytes(len(content)), content[4096:],
                    content[:9000] + b"\xff" + content[9001:]):
        file.write_bytes(damaged)
        assert answer(cold_lamina, smollm2) == expected
        assert files(cold_lamina) == [file]
        assert cold_lamina.json("cache", "verify") == {"good": 1, "removed": 0}


def test_two_at_once_agree(cold_lamina, smollm2):
    command = [BINARY, "run", smollm2, PROMPT, *ANSWER]
    both = [subprocess.Popen(command, env=cold_lamina.env, stdout=subprocess.PIPE) for _ in range(2)]
    texts = [json.loads(process.communicate(timeout=120)[0])["text"] for process in both]
    assert texts[0] == texts[1]
    assert len(files(cold_lamina)) == 1
    assert cold_lamina.json("cache", "verify") == {"good": 1, "removed": 0}


CALLS = "mkdir,openat,flock,fallocate,ftruncate,pwrite64,mprotect,utimensat,fsync,fchmod,rename,sync_file_range"


@needs_strace
def test_killed_at_each_call_of_the_write(cold_lamina, smollm2):
    expected = answer(cold_lamina, smollm2, "--no-cache")
    command = [BINARY, "run", smollm2, PROMPT, *ANSWER]
    trace = cold_lamina.home / "trace"
    strace = ["strace", "-f", "-e", f"trace={CALLS}", "-o", trace]
    if subprocess.run(["strace", "-o", "/dev/null", "true"], capture_output=True).returncode != 0:
        pytest.skip("strace may not trace here")
    subprocess.run([*strace, *command], env=cold_lamina.env, check=True, capture_output=True)
    seen, points, writing = {}, [], False
    for line in trace.read_text().splitlines():
        match = re.match(r"\d+ +(\w+)\(", line)
        if not match:
            continue
        name = match[1]
        seen[name] = seen.get(name, 0) + 1
        writing |= ".packed." in line or name in ("fallocate", "flock")
        if writing and name not in ("openat", "mprotect"):
            points.append((name, seen[name]))
    names = {name for name, _ in points}
    assert names >= {"fallocate", "pwrite64", "utimensat", "fsync", "rename"}, names
    # The first and the last of each kind; the many in the middle are alike.
    chosen = {(n, k) for n in names for k in ({p[1] for p in points if p[0] == n})}
    chosen = [p for p in sorted(chosen) if p[1] in (min(k for n, k in points if n == p[0]), max(k for n, k in points if n == p[0]))]
    for name, k in chosen:
        shutil.rmtree(weights(cold_lamina))
        done = subprocess.run(
            ["strace", "-f", "-o", "/dev/null", "-e", f"inject={name}:signal=KILL:when={k}", *command],
            env=cold_lamina.env, capture_output=True,
        )
        assert done.returncode != 0, (name, k)
        assert answer(cold_lamina, smollm2) == expected, (name, k)
        assert [f.suffix for f in files(cold_lamina)] == [".packed"], (name, k)
        assert cold_lamina.json("cache", "verify") == {"good": 1, "removed": 0}, (name, k)


def test_killed_at_any_time(cold_lamina, smollm2):
    expected = answer(cold_lamina, smollm2, "--no-cache")
    for seconds in (0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.6, 0.8):
        shutil.rmtree(weights(cold_lamina), ignore_errors=True)
        process = subprocess.Popen(
            [BINARY, "run", smollm2, PROMPT, *ANSWER], env=cold_lamina.env,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        time.sleep(seconds * random.uniform(0.8, 1.2))
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert answer(cold_lamina, smollm2) == expected
        assert len(files(cold_lamina)) == 1
        assert cold_lamina.json("cache", "verify") == {"good": 1, "removed": 0}


def most_pss(lamina, *arguments):
    """Largest proportional set, in bytes, that a run had, and what it printed."""
    process = subprocess.Popen([BINARY, *arguments], env=lamina.env, stdout=subprocess.PIPE)
    most = 0
    while process.poll() is None:
        try:
            text = pathlib.Path(f"/proc/{process.pid}/smaps_rollup").read_text()
        except (OSError, ProcessLookupError):
            break
        if match := re.search(r"^Pss: +(\d+) kB", text, re.M):
            most = max(most, int(match[1]) * 1024)
        time.sleep(0.005)
    out = process.communicate(timeout=60)[0]
    assert process.returncode == 0
    return most, json.loads(out)


@pytest.mark.parametrize("state", ["cold", "warm"])
@pytest.mark.parametrize("name,kv_bytes_per_token", [("smollm2", 30 * 2 * 3 * 64 * 2), ("gemma3", 18 * 2 * 256 * 2)])
def test_memory_is_weights_and_kv_and_64_mib(cold_lamina, request, name, kv_bytes_per_token, state):
    model = request.getfixturevalue(name)
    # Long enough for the widest steps of a prefill.
    text = "The quick brown fox jumps over the lazy dog again. " * 70
    run = ("run", model, text, "--raw", "--temperature", "0", "--max-tokens", "60", "--json")
    if state == "warm":
        answer(cold_lamina, model)
    pss, result = most_pss(cold_lamina, *run)
    (file,) = files(cold_lamina)
    bound = file.stat().st_size + result["usage"]["total_tokens"] * kv_bytes_per_token + 64 * MIB
    print(f"{name} {state}: {pss / MIB:.1f} MiB, {(pss - bound) / MIB + 64:.1f} MiB beside weights and KV")
    assert pss <= bound
