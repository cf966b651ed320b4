"""What writing records costs beside decoding and resizing their images alone.

`python benchmarks/writing_records.py` writes the records of the generated sample data, or of the pairs that are
named, and, in turns, only decodes and resizes the same images.
"""

import sys
import tempfile
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import click

from benchmarks.measuring import alternate, finish, ratio


@click.command(help=__doc__)
@click.option("--pairs", type=click.Path(path_type=Path), help="A CSV file of pairs.")
@click.option("--images", type=click.Path(path_type=Path), help="The folder of its images.")
@click.option("--rounds", default=5, show_default=True)
def main(pairs: Path | None, images: Path | None, rounds: int) -> None:
    """Measures and prints both."""
    from entailment.configuration.configuration import Configuration
    from entailment.data.image_paths import OK, resolve_image_paths
    from entailment.data.images import decode_images
    from entailment.data.pairs import read_pairs
    from entailment.data.sources import locate
    from entailment.records.writing import write_records
    from entailment.task import IMAGE_PATH, IMAGE_STATUS

    config = Configuration()
    size, limits = config.images.size, (config.images.max_pixels, config.images.max_decoded_bytes)
    with tempfile.TemporaryDirectory() as scratch:
        if pairs is None or images is None:
            source = locate(config.dataset, config.tweets, Path(scratch), with_images=True)
            pairs, images = source.csv, source.images
        table = read_pairs(pairs, config.task, max_text_bytes=config.ingest.max_text_bytes)
        resolved, _ = resolve_image_paths(table, images, missing="mask", max_pixels=limits[0])
        splits = resolved.assign(split="train")
        paths = [
            Path(path)
            for path_name, status_name in zip(IMAGE_PATH, IMAGE_STATUS, strict=True)
            for path, status in zip(splits[path_name], splits[status_name], strict=True)
            if status == OK
        ]

        def decode() -> None:
            for start in range(0, len(paths), 256):
                decode_images([path.read_bytes() for path in paths[start : start + 256]], size, *limits)

        sides = {
            "records written": lambda: write_records(splits, Path(scratch) / "records", config),
            "decoded and resized": decode,
        }
        seconds = alternate(sides, rounds)
        written = sum(file.stat().st_size for file in (Path(scratch) / "records").iterdir())
    medians = {side: median(values) for side, values in seconds.items()}
    print(f"{len(paths):,} images, {written / len(paths) / 1000:.1f} kB each in the records")
    for side, value in medians.items():
        print(f"{side:<20} {len(paths) / value:7,.0f} images/s")
    times = 1 / ratio(seconds, "records written", "decoded and resized")
    print(f"writing takes {times:.2f} x the time of decoding and resizing alone")
    finish("writing_records", 1 / times, medians, "s")


if __name__ == "__main__":
    main()
