"""Train ResNet-20 on Fashion-MNIST: the network that `spconvify convert` is shown with.

    python examples/train_fashion_mnist.py --data-dir DIR --out resnet20.pdparams

Eight epochs, SGD with momentum 0.9, one cycle up to a learning rate of 0.2, weight decay 5e-4,
batch 128, flips and shifts. An epoch takes minutes on a CPU; every epoch leaves a checkpoint in
--work-dir, and --resume goes on from the last one.
"""

from __future__ import annotations

import argparse
import importlib.util
from pathlib import Path

import paddle
from fashion_mnist import Augment, dataset

from spconvify.zoo.cifar import resnet20


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data-dir", type=Path, help="folder of the four IDX files (default: download)")
    parser.add_argument("--out", type=Path, default=Path("resnet20_fashion_mnist.pdparams"))
    parser.add_argument("--work-dir", type=Path, default=Path("runs/fashion_mnist"))
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--learning-rate", type=float, default=0.2, help="the cycle's peak")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--resume", action="store_true", help="go on from the last epoch in --work-dir")
    return parser.parse_args()


class EpochCheckpoint(paddle.callbacks.Callback):
    """Keep the weights, the optimizer and the number of finished epochs of the last epoch."""

    def __init__(self, work_dir: Path, first_epoch: int):
        super().__init__()
        self.work_dir, self.first_epoch = work_dir, first_epoch

    def on_epoch_end(self, epoch, logs=None):
        self.model.save(str(self.work_dir / "last"))
        (self.work_dir / "epoch").write_text(str(self.first_epoch + epoch + 1))


def main() -> None:
    args = arguments()
    args.work_dir.mkdir(parents=True, exist_ok=True)
    paddle.seed(args.seed)
    train = dataset("train", args.data_dir, Augment(args.seed))
    test = dataset("test", args.data_dir)

    network = resnet20(num_classes=10, in_channels=1)
    model = paddle.Model(network)
    steps = len(train) // args.batch_size
    schedule = paddle.optimizer.lr.OneCycleLR(args.learning_rate, args.epochs * steps + 1)
    optimizer = paddle.optimizer.Momentum(
        schedule, momentum=0.9, parameters=network.parameters(), weight_decay=5e-4
    )
    model.prepare(optimizer, paddle.nn.CrossEntropyLoss(), paddle.metric.Accuracy())
    done = 0
    if args.resume and (args.work_dir / "epoch").exists():
        done = int((args.work_dir / "epoch").read_text())
        model.load(str(args.work_dir / "last"))

    callbacks = [EpochCheckpoint(args.work_dir, done)]
    if importlib.util.find_spec("visualdl"):
        callbacks.append(paddle.callbacks.VisualDL(str(args.work_dir / "visualdl")))
    else:
        print("VisualDL isn't installed: no curves are logged (pip install visualdl)")
    loader = paddle.io.DataLoader(train, batch_size=args.batch_size, shuffle=True, drop_last=True)
    test_loader = paddle.io.DataLoader(test, batch_size=500)
    model.fit(
        loader, test_loader, epochs=args.epochs - done, verbose=1, callbacks=callbacks, log_freq=20
    )

    accuracy = model.evaluate(test_loader, verbose=0)["acc"]
    print(f"top-1 on {len(test):,} test images: {100 * accuracy:.2f} %")
    paddle.save(network.state_dict(), str(args.out))
    print(f"saved {args.out}")


if __name__ == "__main__":
    main()
