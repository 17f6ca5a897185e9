"""Clothes, as on an invisible mannequin. A good is a function of `u(low, high)`, which draws its proportions."""

from prodgen_jax.data.demo.shapes import Part, box, ellipse, half, line, ribbon, smooth


def tshirt(u) -> list[Part]:
    wide, long, sleeve, neck, drop = u(0.46, 0.56), u(0.72, 0.9), u(0.3, 0.46), u(0.17, 0.23), u(0.1, 0.3)
    shoulder, cuff = (wide - 0.02, -0.74), (wide + sleeve, -0.42 + sleeve * 0.4)
    collar = [(-neck - 0.02, -0.84), (-neck * 0.75, -0.84 + drop * 0.7), (0, -0.84 + drop),
              (neck * 0.75, -0.84 + drop * 0.7), (neck + 0.02, -0.84)]  # fmt: skip
    arm = smooth([(wide - 0.16, -0.78), shoulder, (wide + sleeve * 0.6, -0.56), cuff, cuff, (wide + sleeve - 0.2, -0.1),
                  (wide + sleeve - 0.2, -0.1), (wide - 0.14, -0.3), (wide - 0.22, -0.6)])  # fmt: skip
    hem = (wide - 0.02, long)
    torso = half((0, -0.84 + drop), (neck * 0.75, -0.84 + drop * 0.7), (neck, -0.84), (neck, -0.84), shoulder, shoulder,
                 (wide - 0.06, -0.3), (wide - 0.04, 0.2), hem, hem, (0, long + 0.04))  # fmt: skip
    return [
        Part((ellipse(0, -0.83, neck, 0.07),), "lining", "flat", z=0.05),
        Part((arm, arm * (-1, 1)), pattern=True, z=0.05),
        Part((torso,), pattern=True, z=0.1),
        Part((ribbon(smooth(collar, False), 0.055),), "trim" if u(0, 1) > 0.6 else "shade", z=0.11),
        line((wide - 0.08, -0.7), (wide - 0.13, -0.5), (wide - 0.07, -0.3), twin=True, alpha=0.35, z=0.1),
        line((-wide + 0.03, long - 0.06), (0, long - 0.02), (wide - 0.03, long - 0.06), width=0.014, alpha=0.4, z=0.1),
        line((cuff[0] - 0.06, cuff[1] - 0.01), (wide + sleeve - 0.23, -0.14), twin=True, width=0.014, z=0.05),
    ]


def dress(u) -> list[Part]:
    bust, waist, flare, middle, neck = u(0.28, 0.34), u(0.2, 0.25), u(0.36, 0.66), u(-0.2, 0.0), u(-0.68, -0.52)
    sleeved, belt, hem = u(0, 1) > 0.5, u(0, 1) > 0.4, u(0.75, 0.95)
    sleeve = smooth([(0.2, -0.9), (0.34, -0.84), (0.52, -0.5), (0.52, -0.5), (0.38, -0.42), (0.38, -0.42),
                     (0.16, -0.6)])  # fmt: skip
    top = half((0, neck), (0.13, neck - 0.06), (0.17, -0.94), (0.17, -0.94), (0.26, -0.92), (0.26, -0.92), (0.26, -0.7),
               (bust, -0.54), (bust - 0.01, -0.4), (waist, middle), (waist, middle), (0, middle + 0.02))  # fmt: skip
    edge = (flare, hem)
    skirt = half((0, middle - 0.03), (waist, middle - 0.02), (waist, middle - 0.02), (waist + 0.1, middle + 0.22),
                 (flare - 0.05, hem - 0.25), edge, edge, (flare * 0.5, hem + 0.05), (0, hem + 0.04))  # fmt: skip
    folds = [
        line((waist * f, middle + 0.08), (flare * f * 0.8, hem - 0.35), (flare * f, hem), width=0.03, alpha=0.22)
        for f in (-0.72, -0.3, 0.12, 0.55)
    ]
    return [
        Part((half((0, -0.9), (0.16, -0.92), (0.15, neck), (0, neck + 0.02)),), "lining", "flat"),
        *([Part((sleeve, sleeve * (-1, 1)), pattern=True)] if sleeved else []),
        Part((skirt,), pattern=True),
        *folds,
        Part((top,), pattern=True, z=0.03),
        *([Part((box(0, middle, waist + 0.012, 0.035, 0.01),), "trim", "leather", z=0.02)] if belt else []),
    ]


def jeans(u) -> list[Part]:
    waist, hip, cuff, gap, crotch = u(0.27, 0.34), u(0.37, 0.43), u(0.13, 0.24), u(0.05, 0.11), u(-0.3, -0.2)
    foot, inner = (gap + 2 * cuff, 0.9), (gap, 0.92)
    legs = half((0, -0.86), (waist, -0.88), (waist, -0.88), (hip, -0.45), (gap + 1.6 * cuff + 0.04, 0.25), foot, foot,
                inner, inner, (gap * 0.9, 0.3), (0, crotch), (0, crotch))  # fmt: skip
    band = half((0, -0.9), (waist, -0.93), (waist, -0.93), (waist + 0.01, -0.8), (waist + 0.01, -0.8), (0, -0.77))
    return [
        Part((legs,), pattern=True),
        line((gap + cuff, -0.1), (gap + cuff, 0.4), (gap + cuff * 1.05, 0.88), width=0.09, ink="light", alpha=0.16),
        line((-gap - cuff, -0.1), (-gap - cuff, 0.4), (-gap - cuff * 1.05, 0.88), width=0.09, ink="light", alpha=0.16),
        line((waist * 0.45, -0.79), (waist * 0.6, -0.63), (hip - 0.02, -0.56), twin=True, ink="thread", width=0.02),
        line((0.01, -0.8), (0.015, -0.5), (0, crotch), width=0.03, z=0.05),
        line((0.07, -0.79), (0.07, -0.55), (0.01, -0.45), width=0.015, ink="thread", z=0.05),
        Part((band,), "shade", z=0.02),
        Part(tuple(box(x, -0.86, 0.018, 0.085) for x in (-waist * 0.6, waist * 0.6)), "seam", "flat", z=0.03),
        Part((ellipse(0, -0.845, 0.032, 0.032),), "metal", "metal", z=0.05),
        line((foot[0], 0.85), (gap, 0.87), twin=True, ink="thread", width=0.015),
    ]


CLOTHES = {"t-shirt": (tshirt, None), "dress": (dress, None), "jeans": (jeans, None)}
