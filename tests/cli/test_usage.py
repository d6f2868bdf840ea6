"""Exit codes, messages and help."""

import re
import shutil
import subprocess

import pytest
from conftest import BINARY

VERBS = """run pull list show rm import cp cache tokenize detokenize logits bench doctor completion
version help""".split()


def test_help_names_every_verb(lamina):
    text = lamina("help").out
    for verb in VERBS:
        assert verb in text
        assert "--help" in lamina("help", verb).out
        assert lamina(verb, "--help").out == lamina("help", verb).out


def test_version(lamina):
    assert lamina("version").out.startswith("lamina ")
    assert lamina("--version").out == lamina("version").out
    version = lamina.json("version")
    assert set(version) == {"version", "isa", "chat_templates"}


@pytest.mark.parametrize(
    "args, word",
    [
        ([], "Usage"),
        (["nothing"], "nothing"),
        (["run"], "MODEL"),
        (["run", "m", "p", "--nothing"], "--nothing"),
        (["run", "m", "p", "--top-k", "-1"], "top_k"),
        (["run", "m", "p", "--top-k", "1.5"], "top_k"),
        (["run", "m", "p", "--temperature", "1e999"], "temperature"),
        (["run", "m", "p", "--temperature", "-1"], "temperature"),
        (["run", "m", "p", "--temperature", "nan"], "temperature"),
        (["run", "m", "p", "--top-p", "2"], "top_p"),
        (["run", "m", "p", "--min-p", "x"], "min_p"),
        (["run", "m", "p", "--seed", "-1"], "seed"),
        (["run", "m", "p", "--max-tokens", "-2"], "max_tokens"),
        (["run", "m", "p", "--threads", "0"], "threads"),
        (["run", "m", "p", "--threads", "100000"], "threads"),
        (["run", "m", "p", "--kv", "q4_0"], "kv"),
        (["run", "m", "p", "--ctx", "-4"], "ctx"),
        (["run", "m", "p", "--mirostat", "1"], "mirostat"),
        (["run", "m", "p", "--logit-bias", "x"], "logit_bias"),
        (["run", "m", "p", "--stop", ""], "stop"),
        (["bench", "m", "-r", "0"], "repetitions"),
        (["bench", "m", "--batch", "0"], "batch"),
        (["logits", "m"], "--ids"),
        (["rm"], "NAME"),
        (["completion", "tcsh"], "tcsh"),
        (["help", "nothing"], "nothing"),
    ],
)
def test_usage_errors_name_the_field(lamina, args, word):
    done = lamina(*args, code=2)
    assert word in done.err
    assert done.out == ""


def test_a_missing_model_says_what_to_do(lamina):
    done = lamina("run", "no-such-model", "hello", code=1)
    assert "no-such-model" in done.err
    assert done.out == ""


def test_settings_come_from_flag_environment_and_file(lamina):
    folder = lamina.home / "config" / "lamina"
    folder.mkdir(parents=True)
    (folder / "lamina.toml").write_text("[run]\ntop_k = -7\n")
    assert "-7" in lamina("run", "m", "p", code=2).err
    assert "-8" in lamina("run", "m", "p", code=2, env={"LAMINA_TOP_K": "-8"}).err
    flag = lamina("run", "m", "p", "--top-k", "-9", code=2, env={"LAMINA_TOP_K": "-8"})
    assert "-9" in flag.err
    assert "LAMINA_THREADS" in lamina("run", "m", "p", code=2, env={"LAMINA_THREADS": "x"}).err
    (folder / "lamina.toml").write_text("[run]\ntopk = 7\n")
    assert "run.topk" in lamina("list", code=2).err


def test_help_works_beside_a_broken_file_of_settings(lamina):
    folder = lamina.home / "config" / "lamina"
    folder.mkdir(parents=True)
    (folder / "lamina.toml").write_text("[run]\ntopk = 7\n")
    assert "--top-k" in lamina("help", "run").out


def test_a_full_disk_is_a_failure(lamina):
    for args in (["help"], ["version", "--json"], ["completion", "bash"]):
        with open("/dev/full", "w") as full:
            done = subprocess.run([BINARY, *args], stdout=full, stderr=subprocess.PIPE, env=lamina.env)
        assert done.returncode == 1 and b"standard output" in done.stderr
    closed = subprocess.run(["sh", "-c", f"exec {BINARY} version >&-"], stderr=subprocess.PIPE, env=lamina.env)
    assert closed.returncode == 1 and b"standard output" in closed.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completions_know_every_verb_and_flag(lamina, shell):
    script = lamina("completion", shell).out
    for verb in VERBS:
        assert verb in script
    assert "max-tokens" in script and "depth" in script


def test_bash_completion_completes(lamina, tmp_path):
    script = lamina("completion", "bash").out
    names = ("smollm2:135m-q4_1", "smollm2:135m-q8_0", "other:latest")
    fake = f"lamina() {{ printf '%s\\n' {' '.join(names)}; }}\n"

    def complete(line):
        """What bash adds: it hands over words that are broken at colons."""
        words = " ".join(f"'{w}'" for w in re.split(r"[ ]|(:)", line) if w is not None)
        if line.endswith(":"):
            words = words[: -len(" ''")]
        ask = f"COMP_LINE='{line}' COMP_POINT={len(line)} COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))\n"
        done = subprocess.run(
            ["bash", "-c", fake + script + ask + '_lamina; echo "${COMPREPLY[*]}"'],
            capture_output=True, text=True, check=True,
        )
        return done.stdout.split()

    assert complete("lamina to") == ["tokenize"]
    assert complete("lamina bench --de") == ["--depth"]
    assert complete("lamina help de") == ["detokenize"]
    assert complete("lamina completion z") == ["zsh"]
    assert complete("lamina cache pr") == ["prune"]
    assert complete("lamina cache --al") == ["--all"]
    assert complete("lamina run smo") == list(names[:2])
    assert complete("lamina run smollm2:") == ["135m-q4_1", "135m-q8_0"]
    assert complete("lamina rm smollm2:135m-q8") == ["135m-q8_0"]
    assert complete("lamina run no-such") == []  # Then bash completes files.


def test_zsh_and_fish_read_their_completions(lamina):
    for shell, flags in (("zsh", "-fn"), ("fish", "-n")):
        if shutil.which(shell):
            script = lamina("completion", shell).out
            subprocess.run([shell, flags, "/dev/stdin"], input=script, text=True, check=True)


def test_doctor_describes_the_machine(lamina):
    report = lamina.json("doctor")
    assert report["cores"] >= 1 and report["memory_bytes"] > 0
    assert report["isa"] in report["isas"] and report["isas"][-1] == "scalar"
    assert len(report["read_gb_per_s"]) == 2 and min(report["read_gb_per_s"]) > 0.1
    assert report["int8_gops"] > 0.1
    assert len(report["models"]) >= 2
    for model in report["models"]:
        assert model["verdict"] in ("fits", "slow", "won't")
        assert model["predicted_tokens_per_s"] > 0
        assert model["measured_tokens_per_s"] is None  # None is installed in this home.


def test_an_empty_library(lamina):
    assert lamina.json("list") == {"models": []}
    assert lamina("list", "--quiet").out == ""
