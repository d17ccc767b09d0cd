"""What averaging does to the test loss, with the defaults: `average=True`, and a later begin.

Log loss for classification, 1 - R2 for regression; less is better. In brackets the epochs that
`fit` took. Training is the same whatever is averaged, so that the rows of the table differ in
nothing else. It needs the folder of the real data sets.
"""

import warnings

import _data
from defaults import SETS, combinations, estimators, show
from sklearn.base import clone


def main():
    parser = _data.parser(__doc__)
    parser.add_argument("--sets", nargs="+", help=f"names of data sets ({', '.join(SETS)})")
    arguments = parser.parse_args()
    if arguments.data is None:
        parser.error(f"give the folder of the data by --data or {_data.FOLDER_VARIABLE}")
    warnings.simplefilter("ignore")  # of convergence: the epochs are in the table
    show(["/e: exact", "", "last weights", "all steps", "second half", "last epoch"], 16)
    better = {}
    for name in arguments.sets or (SETS[:1] if arguments.quick else SETS):
        _, (X_train, y_train, X_test, y_test) = _data.load_split(name, arguments)
        make, _ = estimators(name)
        for optimizer, update in combinations():
            last = make(optimizer=optimizer, sparse_update=update, random_state=0)
            last.fit(X_train, y_train)
            steps = (last.t_ - 1) // last.n_iter_  # of an epoch
            begins = [1, last.n_iter_ // 2 * steps + 1, (last.n_iter_ - 1) * steps + 1]
            losses = [_data.loss_of(last, X_test, y_test)]
            for begin in begins:
                model = clone(last).set_params(average=begin).fit(X_train, y_train)
                losses.append(_data.loss_of(model, X_test, y_test))
            first, *others = (f"{loss:.4f}" for loss in losses)
            show([name, f"{optimizer}/{update[0]}", f"{first} ({last.n_iter_})", *others], 16)
            counts = better.setdefault(f"{optimizer}/{update[0]}", [0] * len(begins))
            for k, loss in enumerate(losses[1:]):
                counts[k] += loss < losses[0]
    for combination, counts in better.items():
        show(["better on", combination, "", *counts], 16)


if __name__ == "__main__":
    main()
