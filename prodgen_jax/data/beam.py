"""Apache Beam, for photos that are too many for one machine; TFDS runs it, and nothing here needs TensorFlow for it.

Beam's runner decides where the work is done: `runner=DirectRunner` here, `runner=FlinkRunner,flink_master=HOST:8081` or
`runner=DataflowRunner,project=...` on a cluster, whose machines need this package and must see the photos and the
folder that is written at the same paths. Never required: `pip install 'prodgen-jax[beam]'`.
"""

from collections.abc import Callable, Sequence

from prodgen_jax.errors import InputError


def options_of(beam: str | None):
    """`"runner=DirectRunner,direct_num_workers=2"` -> Beam's PipelineOptions; None -> None.

    InputError if Beam is not installed, or the runner is not known.
    """
    if beam is None:
        return None
    try:
        from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions
        from apache_beam.runners import create_runner
    except ImportError as error:
        raise InputError("beam: Apache Beam is not installed; pip install 'prodgen-jax[beam]'") from error
    options = PipelineOptions([f"--{option.strip()}" for option in beam.split(",") if option.strip()])
    try:
        create_runner(options.view_as(StandardOptions).runner or "DirectRunner")
    except (ValueError, ImportError, AttributeError) as error:
        raise InputError(f"beam: '{beam}': {str(error).splitlines()[0]}; as in runner=DirectRunner") from error
    return options


def making(items: Sequence, opener: Callable[[], Callable[[object], dict]]):
    """The PTransform whose elements are `(i, opener()(items[i]))`; each worker calls `opener` once."""
    import apache_beam as beam

    class Make(beam.DoFn):
        def setup(self):
            self.make = opener()

        def process(self, numbered):
            key, item = numbered
            yield key, self.make(item)

    return beam.Create(list(enumerate(items))) | beam.Reshuffle() | beam.ParDo(Make())
