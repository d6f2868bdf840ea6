#!/usr/bin/env python3
"""Compares our tokenizers with reference implementations on generated texts.

Usage: compare_tokenizers.py ENCODE_LINES FOLDER CASE [FAMILIES]
ENCODE_LINES: the program tests/text/encode_lines.cpp. FOLDER: what fetch_tokenizers.py filled.
FAMILIES: the unpacked tests/data/families, for the case "fixtures".
Exit 0: no difference. 1: differences, printed. 77: the files of this case could not be fetched.
"""
import base64
import json
import os
import pathlib
import random
import struct
import subprocess
import sys

N_TEXTS = 2400
SKIPPED = 77

LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
QWEN35 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*"
          r"|\s*[\r\n]+|\s+(?!\S)|\s+")
CASED = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
CASED2 = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
REST = r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
CONTRACTION = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
GPT4O = CASED + CONTRACTION + "|" + CASED2 + CONTRACTION + r"|\p{N}{1,3}" + REST
TEKKEN = CASED + "|" + CASED2 + r"|\p{N}" + REST


def text_generator(seed, tokens):
    """Texts that exercise what splitters and merges tell apart; `tokens`: texts of the vocabulary."""
    rng = random.Random(seed)
    ranges = [(0x20, 0x7F), (0xA0, 0x250), (0x250, 0x400), (0x400, 0x530), (0x590, 0x700), (0x900, 0xA00),
              (0xE00, 0xE80), (0x1E00, 0x2000), (0x2000, 0x2070), (0x2070, 0x2C00), (0x3000, 0x3100),
              (0x4E00, 0x5000), (0xAC00, 0xAD00), (0xFB00, 0xFB50), (0xFE00, 0xFF00), (0xFF00, 0xFFF0),
              (0x10400, 0x10450), (0x1D400, 0x1D500), (0x1F300, 0x1F700), (0x20000, 0x20100), (0xE0020, 0xE0080)]
    marks = "\u0300\u0301\u0308\u030a\u0327\u0345\u093c\u0941\u0bcd\u20dd\ufe0f\U0001d165"
    spaces = [" ", "  ", "   ", "\t", "\n", "\r\n", "\r", "\n\n", "\u00a0", "\u2003", "\u2028", "\u3000", "\u0085", "\v", "\f",
              "\u200b", "\ufeff", " \n", "\n ", " \t "]
    contractions = ["'s", "'S", "'t", "'T", "'re", "'RE", "'Re", "'ve", "'VE", "'m", "'M", "'ll", "'LL", "'lL", "'d", "'D",
                    "'\u017f", "\u2019s", "''s", "'x", "'l", "'r", "'"]
    words = ("the of and to in is that for was with as his on be at by I this had not are but from or have an they which one "
             "you were her all she there would their we him been has when who will more no if out so said what up its about "
             "into than them can only other new some could time these two may then do first any my now such like our over "
             "HELLO World camelCase snake_case HTTPServer iPhone McDonald naïve Straße ДОМ дом Ελλάδα ΕΛΛΑΔΑ "
             "日本語 中文字符 한국어 हिन्दी العربية עברית ไทย Việt ǅungla ʰabc ªº").split()
    emoji = ["👍", "👍🏽", "👨‍👩‍👧‍👦", "🏳️‍🌈", "❤️", "🇩🇪", "1️⃣", "😀", "🧑🏿‍🚀", "☕", "©️"]
    code = ["def f(x):\n    return x**2  # note\n", "for (int i=0;i<n;++i){\n\tsum += a[i];\n}\n", "{\"key\": [1, 2.5e-3, null]}",
            "<div class=\"a b\">x &amp; y</div>", "SELECT * FROM t WHERE id=42;", "a//b/c\\d ../e", "https://x.org/a?b=1&c=%20",
            "```python\nprint('hi')\n```", "$\\frac{1}{2}$", "x => x!==y || z?.w ?? 0", "-----", "======\n", "...", "!!!???", "/\n/\r\n//"]
    digits = ["0", "7", "42", "123", "1234", "12345", "1,234.5", "3.14159", "007", "٣٤٥", "१२", "Ⅻ", "½", "²³", "①", "1e10", "2024-01-02"]

    def random_char():
        while True:
            low, high = rng.choice(ranges)
            c = rng.randrange(low, high)
            if not 0xD800 <= c < 0xE000:
                return chr(c)

    def atom():
        kind = rng.randrange(12)
        if kind == 0:
            return rng.choice(spaces) * rng.choice((1, 1, 1, 2, 5, 17))
        if kind == 1:
            return rng.choice(words) + rng.choice(contractions)
        if kind == 2:
            return rng.choice(emoji)
        if kind == 3:
            return rng.choice(code)
        if kind == 4:
            return rng.choice(digits)
        if kind == 5:
            return "".join(random_char() for _ in range(rng.randrange(1, 6)))
        if kind == 6:
            return rng.choice(words) + rng.choice(marks) + rng.choice(words)
        if kind == 7:
            return rng.choice("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~") * rng.choice((1, 1, 2, 3, 9))
        if kind == 8 and tokens:
            return rng.choice(tokens)
        if kind == 9:
            word = rng.choice(words)
            return rng.choice((word.upper(), word.title(), word.swapcase(), word[::-1]))
        return rng.choice(words)

    fixed = ["", " ", "\n", "a", "\u0000", "\ufffd", "a\u0301", "\u0301", " \u0301a", "A" * 300, " " * 300, "\n" * 300, "ab" * 200,
             "1" * 100, "." * 200, "\u4e2d" * 100, "<0x41>", "<0x00><0xFF>", "\u2581", "\u2581\u2581a \u2581b", "'s", "'S't'RE"]
    for text in fixed:
        yield text
    for _ in range(N_TEXTS - len(fixed)):
        separator = rng.choice(("", " ", " ", " "))
        yield separator.join(atom() for _ in range(rng.choice((1, 2, 3, 5, 8, 13))))


