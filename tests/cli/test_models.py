"""The verbs on the real models."""

import os
import re
import signal
import stat
import struct
import subprocess
import time

import gguf
import numpy
import pytest
from conftest import BINARY, HAS_BRIDGE
from safetensors.numpy import load_file

needs_bridge = pytest.mark.skipif(not HAS_BRIDGE, reason="built without chat templates")
PROMPT = "The capital of France is"
KEYS = {"model", "text", "finish_reason", "usage", "timings", "seed"}


def greedy(lamina, model, prompt, n, *args, **kwargs):
    return lamina.json(
        "run", model, prompt, "--temperature", 0, "--max-tokens", n, *args, **kwargs
    )


@needs_bridge
def test_run_answers_through_the_template(lamina, smollm2):
    answer = greedy(lamina, smollm2, "What is the capital of France? Answer in one sentence.", 24)
    assert set(answer) == KEYS
    assert "Paris" in answer["text"]
    assert "<|im" not in answer["text"]
    assert answer["finish_reason"] in ("stop", "length")
    usage = answer["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert usage["completion_tokens"] <= 24
    assert answer["timings"]["prefill_ms"] > 0 and answer["timings"]["decode_ms"] > 0


@pytest.mark.skipif(HAS_BRIDGE, reason="built with chat templates")
def test_without_the_bridge_a_template_is_a_clear_error(lamina, smollm2):
    done = lamina("run", smollm2, "Hello", code=1)
    assert "this build has no chat templates (LAMINA_BRIDGE=OFF); use --raw" in done.err
    assert done.out == ""


def test_run_raw_completes(lamina, smollm2):
    answer = greedy(lamina, smollm2, PROMPT, 6, "--raw")
    assert "Paris" in answer["text"]
    assert answer["text"].startswith(" ")
    assert answer["finish_reason"] == "length"
    assert answer["usage"]["completion_tokens"] == 6


def test_a_model_without_a_template_completes_and_says_so(lamina, gemma3):
    prompt = "The opposite of hot is"
    done = lamina("run", gemma3, prompt, "--temperature", 0, "--max-tokens", 4)
    assert "no chat template" in done.err
    assert done.out.startswith(" cold.")


def test_text_comes_on_stdout_and_stats_on_stderr(lamina, smollm2):
    done = lamina("run", smollm2, PROMPT, "--raw", "--max-tokens", 4, "--stats")
    assert "tokens/s" in done.err and "tokens/s" not in done.out
    assert done.out.endswith("\n")
    assert "\x1b" not in done.out + done.err


def test_the_prompt_may_be_piped(lamina, smollm2):
    args = ["--raw", "--temperature", 0, "--max-tokens", 5]
    piped = lamina("run", smollm2, *args, stdin=PROMPT).out
    assert piped == lamina("run", smollm2, PROMPT, *args).out
    both = lamina("run", smollm2, "Text:", "-", *args, stdin=PROMPT).out
    assert both == lamina("run", smollm2, "Text:\n\n" + PROMPT, *args).out


def test_a_seed_reproduces_a_text_on_any_thread_count(lamina, smollm2):
    args = ["run", smollm2, "Once upon a time", "--raw", "--temperature", 1, "--max-tokens", 40]
    texts = {
        threads: lamina.json(*args, "--seed", 7, "--threads", threads)["text"]
        for threads in (1, 2)
    }
    assert texts[1] == texts[2]
    assert lamina.json(*args, "--seed", 8)["text"] != texts[1]
    free = lamina.json(*args)
    assert lamina.json(*args, "--seed", free["seed"])["text"] == free["text"]


def test_a_stop_text_ends_the_answer(lamina, smollm2):
    answer = greedy(lamina, smollm2, "1 2 3 4 5 6", 40, "--raw", "--stop", "9")
    assert answer["finish_reason"] == "stop"
    assert "9" not in answer["text"] and "8" in answer["text"]


def test_a_full_context_ends_the_answer(lamina, smollm2):
    answer = greedy(lamina, smollm2, "1 2 3 4 5 6", 200, "--raw", "--ctx", 32)
    assert answer["finish_reason"] == "length"
    assert answer["usage"]["total_tokens"] == 32
    once = lamina("run", smollm2, "1 2 3 4 5 6", "--raw", "--ctx", 32, "--temperature", 0)
    assert "the context of 32 tokens is full: the answer ends here" in once.err
    short = lamina("run", smollm2, "1 2 3 4 5 6", "--raw", "--ctx", 32, "--temperature", 0, "-n", 4)
    assert "is full" not in short.err
    n_words = 40
    done = lamina("run", smollm2, "word " * n_words, "--raw", "--ctx", 32, code=1)
    n_tokens = len(lamina.json("tokenize", smollm2, stdin="word " * n_words)["ids"])
    assert f"the prompt has {n_tokens} tokens and the context holds 32" in done.err


def test_ids_and_text(lamina, smollm2):
    text = "Hello, wörld!\n\n  <|im_end|> 🎉\t1234"
    ids = lamina.json("tokenize", smollm2, stdin=text)["ids"]
    plain = lamina("tokenize", smollm2, stdin=text).out
    assert [int(x) for x in plain.split()] == ids
    assert lamina("detokenize", smollm2, stdin=plain).out == text
    special = lamina.json("tokenize", smollm2, "--special", stdin="<|im_end|>")["ids"]
    assert special == [2]
    assert len(lamina.json("tokenize", smollm2, stdin="<|im_end|>")["ids"]) > 1
    assert lamina.json("detokenize", smollm2, "--special", stdin="2")["text"] == "<|im_end|>"
    for bad in ("49152", "-1", "x"):
        assert bad in lamina("detokenize", smollm2, stdin=bad, code=1).err


def test_bos_where_the_model_asks_for_it(lamina, gemma3):
    plain = lamina.json("tokenize", gemma3, stdin="Hello")["ids"]
    assert lamina.json("tokenize", gemma3, "--bos", stdin="Hello")["ids"] == [2] + plain


def test_logits_are_the_same_in_one_piece_and_token_by_token(lamina, smollm2, tmp_path):
    ids = lamina("tokenize", smollm2, stdin="The quick brown fox jumps over the lazy dog").out
    (tmp_path / "ids").write_text(ids)
    files = {}
    for chunk in (512, 1):
        files[chunk] = tmp_path / f"{chunk}.safetensors"
        lamina("logits", smollm2, "--ids", tmp_path / "ids", "--out", files[chunk], "--chunk", chunk)
    whole, single = (load_file(files[chunk])["logits"] for chunk in (512, 1))
    assert whole.dtype == numpy.float32 and whole.shape == (len(ids.split()), 49152)
    assert numpy.isfinite(whole).all()
    assert abs(whole - single).max() < 0.5
    assert (whole.argmax(1) == single.argmax(1)).all()
    (tmp_path / "ids").write_text("1 2 49152")
    done = lamina("logits", smollm2, "--ids", tmp_path / "ids", "--out", tmp_path / "x", code=1)
    assert "49152" in done.err
    assert not (tmp_path / "x").exists()
    assert list(tmp_path.glob("x*")) == []


def test_bench_has_the_fixed_keys(lamina, smollm2):
    report = lamina.json("bench", smollm2, "-p", 32, "-n", 8, "-r", 2, "--depth", 16, "-t", 1)
    assert {"model", "isa", "threads", "load_ms", "rss_bytes", "read_gb_per_s", "prefill",
            "decode"} <= set(report)
    assert report["threads"] == 1
    assert len(report["read_gb_per_s"]) == 2 and min(report["read_gb_per_s"]) > 0.1
    assert report["prefill"]["n"] == 32 and len(report["prefill"]["tokens_per_s"]) == 2
    decode = report["decode"]
    assert decode["n"] == 8 and decode["depth"] == 16
    assert len(decode["tokens_per_s"]) == len(decode["gb_per_s"]) == 2
    for speed, gb_per_s in zip(decode["tokens_per_s"], decode["gb_per_s"]):
        assert 60e6 < gb_per_s * 1e9 / speed < 200e6  # Bytes per token: about the weights.
    assert 50e6 < report["rss_bytes"] < 2e9
    batch = lamina.json("bench", smollm2, "-p", 0, "-n", 8, "-r", 1, "--batch", 4)
    assert batch["prefill"]["tokens_per_s"] == []
    assert batch["decode"]["batch"] == 4
    assert "profile" not in batch


def test_threads_follow_the_affinity_mask(lamina, smollm2):
    cpus = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(cpus)})
        report = lamina.json("bench", smollm2, "-p", 4, "-n", 2, "-r", 1)
    finally:
        os.sched_setaffinity(0, cpus)
    assert report["threads"] == 1


