"""Test loss against the coefficients kept, of AdaGrad and FTRL-Proximal with an L1 penalty.

Both learn the same rows for five epochs, at the automatic rate and with the same strengths. "kept"
is the share of the features seen whose coefficient is not zero. "fewer" is how many times fewer
FTRL keeps, "loss" the percentage by which its test log loss is above AdaGrad's. The last line of a
set has the strength at which the most is gained: AdaGrad keeps between a tenth and nine tenths
there, and FTRL's loss is at most half a percent higher. With --out both curves are drawn.

The last table has what is saved of a model of 2^22 features: its pickle before and after
`strip_optimizer`, in megabytes.
"""

import pickle
from pathlib import Path

import _data
import numpy as np
from _figures import FEW, pyplot, save

from sk_adaptive import AdaptiveSGDClassifier

SETS = ("criteo80k", "mr", "clickbait", "frappe86k")
STRENGTHS = 10 ** np.arange(-6.0, -2.4, 0.25)
EPOCHS = 5
# Where strengths are compared, and by how much FTRL's loss may be higher.
LEAST, MOST, ROOM = 0.1, 0.9, 0.005


def trained(split, optimizer, alpha, seed):
    model = AdaptiveSGDClassifier(
        optimizer=optimizer,
        penalty="l1",
        alpha=alpha,
        max_iter=EPOCHS,
        tol=None,
        early_stopping=False,
        random_state=seed,
    )
    return model.fit(split.X_train, split.y_train)


def curve(split, optimizer, strengths, seeds):
    """Of each strength the share kept and the test loss, means over the seeds."""
    n_seen = np.count_nonzero(split.X_train.getnnz(axis=0))
    points = []
    for alpha in strengths:
        models = [trained(split, optimizer, alpha, seed) for seed in range(seeds)]
        kept = np.mean([np.count_nonzero(model.coef_) for model in models]) / n_seen
        loss = np.mean([_data.loss_of(model, split.X_test, split.y_test) for model in models])
        points.append((kept, loss))
    return np.array(points)


def compare(name, split, strengths, seeds):
    """Print both curves, and return them."""
    curves = {one: curve(split, one, strengths, seeds) for one in ("adagrad", "ftrl")}
    best = None
    pairs = zip(strengths, curves["adagrad"], curves["ftrl"], strict=True)
    for alpha, (kept, loss), (fewer, other) in pairs:
        ratio = kept / fewer if fewer else np.inf
        excess = 100 * (other / loss - 1)
        print(
            f"{name:12}{alpha:10.2e}{100 * kept:9.1f} %{loss:8.4f}{100 * fewer:9.1f} %"
            f"{other:8.4f}{ratio:8.1f}{excess:+8.2f} %",
            flush=True,
        )
        if LEAST <= kept <= MOST and excess <= 100 * ROOM and (best is None or ratio > best[0]):
            best = ratio, alpha, excess
    if best is None:
        print(f"# {name}: no strength at which AdaGrad keeps some, and FTRL loses nothing")
    else:
        print(f"# {name}: {best[0]:.1f} times fewer at {best[1]:.2e}, loss {best[2]:+.2f} %")
    return curves


def sizes(quick):
    """Of models of hashed clicks."""
    X, y = _data.click_like(5000 if quick else 200_000, 1 << 22)
    n_seen = np.count_nonzero(X.getnnz(axis=0))
    print(f"\n# {X.shape[0]} rows with {n_seen} of {X.shape[1]} features")
    print(f"{'model':22}{'float64':>10}{'stripped':>10}{'float32':>10}{'stripped':>10}{'kept':>10}")
    for optimizer, penalty, alpha in [
        ("adagrad", "l2", "auto"),
        ("adam", "l2", "auto"),
        ("adagrad", "l1", 1e-5),
        ("ftrl", "l1", 1e-5),
    ]:
        cells = []
        for dtype in (np.float64, np.float32):
            model = AdaptiveSGDClassifier(optimizer=optimizer, penalty=penalty, alpha=alpha)
            model.partial_fit(X.astype(dtype), y, classes=[0, 1])
            cells.append(len(pickle.dumps(model)) / 1e6)
            cells.append(len(pickle.dumps(model.strip_optimizer())) / 1e6)
        name = f"{optimizer}, {penalty}"
        print(f"{name:22}" + "".join(f"{cell:10.3f}" for cell in cells), end="")
        print(f"{model.coef_.nnz:10d}", flush=True)


def draw(results, folder):
    figure, axes = pyplot().subplots(2, 2, figsize=(9, 7), layout="constrained")
    labels = {"adagrad": "AdaGrad with L1", "ftrl": "FTRL-Proximal with L1"}
    for axis, (name, curves) in zip(axes.flat, results.items(), strict=False):
        for optimizer, colour in (("adagrad", FEW[0]), ("ftrl", FEW[5])):
            kept, loss = curves[optimizer].T
            axis.semilogx(100 * kept, loss, "o-", color=colour, label=labels[optimizer], ms=3)
        points = np.vstack([*curves.values()])
        # strengths that ruin the predictions are out of the picture
        least, most = points[:, 1].min(), 1.3 * points[:, 1].min()
        shown = points[(points[:, 1] < most) & (points[:, 0] > 0)]
        left, right = 80 * shown[:, 0].min(), 120 * shown[:, 0].max()
        axis.set(title=name, xlim=(left, right), ylim=(least - 0.03 * (most - least), most))
        axis.grid(alpha=0.25)
    axes[0, 0].legend()
    for axis in axes[-1]:
        axis.set_xlabel("coefficients kept, % of the features seen")
    for axis in axes[:, 0]:
        axis.set_ylabel("test log loss")
    folder.mkdir(parents=True, exist_ok=True)
    save(figure, folder / "sparsity.svg")


def main():
    parser = _data.parser(__doc__)
    parser.add_argument("--sets", nargs="+", default=SETS, help=f"of {', '.join(SETS)}")
    parser.add_argument("--seeds", type=int, default=3, help="orders of the rows (3)")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="where to draw sparsity.svg")
    arguments = parser.parse_args()
    strengths = STRENGTHS[::4] if arguments.quick else STRENGTHS
    print(f"# {EPOCHS} epochs, eta0 and eps automatic, float64")
    print(f"{'set':12}{'alpha':>10}{'adagrad':>11}{'loss':>8}{'ftrl':>11}{'loss':>8}", end="")
    print(f"{'fewer':>8}{'loss':>10}")
    results = {}
    for name in arguments.sets:
        shown, split = _data.load_split(name, arguments)
        seeds = 1 if arguments.quick else arguments.seeds
        results[shown] = compare(shown, split, strengths, seeds)
    sizes(arguments.quick)
    if arguments.out is not None:
        draw(results, arguments.out)


if __name__ == "__main__":
    main()