def ours(program, model, texts, special=False):
    command = [program, str(model)] + (["--special"] if special else [])
    lines = "".join(json.dumps(t) + "\n" for t in texts)
    done = subprocess.run(command, input=lines, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{model}: {done.stderr}")
    return [list(map(int, line.split())) for line in done.stdout.split("\n")[:-1]]


def compare(name, texts, expected, found):
    different = [i for i in range(len(texts)) if expected[i] != found[i]]
    print(f"{name}: {len(texts)} texts, {len(different)} different")
    for i in different[:20]:
        print(f"  {texts[i]!r}\n    expected {expected[i]}\n    found    {found[i]}")
    return not different and len(texts) == len(found)


def needs(path):
    if not pathlib.Path(path).exists():
        print(f"{path} could not be fetched; see fetch_tokenizers.py")
        sys.exit(SKIPPED)
    return path


def readable_tokens(tokens, n=4000):
    rng = random.Random(7)
    tokens = [t for t in tokens if t]
    return rng.sample(tokens, min(n, len(tokens)))


def with_huggingface(reference, texts, special):
    """Ids by `tokenizers`, whose special tokens are read only where `special`."""
    reference.encode_special_tokens = not special
    return [e.ids for e in reference.encode_batch(texts, add_special_tokens=False)]


def json_case(program, folder, name):
    """A real tokenizer.json: our reader of it against the package that made it."""
    from tokenizers import Tokenizer
    reference = Tokenizer.from_file(str(needs(folder / "tokenizer.json")))
    tokens = [reference.decode([i]) for i in range(0, reference.get_vocab_size(), 31)]
    texts = list(text_generator(name, readable_tokens(tokens)))
    good = compare(name, texts, with_huggingface(reference, texts, False), ours(program, folder, texts))
    # Special tokens between the texts, read where asked for.
    specials = [t.content for t in reference.get_added_tokens_decoder().values() if t.special] or [""]
    rng = random.Random(name)
    marked = ["".join(rng.choice(specials) + t for t in rng.sample(texts[22:], 3)) for _ in range(300)]
    good &= compare(name + ", special", marked, with_huggingface(reference, marked, True), ours(program, folder, marked, True))
    return compare(name + ", not special", marked, with_huggingface(reference, marked, False), ours(program, folder, marked)) and good


class Gguf:
    """The metadata of a GGUF (the package gguf takes half a minute for a big vocabulary)."""

    FORMATS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
    STRING, ARRAY = 8, 9

    def __init__(self, path):
        with open(needs(path), "rb") as file:
            self.data, self.pos = file.read(), 4
        _, _, n_fields = self.read("I"), self.read("Q"), self.read("Q")
        self.fields = {}
        for _ in range(n_fields):
            key = self.string()
            self.fields[key] = self.value(self.read("I"))
        del self.data

    def read(self, code, n=1):
        values = struct.unpack_from(f"<{n}{code}", self.data, self.pos)
        self.pos += struct.calcsize(f"<{n}{code}")
        return values[0] if n == 1 else list(values)

    def string(self):
        n_bytes = self.read("Q")
        self.pos += n_bytes
        return self.data[self.pos - n_bytes: self.pos].decode(errors="replace")

    def value(self, kind):
        if kind == self.STRING:
            return self.string()
        if kind != self.ARRAY:
            return self.read(self.FORMATS[kind])
        kind, n = self.read("I"), self.read("Q")
        if kind == self.STRING:
            return [self.string() for _ in range(n)]
        return [self.value(kind) for _ in range(n)] if n < 2 else self.read(self.FORMATS[kind], n)

    def get(self, key, default=None):
        return self.fields.get("tokenizer.ggml." + key, default)


def bytes_to_visible():
    visible = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    table = {b: chr(b) for b in visible}
    for b in range(256):
        table.setdefault(b, chr(256 + len(table) - len(visible)))
    return table


def huggingface_of_gguf(gguf, pre):
    """The tokenizer that the vocabulary of a GGUF was converted from, built anew."""
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
    tokens, types, merges = gguf.get("tokens"), gguf.get("token_type"), gguf.get("merges")
    merges = [(m[: m.index(" ", 1)], m[m.index(" ", 1) + 1:]) for m in merges]
    over_chars = pre == "gemma4"
    vocab = {t: i for i, t in enumerate(tokens)}
    reference = Tokenizer(models.BPE(vocab, merges, ignore_merges=pre in ("llama-bpe", "lfm2", "tekken"),
                                     byte_fallback=over_chars, fuse_unk=over_chars,
                                     unk_token=tokens[gguf.get("unknown_token_id")] if over_chars else None))
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    gpt2 = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    if over_chars:
        reference.normalizer = normalizers.Replace(" ", "\u2581")
    elif pre in ("gpt-2", "mpt"):
        reference.pre_tokenizer = gpt2
    elif pre in ("smollm", "refact", "starcoder", "command-r"):
        reference.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), gpt2])
    else:
        pattern = {"llama-bpe": LLAMA3, "lfm2": LLAMA3, "dbrx": LLAMA3, "qwen2": QWEN2, "qwen35": QWEN35, "gpt-4o": GPT4O,
                   "tekken": TEKKEN}[pre]
        split = pre_tokenizers.Split(Regex(pattern), "isolated")
        reference.pre_tokenizer = pre_tokenizers.Sequence([split, byte_level])
    if pre == "qwen2":
        reference.normalizer = normalizers.NFC()
    for token, kind in zip(tokens, types):
        if kind in (2, 3):
            reference.add_special_tokens([AddedToken(token, normalized=False, special=True)])
        elif kind == 4:
            reference.add_tokens([AddedToken(token, normalized=False, special=False)])
    return reference


