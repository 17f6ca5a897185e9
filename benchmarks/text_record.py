"""The record of 1,000 samples of a model that reads words: quality, and whether they show what was asked for.

`prodgen evaluate` also asks what leaks and for pairs that were never seen, which takes several times as many samples.

python benchmarks/text_record.py PREPARED_SET MODEL   (MODEL.safetensors is read, MODEL.json written)
"""

import sys

from prodgen_jax import evaluate, open_prepared, open_run
from prodgen_jax.evaluation.control import control_network
from prodgen_jax.evaluation.runs import draw_asked, write_record

data, model = sys.argv[1:]
prepared = open_prepared(data)
images, asked = draw_asked(open_run(f"{model}.safetensors"), prepared, 1000, 0)
record = evaluate(images, prepared, seed=0, asked=asked, judge=control_network(prepared))
write_record(f"{model}.json", record)
