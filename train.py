"""Fine-tune a StyleGAN2 on a set of pictures: python train.py dataset=folder dataset.path=PICTURES pretrained=demo."""

from typing import Any

from src.cli import script


@script("train")
def main(config: dict[str, Any]) -> float | None:
    """Train as `conf/train.yaml` and the command line say; the lowest KID is what Hydra's sweepers minimise."""
    from src.tracking import lowest_kid  # after the options are checked: a wrong one is answered at once
    from src.training import train

    return lowest_kid(train(config))


if __name__ == "__main__":
    main()