def gguf_bpe_case(program, path, name, pre=None):
    """Our reader of a GGUF against `tokenizers` with the same vocabulary and the pattern `pre`."""
    gguf = Gguf(path)
    actual = gguf.get("pre") or gguf.get("model")
    if pre and pre != actual:
        path = with_other_pre(path, actual, pre)
    pre = pre or actual
    reference = huggingface_of_gguf(gguf, pre)
    back = {v: k for k, v in bytes_to_visible().items()}
    tokens = [bytes(back[c] for c in t).decode(errors="ignore") if all(c in back for c in t) else t.replace("\u2581", " ")
              for t in gguf.get("tokens")[:: 29]]
    texts = list(text_generator(name, readable_tokens(tokens)))
    return compare(f"{name} ({pre})", texts, with_huggingface(reference, texts, False), ours(program, path, texts))


def with_other_pre(path, actual, pre):
    """A copy of a GGUF whose tokenizer.ggml.pre is another one."""
    data = pathlib.Path(path).read_bytes()
    key = b"tokenizer.ggml.pre" + struct.pack("<I", 8)
    old = key + struct.pack("<Q", len(actual)) + actual.encode()
    new = key + struct.pack("<Q", len(pre)) + pre.encode()
    assert data.count(old) == 1
    # The tensors' data, which begins at a multiple of 32, is empty in these files.
    copy = pathlib.Path(path).with_name(f"{pathlib.Path(path).stem}.as-{pre}.gguf")
    copy.write_bytes(data.replace(old, new))
    return copy


