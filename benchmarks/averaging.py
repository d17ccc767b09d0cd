"""What averaging does to the test loss, with the defaults: `average=True`, and a later begin.

Log loss for classification, 1 - R2 for regression; less is better. In brackets the epochs of
the last weights. Training is the same whatever is averaged; which epoch early stopping returns is
decided by what is averaged. It needs the folder of the real data sets.
"""

import warnings

import _data
from defaults import SETS, combinations, head, make, row, short
from sklearn.base import clone


def main():
    parser = _data.parser(__doc__)
    parser.add_argument("--sets", nargs="+", choices=SETS)
    arguments = parser.parse_args()
    if arguments.data is None:
        parser.error(f"give the folder of the data by --data or {_data.FOLDER_VARIABLE}")
    warnings.simplefilter("ignore")  # of convergence: the epochs are in the table
    head("", "optimizer", "last", "all", "second half", "last epoch")
    better = {}
    names = arguments.sets or [name for name in SETS if name != "20news"]  # takes too long
    names = names[:1] if arguments.quick else names
    for name in names:
        _, (X_train, y_train, X_test, y_test) = _data.load_split(name, arguments)
        for optimizer, update in combinations():
            last = make(name, optimizer=optimizer, sparse_update=update)
            last.fit(X_train, y_train)
            n_epochs = last.best_iteration_
            steps = (last.t_ - 1) // n_epochs  # of an epoch
            begins = [1, n_epochs // 2 * steps + 1, (n_epochs - 1) * steps + 1]
            losses = [_data.loss_of(last, X_test, y_test)]
            for begin in begins:
                model = clone(last).set_params(average=begin).fit(X_train, y_train)
                losses.append(_data.loss_of(model, X_test, y_test))
            first, *others = (f"{loss:.4f}" for loss in losses)
            row(name, short(optimizer, update), f"{first} ({n_epochs})", *others)
            counts = better.setdefault(short(optimizer, update), [0] * len(begins))
            for k, loss in enumerate(losses[1:]):
                counts[k] += loss < losses[0]
    print(f"\nbetter than the last weights, of {len(names)} sets")
    head("", "all", "second half", "last epoch")
    for combination, counts in better.items():
        row(combination, *counts)


if __name__ == "__main__":
    main()
