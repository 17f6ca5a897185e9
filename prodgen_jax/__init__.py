"""prodgen_jax: train GANs, VAEs and diffusion models on a shop's catalogue, and measure them fairly.

prepared = open_or_prepare("demo", "runs/demo")            # catalogue -> checked, cleaned, split
run = fit(recipe("vae"), prepared, "runs/vae", minutes=2)  # -> a run folder
images, _ = sample(run, 64)                                # -> uint8 [64 h w 3]
record = evaluate(images, prepared)                        # -> FCD, recall, copies, beside floor and ceiling
"""

from importlib import import_module

_HOME = {
    "InputError": "prodgen_jax.errors",
    "prepare": "prodgen_jax.data.prepare",
    "open_or_prepare": "prodgen_jax.data.prepare",
    "open_prepared": "prodgen_jax.data.prepared",
    "recipe": "prodgen_jax.training.recipe",
    "fit": "prodgen_jax.training.fit",
    "open_run": "prodgen_jax.training.run",
    "export": "prodgen_jax.training.run",
    "sample": "prodgen_jax.sampling.sample",
    "edit": "prodgen_jax.sampling.edit",
    "translate": "prodgen_jax.sampling.translate",
    "stylize": "prodgen_jax.sampling.style",
    "finish": "prodgen_jax.sampling.postprocess",
    "evaluate": "prodgen_jax.evaluation.evaluate",
}
__all__ = list(_HOME)


def __getattr__(name: str):
    """Each name is imported when it is first used, so that `import prodgen_jax` itself costs nothing."""
    if name not in _HOME:
        raise AttributeError(f"module 'prodgen_jax' has no attribute '{name}'; it has {', '.join(__all__)}")
    return getattr(import_module(_HOME[name]), name)
