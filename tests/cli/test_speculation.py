"""Speculation as people use it: the same answer, faster or not, and flags that make sense."""

import pytest
from conftest import HAS_BRIDGE

needs_bridge = pytest.mark.skipif(not HAS_BRIDGE, reason="built without chat templates")
PROMPT = (
    "Repeat the following text exactly, word for word:\n\nThe harbour office opens at seven in the morning. "
    "Small boats may tie up along the west quay, but only for two hours."
)


@needs_bridge
@pytest.mark.parametrize("sampling", [("--temperature", 0), ("--temperature", 0.8, "--seed", 7)])
def test_the_answer_is_the_same_and_drafts_are_counted(lamina, smollm2, sampling):
    answers = {
        mode: lamina.json("run", smollm2, PROMPT, "-n", 40, *sampling, "--speculate", mode)
        for mode in ("off", "auto", "ngram")
    }
    assert answers["auto"]["text"] == answers["ngram"]["text"] == answers["off"]["text"]
    assert answers["off"]["timings"]["drafted_tokens"] == 0
    for mode in ("auto", "ngram"):
        timings = answers[mode]["timings"]
        assert 0 <= timings["accepted_tokens"] <= timings["drafted_tokens"]


@needs_bridge
def test_a_copy_is_drafted(lamina, smollm2):
    # Whether drafts pay is measured: long enough to be seen on a busy machine too.
    prompt = (
        f"{PROMPT} Larger boats must call the office by radio before they enter, and wait outside the breakwater until a "
        "berth is free. Fresh water is sold at the fuel dock. Rubbish goes into the grey bins behind the office, and never "
        "into the sea. The gate of the east quay is closed at ten in the evening."
    )
    args = ("run", smollm2, prompt, "-n", 150, "--temperature", 0)
    assert any(lamina.json(*args)["timings"]["accepted_tokens"] > 0 for _ in range(3))


def test_the_setting_comes_from_the_environment_too(lamina, smollm2):
    done = lamina("run", smollm2, "x", "--raw", "-n", 1, code=2, env={"LAMINA_SPECULATE": "fast"})
    assert 'speculate is "fast"; it must be one of auto, off, ngram, suffix, draft' in done.err


def test_flags_that_contradict_each_other_are_refused(lamina, smollm2):
    done = lamina("run", smollm2, "x", "--speculate", "draft", code=2)
    assert "--draft-model" in done.err
    done = lamina("run", smollm2, "x", "--speculate", "ngram", "--draft-model", smollm2, code=2)
    assert "must be auto or draft" in done.err


def test_a_draft_model_of_another_vocabulary_is_refused(lamina, smollm2, gemma3):
    done = lamina("run", smollm2, "x", "--raw", "-n", 1, "--draft-model", gemma3, code=1)
    assert "the draft model has another vocabulary" in done.err


def test_a_draft_model_drafts(lamina, smollm2):
    args = ["run", smollm2, "The capital of France is", "--raw", "--temperature", 0, "-n", 40]
    plain = lamina.json(*args, "--speculate", "off")
    drafted = lamina.json(*args, "--draft-model", smollm2)
    assert drafted["text"] == plain["text"]


@needs_bridge
def test_bench_measures_a_text(lamina, smollm2, tmp_path):
    text = tmp_path / "text.txt"
    text.write_text(PROMPT)
    args = ["bench", smollm2, "--text", text, "-n", 30, "-r", 1]
    result = lamina.json(*args, "--speculate", "auto")
    assert len(result["decode"]["tokens_per_s"]) == len(result["decode"]["plain_tokens_per_s"]) == 1
    assert 0 <= result["decode"]["accepted_tokens"] <= result["decode"]["drafted_tokens"]
    assert "without speculation" in lamina(*args).out