def test_a_profile_accounts_for_the_whole_time(lamina, smollm2):
    report = lamina.json("bench", smollm2, "-p", 48, "-n", 8, "-r", 2, "-t", 2, "--profile")
    assert report["profile"]["prefill"]["tokens"] == 96
    assert report["profile"]["decode"]["tokens"] == 18  # With the prompt's one token.
    for part, profile in report["profile"].items():
        rows = {row["name"]: row for row in profile["operations"]}
        assert {"norm+quantize", "qkv", "rotate+store", "attention", "wo", "gate+up", "down", "head",
                "barrier wait", "start+end", "sampling"} <= set(rows)
        assert "router" not in rows and "delta rule" not in rows
        assert abs(sum(row["share"] for row in rows.values()) - 1) < 1e-6
        total = sum(row["us_per_token"] for row in rows.values())
        assert abs(total / profile["us_per_token"] - 1) < 1e-6
        for name in ("qkv", "wo", "gate+up", "down", "head"):
            assert rows[name]["gb_per_s"] > 0 and rows[name]["gmac_per_s"] > 0
            assert len(rows[name]["thread_us_per_token"]) == 2
            assert min(rows[name]["thread_us_per_token"]) > 0
        assert rows["attention"]["gb_per_s"] == 0  # Of weights.
    decode = report["profile"]["decode"]
    rows = {row["name"]: row for row in decode["operations"]}
    weights = sum(row["gb_per_s"] * row["us_per_token"] * 1e3 for row in rows.values())
    assert 60e6 < weights < 200e6  # Bytes per token: about the weights.
    speed = report["decode"]["tokens_per_s"]
    assert min(speed) * 0.8 < 1e6 / decode["us_per_token"] < max(speed) * 1.2
    plain = lamina("bench", smollm2, "-p", 8, "-n", 2, "-r", 1, "--profile").out
    assert "barrier wait" in plain and "us/token" in plain


