"""The transformer of tables."""

from concurrent.futures import ThreadPoolExecutor
from itertools import combinations
from numbers import Integral

import numpy as np
import scipy.sparse as sp
from joblib import effective_n_jobs
from sklearn import get_config
from sklearn.base import BaseEstimator, TransformerMixin, _fit_context
from sklearn.utils._param_validation import Interval, StrOptions

from . import _columns
from .tables import Table

# With fewer rows threads take longer than they save.
LEAST_ROWS_OF_A_THREAD = 2048


class ColumnHasher(TransformerMixin, BaseEstimator):
    """Hash the columns of a table to the columns of a sparse matrix.

    Each category becomes a one, in the column of the matrix that the hash of
    ``f"{column}={value}"`` tells, as FeatureHasher does it with ``alternate_sign=False``. Crosses
    of columns are made while rows are written. Nothing is learned from rows: `transform` needs no
    `fit`, takes values that it has not seen before, and gives a value the same column of the matrix
    in each chunk of a stream.

    Parameters
    ----------
    n_features : int, default=2**20
        Number of columns of the matrix.
    interactions : "all", list of tuples of str, list of str or None, default=None
        Crosses of columns, whose value is the product of the columns' values. Each tuple names two
        columns or more. A list of names stands for all pairs of these columns, and "all" for all
        pairs of columns.
    numeric : {"value", "category", "log_bins"} or dict, default="value"
        What numbers are, for all columns or by column; those that a dict does not name are "value".

        - "value": the number, in the matrix column of the hash of the table column's name.
        - "category": a category. 7, 7.0 and "7" are the same.
        - "log_bins": a category for each value of ``floor(log(x) ** 2)``, or of ``floor(x)`` up to
          2, for counts.

        Whether a column has numbers is told by its type: strings, objects, booleans and
        categoricals are categories, unless a dict names them.
    missing : {"own", "ignore"}, default="own"
        Whether missing values (None, NaN, NA, nulls) have a feature of their column, or none.
    dtype : {np.float64, np.float32}, default=np.float64
        Of the matrix.
    n_jobs : int or None, default=None
        Threads that share the rows. None means one. No bit of the matrix depends on it.

    Attributes
    ----------
    n_features_in_ : int
        Number of columns of the table that `fit` has seen.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Their names, if all are strings. After `fit`, `transform` wants the same columns, in any
        order.

    See Also
    --------
    TextHasher : Hashes the words of documents.
    sklearn.preprocessing.OneHotEncoder : Keeps all categories, so that columns have names.

    Notes
    -----
    The matrix is CSR with int32 columns, sorted, where equal columns of a row are added up. Values
    of 0 are not stored. There is no `get_feature_names_out`, as in FeatureHasher, and so no
    `set_output`; `explain` names features.

    Examples
    --------
    >>> import numpy as np
    >>> from sk_adaptive import ColumnHasher
    >>> table = np.array([["blue", "large"], ["red", "large"]])
    >>> ColumnHasher(interactions="all").transform(table).indices
    array([ 385327,  811603, 1012499,   98482,  231821,  385327], dtype=int32)
    """

    _parameter_constraints = {
        "n_features": [Interval(Integral, 1, np.iinfo(np.int32).max, closed="both")],
        "interactions": [StrOptions({"all"}), list, tuple, None],
        "numeric": [StrOptions(set(_columns.ROLES)), dict],
        "missing": [StrOptions({"own", "ignore"})],
        "dtype": "no_validation",
        "n_jobs": [Integral, None],
    }

    def __init__(
        self,
        n_features=2**20,
        *,
        interactions=None,
        numeric="value",
        missing="own",
        dtype=np.float64,
        n_jobs=None,
    ):
        self.n_features = n_features
        self.interactions = interactions
        self.numeric = numeric
        self.missing = missing
        self.dtype = dtype
        self.n_jobs = n_jobs

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Check the parameters, and remember the names of the columns.

        Parameters
        ----------
        X : table
            As in `transform`, with at least one row.
        y : Ignored
            Not used.

        Returns
        -------
        self : object
        """
        table = Table(X)
        if not table.n_rows:
            raise ValueError("the table has 0 rows while a minimum of 1 is required.")
        self._prepare(table)
        self.n_features_in_ = len(table.names)
        if table.has_names:
            self.feature_names_in_ = np.array(table.names, dtype=object)
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_
        return self

    def transform(self, X):
        """Hash a table.

        Parameters
        ----------
        X : table
            DataFrame of pandas or polars, Table or RecordBatch of pyarrow, any other object that
            exports Arrow's C stream, or 2-d array of numbers, strings or objects, whose columns are
            called "x0", "x1", ....

        Returns
        -------
        X_out : CSR matrix of shape (n_rows, n_features)
        """
        self._validate_params()
        table = Table(X)
        self._check_names(table)
        ends, members = self._prepare(table)
        n_rows, width = table.n_rows, len(table.columns) + len(ends) - 1
        indices, data = np.empty(n_rows * width, np.int32), np.empty(n_rows * width, self.dtype)
        row_ends = np.zeros(n_rows + 1, np.int64)
        n_threads = min(effective_n_jobs(self.n_jobs), n_rows // LEAST_ROWS_OF_A_THREAD + 1)
        n_entries = 0
        with ThreadPoolExecutor(n_threads, "sk_adaptive") as pool:
            run = pool.map if n_threads > 1 else map
            pieces = [piece for pieces in table.columns for piece in pieces]
            list(run(_columns.Column.hash_dictionary, pieces))
            for first, n_rows_here, columns in table.batches():
                for column in columns:
                    column.hash_objects()
                cuts = [n_rows_here * k // n_threads for k in range(n_threads + 1)]

                def write(start, stop, at=n_entries, first=first, columns=columns):
                    return _columns.write_rows(
                        columns,
                        ends,
                        members,
                        self.n_features,
                        start,
                        stop,
                        indices[at + start * width :],
                        data[at + start * width :],
                        row_ends[first + start + 1 :],
                    )

                try:
                    written = list(run(write, cuts[:-1], cuts[1:]))
                except _columns.InfiniteNumber as error:
                    row, name = error.args
                    raise ValueError(
                        f"column {name!r}, row {first + row}: the number is infinite"
                    ) from None
                begin = n_entries
                for start, stop, n in zip(cuts, cuts[1:], written, strict=False):
                    # what threads have written moves up to the part before it
                    at = begin + start * width
                    if at > n_entries:
                        indices[n_entries : n_entries + n] = indices[at : at + n]
                        data[n_entries : n_entries + n] = data[at : at + n]
                    row_ends[first + start + 1 : first + stop + 1] += n_entries
                    n_entries += n
        if n_entries < 0.9 * len(indices):
            indices, data = indices[:n_entries].copy(), data[:n_entries].copy()
        return as_csr(data[:n_entries], indices[:n_entries], row_ends, self.n_features)

    def explain(self, model, X, n=20):
        """Tell what the largest coefficients are called, by hashing rows again.

        Parameters
        ----------
        model : estimator, or array of shape (n_features,) or (n_outputs, n_features)
            An estimator with `coef_`, or coefficients.
        X : table
            Rows in which the features occur, such as a sample of those that the model has learned.
        n : int, default=20
            How many features to name.

        Returns
        -------
        list of (str, float or array of shape (n_outputs,))
            Names, such as "site=7" or "site=7 & ad=3", and coefficients, the largest first.
            Features that share a column of the matrix are joined by " or ".
        """
        coef = np.atleast_2d(getattr(model, "coef_", model))
        if coef.shape[1] != self.n_features:
            raise ValueError(
                f"the model has {coef.shape[1]} features, and ColumnHasher has "
                f"n_features={self.n_features}"
            )
        rows = self.transform(X).tocsc()
        seen = np.flatnonzero(np.diff(rows.indptr))
        largest = seen[np.argsort(-np.abs(coef[:, seen]).max(axis=0), kind="stable")[:n]]
        names = {column: {} for column in largest.tolist()}
        # the first rows of each: more of them would tell of rarer values that share its column
        wanted = {
            row
            for column in names
            for row in rows.indices[rows.indptr[column] : rows.indptr[column + 1]][:10].tolist()
        }
        table = Table(X)
        ends, members = self._prepare(table)
        crosses = np.split(members, ends[1:-1]) if len(members) else []
        for first, n_rows, columns in table.batches():
            for row in sorted(row - first for row in wanted if first <= row < first + n_rows):
                features = [column.feature(row) for column in columns]
                for cross in crosses:
                    parts, hashes = zip(*(features[k] for k in cross), strict=True)
                    features.append((" & ".join(parts), _columns.hash_cross(hashes)))
                for name, hash in features:
                    column = _columns.column_of(hash, self.n_features)
                    if column in names:
                        names[column][name] = None
        return [
            (" or ".join(found), coef[0, column].item() if len(coef) == 1 else coef[:, column])
            for column, found in names.items()
        ]

    def penalty_factor(self, factors, X):
        """Make the `penalty_factor` of a model of factors by column.

        Parameters
        ----------
        factors : dict of str to float
            By the name of a column of the table; 'interactions' is that of all crosses. Others are
            1.
        X : table
            Rows in which the features occur, such as those that the model is to learn. A feature
            that does not occur has the factor 1.

        Returns
        -------
        penalty_factor : float64 ndarray of shape (n_features,)
            Where features share a column of the matrix, the least of their factors; but that of a
            column, if it shares with crosses.

        Examples
        --------
        >>> import numpy as np
        >>> from sk_adaptive import ColumnHasher
        >>> table = np.array([["blue", "large"], ["red", "large"]])
        >>> hasher = ColumnHasher(n_features=8, interactions="all")
        >>> hasher.penalty_factor({"x0": 2.0, "interactions": 10.0}, table)
        array([ 1.,  1.,  2.,  2.,  1., 10.,  1.,  1.])
        """
        self._validate_params()
        table = Table(X)
        self._check_names(table)
        ends, members = self._prepare(table)
        unknown = [name for name in factors if name not in (*table.names, "interactions")]
        if unknown:
            raise ValueError(f"factors names {unknown[0]!r}, which is no column of the table")
        of_columns = np.full(self.n_features, np.inf)
        crossed = np.zeros(self.n_features, bool)
        for piece in (piece for pieces in table.columns for piece in pieces):
            piece.hash_dictionary()

        def features(n_rows, columns, ends, members):
            width = n_rows * (len(columns) + len(ends) - 1)
            indices, data = np.empty(width, np.int32), np.empty(width, self.dtype)
            row_ends = np.empty(n_rows, np.int64)
            rows = 0, n_rows, indices, data, row_ends
            n = _columns.write_rows(columns, ends, members, self.n_features, *rows)
            return indices[:n]

        for _, n_rows, columns in table.batches():
            for column in columns:
                column.hash_objects()
            crossed[features(n_rows, columns, ends, members)] = True
            for name, column in zip(table.names, columns, strict=True):
                found = features(n_rows, [column], ends[:1], members[:0])
                of_columns[found] = np.minimum(of_columns[found], factors.get(name, 1.0))
        of_crosses = np.where(crossed, factors.get("interactions", 1.0), 1.0)
        return np.where(of_columns < np.inf, of_columns, of_crosses)

    def _check_names(self, table):
        if not hasattr(self, "n_features_in_"):
            return
        if hasattr(self, "feature_names_in_") and table.has_names:
            known = set(self.feature_names_in_)
            lacking = [name for name in self.feature_names_in_ if name not in table.names]
            new = [name for name in table.names if name not in known]
            if lacking or new:
                raise ValueError(
                    "the columns are not those of fit:"
                    + (f" {_listed(lacking)} missing" if lacking else "")
                    + (", and" if lacking and new else "")
                    + (f" {_listed(new)} not seen at fit time" if new else "")
                )
        elif len(table.names) != self.n_features_in_:
            raise ValueError(
                f"X has {len(table.names)} features, but ColumnHasher is expecting "
                f"{self.n_features_in_} features as input"
            )
        elif hasattr(self, "feature_names_in_"):
            raise ValueError("X has no column names, but ColumnHasher was fitted with column names")

    def _prepare(self, table):
        """Say to each column what is made of it; return where crosses end, and their columns."""
        if self.dtype not in (np.float64, np.float32):
            raise ValueError(f"dtype must be np.float64 or np.float32, got {self.dtype!r}")
        of_numbers, by_column = self.numeric, {}
        if isinstance(self.numeric, dict):
            of_numbers = "value"
            by_column = {str(name): role for name, role in self.numeric.items()}
        for name, role in by_column.items():
            if role not in _columns.ROLES:
                raise ValueError(
                    f"numeric[{name!r}] must be one of {list(_columns.ROLES)}, got {role!r}"
                )
            if name not in table.names:
                raise ValueError(f"numeric names {name!r}, which is no column of the table")
        for k, name in enumerate(table.names):
            role = by_column.get(name)
            pieces = table.columns[k]
            if role is None:
                role = of_numbers if all(piece.is_number for piece in pieces) else "category"
            elif role != "category":
                table.columns[k] = pieces = [_as_numbers(piece, name, role) for piece in pieces]
            for piece in pieces:
                piece.prepare(name, role, self.missing == "ignore")
        crosses = self._crosses(table.names)
        ends = np.cumsum([0, *map(len, crosses)], dtype=np.int32)
        return ends, np.array([k for cross in crosses for k in cross], dtype=np.int32)

    def _crosses(self, names):
        """The columns of each cross, by number."""
        wanted = self.interactions
        if wanted is None:
            return []
        if isinstance(wanted, str):
            wanted = names
        number = {name: k for k, name in enumerate(names)}
        if not any(isinstance(cross, list | tuple) for cross in wanted):
            wanted = combinations(wanted, 2)
        found = {}
        for cross in wanted:
            if not isinstance(cross, list | tuple):
                raise ValueError(f"interactions has both names and tuples of names: {cross!r}")
            for name in cross:
                if str(name) not in number:
                    raise ValueError(
                        f"interactions names {name!r}, which is no column of the table"
                    )
            cross = tuple(number[str(name)] for name in cross)
            if len(cross) < 2 or len(set(cross)) < len(cross):
                raise ValueError(
                    "interactions needs two names or more in a tuple, each once: "
                    f"{[names[k] for k in cross]}"
                )
            found[frozenset(cross)] = cross
        return list(found.values())

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        tags.input_tags.allow_nan = True
        tags.requires_fit = False
        return tags


def _listed(names):
    return ", ".join(map(repr, names[:5])) + (
        f" and {len(names) - 5} more" if len(names) > 5 else ""
    )


def _as_numbers(piece, name, role):
    try:
        return piece.as_numbers()
    except (TypeError, ValueError):
        raise ValueError(
            f"column {name!r} has values that are no numbers, for numeric={role!r}"
        ) from None


def as_csr(data, indices, indptr, n_features):
    """The matrix of rows in canonical form, of the kind that scikit-learn is told to return."""
    n_entries = int(indptr[-1])
    indptr = indptr.astype(np.int32 if n_entries <= np.iinfo(np.int32).max else np.int64)
    interface = get_config().get("sparse_interface", "spmatrix")
    kind = sp.csr_array if interface == "sparray" else sp.csr_matrix
    X = kind((data, indices, indptr), shape=(len(indptr) - 1, n_features))
    X.has_canonical_format = True
    return X
