"""`python -m prodgen_jax.cli` is `prodgen`."""

import sys

from prodgen_jax.cli import main

sys.exit(main())