def varint(value):
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out + bytes([value]))


def message(number, content):
    return varint(number << 3 | 2) + varint(len(content)) + content


def sentencepiece_of_gguf(gguf):
    """A sentencepiece model with the vocabulary of a GGUF."""
    import sentencepiece
    proto = bytearray()
    unknown = gguf.get("tokens")[gguf.get("unknown_token_id", 0)]
    for token, score, kind in zip(gguf.get("tokens"), gguf.get("scores"), gguf.get("token_type")):
        if kind == 4:
            token = token.replace(" ", "\u2581")
        if kind == 2 and token != unknown:
            kind = 3  # sentencepiece knows one unknown token
        piece = message(1, token.encode()) + b"\x15" + struct.pack("<f", score)
        if kind != 1:
            piece += b"\x18" + varint(kind)
        proto += message(1, piece)
    trainer = b"\x18" + varint(2)  # model_type: BPE
    trainer += varint(35 << 3) + b"\x01"  # byte_fallback
    for number, key, default in ((40, "unknown_token_id", 0), (41, "bos_token_id", 1), (42, "eos_token_id", 2)):
        trainer += varint(number << 3) + varint(gguf.get(key, default))
    trainer += message(45, unknown.encode())
    proto += message(2, trainer)
    prefix = int(gguf.get("add_space_prefix", True))
    proto += message(3, message(1, b"identity") + bytes([0x18, prefix, 0x20, 0, 0x28, 1]))
    return sentencepiece.SentencePieceProcessor(model_proto=bytes(proto)), bytes(proto)


def gguf_spm_case(program, path, name, folder):
    gguf = Gguf(path)
    reference, proto = sentencepiece_of_gguf(gguf)
    tokens = readable_tokens([t.replace("\u2581", " ") for t in gguf.get("tokens")[:: 29]])
    texts = list(text_generator(name, tokens))
    expected = [reference.encode(t) for t in texts]
    good = compare(f"{name} (sentencepiece)", texts, expected, ours(program, path, texts))
    model = folder / f"{name}-as-sentencepiece"
    model.mkdir(exist_ok=True)
    (model / "tokenizer.model").write_bytes(proto)
    return compare(f"{name} (as tokenizer.model)", texts, expected, ours(program, model, texts)) and good


def sentencepiece_case(program, path, name, folder):
    """A real tokenizer.model."""
    import sentencepiece
    reference = sentencepiece.SentencePieceProcessor(model_file=str(path))
    tokens = readable_tokens([reference.id_to_piece(i).replace("\u2581", " ") for i in range(0, reference.vocab_size(), 29)])
    texts = list(text_generator(name, tokens))
    model = folder / name
    model.mkdir(exist_ok=True)
    (model / "tokenizer.model").write_bytes(pathlib.Path(path).read_bytes())
    return compare(name, texts, [reference.encode(t) for t in texts], ours(program, model, texts))


def tekken_case(program, path, name, folder):
    from mistral_common.tokens.tokenizers.tekken import Tekkenizer
    reference = Tekkenizer.from_file(str(path))
    vocab = json.loads(pathlib.Path(path).read_text())["vocab"]
    tokens = readable_tokens([base64.b64decode(v["token_bytes"]).decode(errors="ignore") for v in vocab[:: 29]])
    texts = list(text_generator(name, tokens))
    model = folder / name
    model.mkdir(exist_ok=True)
    (model / "tekken.json").write_bytes(pathlib.Path(path).read_bytes())
    expected = [reference.encode(t, bos=False, eos=False) for t in texts]
    return compare(name, texts, expected, ours(program, model, texts))


def stored_cases(program, folder, name):
    """The cases that come with the vocabulary-only GGUF files."""
    path = needs(folder / f"ggml-vocab-{name}.gguf")
    texts = pathlib.Path(f"{path}.inp").read_text(encoding="utf-8").split("\n__ggml_vocab_test__\n")
    lines = pathlib.Path(f"{path}.out").read_text().split("\n")
    expected = [list(map(int, line.split())) for line in lines[: len(texts)]]
    return compare(f"{name}, stored cases", texts, expected, ours(program, path, texts))