def test_the_library(lamina, smollm2):
    added = lamina.json("import", smollm2, "--name", "small:one")
    assert added["name"] == "small:one" and added["in_place"] is True
    lamina("cp", "small:one", "small:two")
    names = [model["name"] for model in lamina.json("list")["models"]]
    assert names == ["small:one", "small:two"]
    assert lamina("list", "--quiet").out.split() == names
    shown = lamina.json("show", "small:two")
    assert shown["architecture"] == "llama" and shown["layers"] == 30
    assert shown["context"] == 8192 and shown["n_vocab"] == 49152
    assert 130e6 < shown["parameters"] < 140e6
    assert shown["quantization"][0]["type"] == "Q4_1"
    assert "im_start" in shown["chat_template"]
    assert "Q4_1" in lamina("show", "small:two").out
    assert "im_start" in lamina("show", "small:two", "--template").out
    answer = greedy(lamina, "small:two", PROMPT, 4, "--raw")
    assert "Paris" in answer["text"]
    lamina("rm", "small:one", "small:two")
    assert lamina.json("list") == {"models": []}
    assert os.path.exists(smollm2)
    for name in ("../../etc/passwd", "sha256:../x", "small:one"):
        lamina("rm", name, code=1)


def test_a_broken_file_is_one_clear_error(lamina, smollm2, tmp_path):
    broken = tmp_path / "broken.gguf"
    with open(smollm2, "rb") as file:
        broken.write_bytes(file.read(1 << 20))
    for args in (["run", broken, "x", "--raw"], ["tokenize", broken], ["bench", broken]):
        done = lamina(*args, code=1)
        assert done.err.startswith("lamina: ") and done.err.count("\n") <= 2


def test_a_path_needs_no_home(lamina, smollm2):
    del lamina.env["HOME"]
    for name in [name for name in lamina.env if name.startswith("XDG_")]:
        del lamina.env[name]
    assert lamina.json("show", smollm2)["architecture"] == "llama"
    assert lamina("tokenize", smollm2, stdin="a").out
    assert "HOME" in lamina("list", code=1).err


