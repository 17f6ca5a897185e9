"""Bags: boxes with a depth, so that a turned one shows its side."""

import numpy as np

from prodgen_jax.data.demo.shapes import Part, both, box, ellipse, half, line, ribbon, smooth


def handbag(u) -> list[Part]:
    top, foot, high, deep = u(0.5, 0.7), u(0.66, 0.82), u(-0.3, -0.1), u(0.14, 0.24)
    reach, spread, flap = u(0.42, 0.7), u(0.24, 0.4), u(0, 1) > 0.5
    body = half((0, high), (top, high), (top, high), (top + 0.04, high + 0.1), (foot - 0.01, 0.6), (foot - 0.06, 0.72),
                (foot - 0.14, 0.72), (0, 0.72))  # fmt: skip
    arch = smooth([(-spread, high + 0.16), (-spread * 0.95, high - reach * 0.6), (-spread * 0.5, high - reach),
                   (spread * 0.5, high - reach), (spread * 0.95, high - reach * 0.6), (spread, high + 0.16)],
                  False)  # fmt: skip
    lid = half((0, high - 0.02), (top, high - 0.02), (top, high - 0.02), (top + 0.03, high + 0.14),
               (top - 0.02, high + 0.36), (0, high + 0.48))  # fmt: skip
    closed = [Part((lid,), "body", "leather", z=deep + 0.02)]
    zipped = [
        line((-top, high + 0.05), (0, high + 0.05), (top, high + 0.05), width=0.04, ink="lining", alpha=0.8, z=deep),
        Part((box(-top * 0.7, high + 0.1, 0.02, 0.06, 0.01),), "metal", "metal", z=deep),
    ]
    clasp = high + (0.44 if flap else 0.34)
    return [
        Part((ribbon(arch, 0.05),), "shade", "leather", z=-deep),
        Part((body,), "body", "leather", thick=deep, pattern=True),
        line((foot - 0.06, 0.66), (0, 0.66), (-foot + 0.06, 0.66), width=0.014, ink="seam", alpha=0.5, z=deep),
        *(closed if flap else zipped),
        Part((ribbon(arch, 0.06),), "trim" if u(0, 1) > 0.6 else "body", "leather", z=deep + 0.02),
        Part(both(ellipse(spread, high + 0.15, 0.04, 0.04)), "metal", "metal", z=deep + 0.03),
        Part((box(0, clasp, 0.07, 0.05, 0.02),), "metal", "metal", z=deep + 0.04),
    ]


def backpack(u) -> list[Part]:
    wide, arch, deep, pocket = u(0.46, 0.56), u(0.2, 0.34), u(0.16, 0.26), u(0.02, 0.2)
    body = half((0, -0.78), (wide * 0.55, -0.77), (wide - 0.03, -0.78 + arch), (wide + 0.02, 0.1), (wide + 0.03, 0.66),
                (wide - 0.06, 0.8), (0, 0.82))  # fmt: skip
    pouch = half((0, pocket), (wide - 0.16, pocket), (wide - 0.09, pocket + 0.07), (wide - 0.07, 0.62),
                 (wide - 0.14, 0.7), (0, 0.71))  # fmt: skip
    strap = smooth([(wide - 0.14, -0.66), (wide + 0.08, -0.4), (wide + 0.17, 0.1), (wide + 0.06, 0.6)], False)
    hook = smooth([(-0.13, -0.74), (-0.11, -0.9), (0.11, -0.9), (0.13, -0.74)], False)
    curve = np.array([(-wide + 0.06, 0.02), (-wide + 0.08, -0.4), (-wide * 0.5, -0.66), (wide * 0.5, -0.66),
                      (wide - 0.08, -0.4), (wide - 0.06, 0.02)]) + (0, 0.04)  # fmt: skip
    side = smooth([(wide - 0.02, 0.2), (wide + 0.1, 0.24), (wide + 0.1, 0.7), (wide - 0.02, 0.76)])
    z = deep + 0.02
    return [
        Part(both(ribbon(strap, 0.1)), "shade", z=-deep),
        Part((ribbon(hook, 0.055),), "trim", z=-deep * 0.5),
        Part(both(side), "shade"),
        Part((body,), thick=deep, pattern=True),
        line(*curve, width=0.04, ink="lining", alpha=0.85, z=z),
        Part((box(wide - 0.06, 0.09, 0.02, 0.06, 0.01),), "metal", "metal", z=z),
        Part((pouch,), "trim" if u(0, 1) > 0.7 else "body", z=z + 0.08),
        line(
            (-wide + 0.14, pocket + 0.1),
            (0, pocket + 0.09),
            (wide - 0.14, pocket + 0.1),
            width=0.035,
            ink="lining",
            alpha=0.85,
            z=z + 0.09,
        ),  # fmt: skip
        Part((box(0, pocket - 0.22, 0.13, 0.07, 0.02),), "thread", "leather", z=z),
    ]


BAGS = {"handbag": (handbag, None), "backpack": (backpack, None)}
