"""Printed and woven patterns: how much of the second color there is at each point of the product, in [0, 1]."""

import numpy as np


def step(value, sharp: float = 6.0):
    """A soft threshold at 0: hard enough to read, soft enough not to flicker when small."""
    return np.clip(0.5 + sharp * value, 0, 1)


def stripes(x, y):
    return step(np.sin(2 * np.pi * y), 2)


def pinstripes(x, y):
    return step(np.cos(2 * np.pi * x) - 0.8, 2.5)


def dots(x, y):
    s, t = np.cos(np.pi * (x + y)), np.cos(np.pi * (x - y))
    return step(s * t - 0.45, 4)


def gingham(x, y):
    return (step(np.sin(2 * np.pi * x), 2) + step(np.sin(2 * np.pi * y), 2)) * 0.48


def plaid(x, y):
    wide = step(np.sin(np.pi * x), 2) * 0.34 + step(np.sin(np.pi * y), 2) * 0.34
    fine = step(np.cos(2 * np.pi * x) - 0.93, 4) + step(np.cos(2 * np.pi * y) - 0.93, 4)
    return np.clip(wide + 0.55 * fine, 0, 1)


def chevron(x, y):
    return step(np.sin(2 * np.pi * (y + np.abs((0.8 * x) % 1 - 0.5))), 2)


PATTERNS = {
    "plain": None,
    "striped": stripes,
    "pinstriped": pinstripes,
    "dotted": dots,
    "gingham": gingham,
    "plaid": plaid,
    "chevron": chevron,
}
