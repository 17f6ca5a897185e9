"""A line as words: what of it carries meaning. It needs nothing, and so it can travel with a model."""

import re

UNKNOWN = "<unknown>"  # word 0: any word that is not known
SKIPPED = frozenset("a an and at by for from in of on or s the to with".split())


def stem(word: str) -> str:
    """A plural's singular, by its ending alone: watches -> watch, shoes -> shoe; dress stays."""
    if re.search(r"(ch|sh|ss|x)es$", word):
        return word[:-2]
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


def words_of(text: str) -> list[str]:
    """The words that carry meaning, in lower case and singular: "Red bags, for women" -> red, bag, women."""
    return [stem(word) for word in re.findall(r"[^\W_]+", text.lower()) if word not in SKIPPED]