def fixture_cases(program):
    """The small models of the tests: the tokenizer files of each, and its GGUF."""
    from tokenizers import Tokenizer
    good = True
    seen = set()
    for family in sorted(pathlib.Path(sys.argv[4]).iterdir()):
        file = family / "hf" / "tokenizer.json"
        if not family.is_dir() or not file.exists() or file.read_bytes() in seen:
            continue
        seen.add(file.read_bytes())
        reference = Tokenizer.from_file(str(file))
        texts = list(text_generator(family.name, [reference.decode([i]) for i in range(5, reference.get_vocab_size())]))
        good &= compare(f"{family.name}/hf", texts, with_huggingface(reference, texts, False), ours(program, family / "hf", texts))
    for family in sorted(pathlib.Path(sys.argv[4]).iterdir()):
        if family.is_dir() and (family / "hf" / "tokenizer.model").exists():
            good &= sentencepiece_case(program, family / "hf" / "tokenizer.model", f"{family.name}-fixture", pathlib.Path(sys.argv[2]))
    for family in ("llama", "smollm3", "qwen2", "qwen35", "ministral3", "phi4", "phi4-mini", "granite", "lfm2"):
        good &= gguf_bpe_case(program, pathlib.Path(sys.argv[4]) / family / "model.gguf", f"{family}.gguf")
    return good


def mistral_data(file):
    import mistral_common
    return pathlib.Path(mistral_common.__file__).parent / "data" / file


def real_model(file):
    default = pathlib.Path(sys.argv[2]).parent / "models"
    path = pathlib.Path(os.environ.get("LAMINA_TEST_MODELS", default)) / file
    if not path.exists():
        sys.exit(f"{path} is missing; run `make models` first")
    return path


def main():
    program, folder, case = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3]
    vocabularies = folder / "ggml-vocab"
    gguf = lambda name: vocabularies / f"ggml-vocab-{name}.gguf"
    bpe = lambda name, pre=None: lambda: gguf_bpe_case(program, gguf(name), f"{name}.gguf", pre)
    cases = {
        "llama3.json": lambda: json_case(program, folder / "tokenizer-llama3", "llama3.json"),
        "llama3_1.json": lambda: json_case(program, folder / "tokenizer-llama3_1", "llama3_1.json"),
        "qwen3.json": lambda: json_case(program, folder / "tokenizer-qwen3", "qwen3.json"),
        "gemma3.json": lambda: json_case(program, folder / "tokenizer-gemma3", "gemma3.json"),
        "gpt4o.json": lambda: json_case(program, folder / "tokenizer-gpt4o", "gpt4o.json"),
        "smollm2.gguf": lambda: gguf_bpe_case(program, real_model("smollm2.gguf"), "smollm2.gguf"),
        "gemma3.gguf": lambda: gguf_spm_case(program, real_model("gemma3.gguf"), "gemma3.gguf", folder),
        "llama-bpe.gguf": bpe("llama-bpe"),
        "lfm2": bpe("llama-bpe", "lfm2"),
        "qwen2.gguf": bpe("qwen2"),
        "qwen35.gguf": bpe("qwen35"),
        "gpt-2.gguf": bpe("gpt-2"),
        "refact.gguf": bpe("refact"),
        "command-r.gguf": bpe("command-r"),
        "gemma-4.gguf": bpe("gemma-4"),
        "dbrx": bpe("gpt-2", "dbrx"),
        "gpt-4o": bpe("gpt-2", "gpt-4o"),
        "tekken": bpe("gpt-2", "tekken"),
        "llama-spm.gguf": lambda: gguf_spm_case(program, gguf("llama-spm"), "llama-spm.gguf", folder),
        "phi-3.gguf": lambda: gguf_spm_case(program, gguf("phi-3"), "phi-3.gguf", folder),
        "mistral-v1.model": lambda: sentencepiece_case(program, mistral_data("tokenizer.model.v1"), "mistral-v1.model", folder),
        "mistral-v3.model": lambda: sentencepiece_case(
            program, mistral_data("mistral_instruct_tokenizer_240323.model.v3"), "mistral-v3.model", folder),
        "tekken.json": lambda: tekken_case(program, mistral_data("tekken_240911.json"), "tekken.json", folder),
        "fixtures": lambda: fixture_cases(program),
        "stored": lambda: all([stored_cases(program, vocabularies, name) for name in
                               ("llama-bpe", "llama-spm", "phi-3", "qwen2", "qwen35", "gemma-4", "gpt-2", "refact", "starcoder",
                                "command-r", "mpt")]),
    }
    if case == "--list":
        print("\n".join(cases))
        return
    sys.exit(0 if cases[case]() else 1)


if __name__ == "__main__":
    main()
