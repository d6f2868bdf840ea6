#!/usr/bin/env python3
"""Writes src/text/unicode_ranges.inc: the character classes that tokenizer patterns ask for.

The classes are read out of the regular expression engine of the Python package `tokenizers` (the
reference), one code point after the other, so that both use one version of Unicode.
Usage: tools/make_unicode_ranges.py > src/text/unicode_ranges.inc
"""
from tokenizers import Regex, pre_tokenizers

# In the order of enum class CharClass in src/text/unicode.h.
CLASSES = [None, r"\s", r"\p{N}", r"\p{M}", r"[\p{Lu}\p{Lt}]", r"\p{Ll}", r"[\p{Lm}\p{Lo}]"]
UPPER, LOWER, ALTERNATING = 4, 5, 7
BLOCK = 4096


def members(pattern, code_points):
    splitter = pre_tokenizers.Split(Regex(pattern), "removed", invert=True)
    for i in range(0, len(code_points), BLOCK):
        text = "".join(map(chr, code_points[i : i + BLOCK]))
        for piece, _ in splitter.pre_tokenize_str(text):
            yield from map(ord, piece)


def main():
    code_points = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
    classes = bytearray(0x110000)
    for index, pattern in enumerate(CLASSES):
        if pattern:
            for c in members(pattern, code_points):
                classes[c] = index

    entries = []
    c = 0
    while c < len(classes):
        entry = classes[c]
        end = c + 1
        # Capital, small, capital, small ... of at least four is one range.
        alternating = c
        while alternating < len(classes) and classes[alternating] == (UPPER, LOWER)[(alternating - c) % 2]:
            alternating += 1
        if alternating - c >= 4:
            entry, end = ALTERNATING, alternating
        else:
            while end < len(classes) and classes[end] == entry:
                end += 1
        entries.append(c << 3 | entry)
        c = end

    print("// Made by tools/make_unicode_ranges.py (Unicode 16). Each entry: first code point << 3 | class;")
    print("// class 7 alternates: capital, small, capital, ...")
    for i in range(0, len(entries), 12):
        print(" ".join(f"0x{e:x}," for e in entries[i : i + 12]))


if __name__ == "__main__":
    main()
