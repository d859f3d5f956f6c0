"""spconvify recover: train a converted checkpoint to do what the original one does."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from spconvify.cli import image_options as io
from spconvify.cli import options as o
from spconvify.cli import values as v
from spconvify.recovery import recipe as defaults

EPILOG = """
[bold]Examples[/bold]

  spconvify recover sp.pdparams --teacher model.pdparams --data images/ --out tuned.pdparams

  spconvify recover sp.pdparams --teacher model.pdparams --data train.npz --eval val.npz --steps 2000

  python -m paddle.distributed.launch --nproc_per_node 2 $(which spconvify) recover …

Killed and started again with the same options, it goes on from its last checkpoint. A step costs one
forward of the original and one forward and backward of the converted network: a smaller --batch-size
makes it shorter.
"""
TRAINING = "Training"


def _option(*names: str, help: str, **more):
    return typer.Option(*names, help=help, rich_help_panel=TRAINING, **more)


def recover(
    student: Annotated[str, typer.Argument(metavar="CHECKPOINT", help="The converted checkpoint.")],
    teacher: Annotated[
        str, typer.Option("--teacher", metavar="FILE", help="The checkpoint that it was converted from.")
    ],
    data: Annotated[
        Path, typer.Option("--data", metavar="PATH", help="Training images: a folder, .npy or .npz.")
    ],
    arch: o.Arch = None,
    weights: Annotated[
        Optional[str],
        typer.Option(
            "--weights", metavar="PREFIX", help="Take the teacher's keys with this prefix alone."
        ),
    ] = None,
    ignore: Annotated[
        Optional[list[str]],
        typer.Option("--ignore", metavar="GLOB", help="Leave out keys of the teacher; repeatable."),
    ] = None,
    out: Annotated[
        Optional[Path],
        typer.Option(
            "--out",
            "-o",
            metavar="FILE",
            parser=v.parse_file,
            help="The result (default: NAME-recovered.SUFFIX).",
        ),
    ] = None,
    steps: Annotated[
        Optional[int],
        _option("--steps", min=1, max=10**8, help=f"Batches (default: {defaults.DEFAULT_STEPS})."),
    ] = None,
    epochs: Annotated[
        Optional[int],
        _option("--epochs", min=1, max=10**6, help="Passes over the images, instead of --steps."),
    ] = None,
    batch_size: Annotated[
        int, _option("--batch-size", min=1, max=1 << 16, help="Images in a step.")
    ] = defaults.DEFAULT_BATCH_SIZE,
    learning_rate: Annotated[
        float, _option("--learning-rate", help="Its peak.")
    ] = defaults.DEFAULT_LEARNING_RATE,
    temperature: Annotated[
        float, _option("--temperature", help="Of the softened logits.")
    ] = defaults.DEFAULT_TEMPERATURE,
    loss: Annotated[
        Optional[str],
        _option(
            "--loss",
            metavar="NAME",
            help="kl, mse, or module:function of what student and teacher return (default: kl for "
            "scores of classes, mse for pictures and other values).",
        ),
    ] = None,
    axis: Annotated[
        Optional[int], _option("--axis", help="Of the classes, for kl (default: found from the shapes).")
    ] = None,
    feature_weight: Annotated[
        float, _option("--feature-weight", help="How much the replaced layers' outputs count.")
    ] = defaults.DEFAULT_FEATURE_WEIGHT,
    label_weight: Annotated[
        float, _option("--label-weight", help="How much labels count, if the data has some.")
    ] = 0.0,
    augment: Annotated[
        bool, _option("--augment/--no-augment", help="Mirror and shift the images.")
    ] = True,
    seed: Annotated[int, _option("--seed", min=0, help="Of the order and the augmentation.")] = 0,
    checkpoint: Annotated[
        Optional[Path],
        _option(
            "--checkpoint",
            metavar="FILE",
            parser=v.parse_file,
            help="Where to go on from (default: beside --out).",
        ),
    ] = None,
    log_dir: Annotated[
        Optional[Path], _option("--log-dir", metavar="DIR", help="Folder for VisualDL's curves.")
    ] = None,
    eval: io.Eval = None,
    resize: io.Resize = None,
    mean: io.Mean = None,
    std: io.Std = None,
    normalize: io.Normalize = None,
    bgr: io.Bgr = False,
    input: o.Input = None,
    format: Annotated[str, typer.Option("--format", help="table or json.", rich_help_panel=o.OUTPUT)] = (
        "table"
    ),
    force: o.Force = False,
    quiet: o.Quiet = False,
    debug: o.Debug = False,
) -> None:
    """Get the last points back: distil a converted network from the original one, without labels."""
    from spconvify.checkpoint import SUFFIXES, check_output
    from spconvify.cli.data import Data
    from spconvify.cli.inputs import parse_inputs
    from spconvify.cli.reading import inputs_of
    from spconvify.cli.recovery_job import Networks, Output, Training, run, unknown_yet
    from spconvify.cli.recovery_summary import show
    from spconvify.data.reading import check_exists
    from spconvify.errors import ArgumentError
    from spconvify.files.places import check_is_in_none, place_to_fill
    from spconvify.recovery.launched import launched
    from spconvify.recovery.recipe import Recipe
    from spconvify.recovery.schedule import Schedule
    from spconvify.zoo.custom import module_files

    v.check_format(format, ("table", "json"))
    launched()  # finds wrong variables before anything is read
    if steps is not None and epochs is not None:
        raise ArgumentError("--steps and --epochs contradict each other; give one of them")
    recipe = Recipe(
        steps=steps or defaults.DEFAULT_STEPS,
        batch_size=batch_size,
        learning_rate=learning_rate,
        temperature=temperature,
        feature_weight=feature_weight,
        label_weight=label_weight,
        seed=seed,
        # A function is imported when Paddle is there.
        loss=unknown_yet if loss and ":" in loss else loss,
        axis=axis,
    )
    recipe.check()
    parse_inputs(input).one("recover")
    source = Path(student)
    v.check_has_name(source)
    suffix = source.suffix if source.suffix in SUFFIXES else SUFFIXES[0]
    target = out or source.with_name(f"{source.stem}-recovered{suffix}")
    labelled, metric = v.parse_eval(eval)
    modules = {f"the module {name}": path for name, path in module_files(loss).items()}
    inputs = inputs_of(student, arch, teacher=teacher, data=data, eval=labelled, metric=metric)
    inputs = {**inputs, **modules}
    check_output(target, force, inputs)
    kept = checkpoint or target.with_name(f"{target.stem}-recovery.safetensors")
    check_output(kept, True, {**inputs, "--out": target})
    if log_dir is not None:
        check_is_in_none(log_dir, f"--log-dir {log_dir}", {"--out": target, "--checkpoint": kept})
    Schedule(checkpoint=kept, log_dir=log_dir).check()
    place, place_kept = place_to_fill(target, force), place_to_fill(kept, True)
    images = Data(
        eval=labelled,
        resize=v.parse_size(resize),
        mean=v.parse_numbers("--mean", mean),
        std=v.parse_numbers("--std", std),
        bgr=bgr,
        metric=metric,
        normalize=normalize,
    )
    images.check_labelled()
    check_exists(data)
    remove = checkpoint is None
    training = Training(data, recipe, epochs, augment, kept, place_kept, log_dir, remove, loss)
    summary = run(
        Networks(student, teacher, arch, input, weights, ignore or ()),
        training,
        images,
        Output(target, place, force),
        quiet,
    )
    show(summary, format)