def test_what_a_model_says_cannot_steer_the_terminal(lamina, tmp_path):
    writer = gguf.GGUFWriter(tmp_path / "odd.gguf", "\x1b[31mllama\x9b")
    writer.add_license("\x1b]0;title\x07\nsecond line")
    writer.add_tensor("x", numpy.zeros(32, numpy.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    shown = lamina("show", tmp_path / "odd.gguf").out
    assert "\\x1b]0;title\\x07" in shown and "\\x1b[31mllama\\x9b" in shown
    failed = lamina("run", tmp_path / "odd.gguf", "x", "--raw", code=1).err
    imported = lamina("import", tmp_path / "odd.gguf").out
    for text in (shown, failed, imported, lamina("list").out):
        assert not set(text) & {"\x1b", "\x07", "\x9b"}, text
    assert lamina("list").out.count("\n") == 2


def test_a_gguf_may_have_any_name(lamina, smollm2, tmp_path):
    link = tmp_path / "sha256-0123"
    link.symlink_to(smollm2)
    assert lamina("tokenize", link, stdin="a").out == lamina("tokenize", smollm2, stdin="a").out
    assert lamina.json("import", link)["name"] == "sha256-0123:latest"
    (tmp_path / "text").write_text("GGU")
    assert "neither" in lamina("run", tmp_path / "text", "x", code=1).err


def test_where_logits_go(lamina, smollm2, tmp_path):
    out = tmp_path / "logits.safetensors"
    lamina("logits", smollm2, "--ids", "-", "--out", out, stdin="1 2")
    first = out.read_bytes()
    link = tmp_path / "link"
    link.symlink_to(out)
    lamina("logits", smollm2, "--ids", "-", "--out", link, stdin="2 1")
    assert link.is_symlink() and out.read_bytes() != first
    lamina("logits", smollm2, "--ids", "-", "--out", "/dev/null", stdin="1 2")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    for place in (tmp_path, tmp_path / "nowhere" / "x"):
        lamina("logits", smollm2, "--ids", "-", "--out", place, stdin="1 2", code=1)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["link", "logits.safetensors"]


def test_killed_logits_leave_nothing(lamina, smollm2, tmp_path):
    before = tmp_path / "old.safetensors"
    before.write_bytes(b"old")
    ids = tmp_path / "ids"
    ids.write_text("1 " * 3000)
    process = subprocess.Popen(
        [BINARY, "logits", smollm2, "--ids", ids, "--out", before, "--chunk", "1"], env=lamina.env
    )
    time.sleep(2)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == -signal.SIGINT
    assert before.read_bytes() == b"old"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["ids", "old.safetensors"]


def test_a_model_larger_than_the_machine_is_an_error(lamina, tmp_path):
    """A terabyte of weights in a sparse file: refused before anything is read."""
    d, n_layers = 16384, 200
    writer = gguf.GGUFWriter(tmp_path / "large.gguf", "llama")
    for key, value in (("block_count", n_layers), ("context_length", 4096), ("embedding_length", d),
                       ("feed_forward_length", 4 * d), ("attention.head_count", 128), ("vocab_size", 256)):
        writer.add_uint32(f"llama.{key}", value)
    writer.add_float32("llama.attention.layer_norm_rms_epsilon", 1e-5)
    writer.add_tokenizer_model("llama")
    writer.add_token_list([f"<0x{i:02X}>" for i in range(256)])
    writer.add_token_scores([0.0] * 256)
    writer.add_token_types([gguf.TokenType.BYTE] * 256)
    n_bytes = 0

    def add(name, *shape):
        nonlocal n_bytes
        size = 4 * int(numpy.prod(shape))
        writer.add_tensor_info(name, shape, numpy.dtype(numpy.float32), size)
        n_bytes += size

    add("token_embd.weight", 256, d)
    add("output_norm.weight", d)
    for i in range(n_layers):
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            add(f"blk.{i}.{name}.weight", d, d)
        for name, shape in (("ffn_gate", (4 * d, d)), ("ffn_up", (4 * d, d)), ("ffn_down", (d, 4 * d))):
            add(f"blk.{i}.{name}.weight", *shape)
        for name in ("attn_norm", "ffn_norm"):
            add(f"blk.{i}.{name}.weight", d)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    writer.close()
    path = tmp_path / "large.gguf"
    os.truncate(path, -(-path.stat().st_size // 32) * 32 + n_bytes)
    begin = time.monotonic()
    done = lamina("run", path, "hello", "--raw", code=1)
    assert "the model needs" in done.err and "but the machine has" in done.err
    assert time.monotonic() - begin < 10
