"""The transformer of documents."""

from concurrent.futures import ThreadPoolExecutor
from itertools import islice, pairwise
from numbers import Integral

import numpy as np
from joblib import effective_n_jobs
from sklearn.base import clone
from sklearn.feature_extraction.text import HashingVectorizer

from ._text import TextHashing
from .column_hasher import as_csr

# Patterns of tokens that need no regular expression: whether a token is all that is not white space
# (or characters of words), and its least length.
PATTERNS = {
    r"\w\w+": (False, 2),
    r"\w{2,}": (False, 2),
    r"\w+": (False, 1),
    r"\S+": (True, 1),
    r"\S\S+": (True, 2),
}
# Documents that are hashed before more of them are taken from an iterator.
MOST_DOCUMENTS = 1 << 14
# Characters below which threads take longer than they save.
LEAST_CHARACTERS_OF_A_THREAD = 1 << 17


class TextHasher(HashingVectorizer):
    """Hash documents to a sparse matrix: HashingVectorizer, faster.

    The matrix is HashingVectorizer's, bit for bit, for all parameters and all text. Fast are the
    analyzers "word", "char" and "char_wb" with any `ngram_range`, `lowercase`, `norm`, `binary`,
    `alternate_sign` and `stop_words`, and words by the default pattern or another simple one.
    Anything else (a `tokenizer`, a `preprocessor`, `strip_accents`, other patterns, other types) is
    done by scikit-learn's own code.

    Parameters
    ----------
    input : {'filename', 'file', 'content'}, default='content'
        What `transform` takes: names of files, files, or texts.
    encoding : str, default='utf-8'
        Of bytes.
    decode_error : {'strict', 'ignore', 'replace'}, default='strict'
        What happens to bytes that are not in this encoding.
    strip_accents : {'ascii', 'unicode'}, callable or None, default=None
        Remove accents. Not fast.
    lowercase : bool, default=True
        Whether capitals are the same as small letters.
    preprocessor : callable or None, default=None
        What is done to a text first, in place of `strip_accents` and `lowercase`. Not fast.
    tokenizer : callable or None, default=None
        What splits a text into words, in place of `token_pattern`. Not fast.
    stop_words : {'english'}, list or None, default=None
        Words to leave out.
    token_pattern : str or None, default=r"(?u)\\b\\w\\w+\\b"
        What a word is. Fast are words of at least one or two characters of words, or of all that
        is not white space.
    ngram_range : tuple (min_n, max_n), default=(1, 1)
        How many words, or characters, in a row are a feature.
    analyzer : {'word', 'char', 'char_wb'} or callable, default='word'
        What features are made of: words, characters, or characters within words. A callable is
        not fast.
    n_features : int, default=2**20
        Number of columns of the matrix.
    binary : bool, default=False
        Whether counts are 1.
    norm : {'l1', 'l2'} or None, default='l2'
        Norm of each row.
    alternate_sign : bool, default=True
        Whether the hash also tells a sign, so that features that share a column cancel out on
        average.
    dtype : type, default=np.float64
        Of the matrix. Fast are np.float64 and np.float32.
    n_jobs : int or None, default=None
        Threads that share the documents, where it is fast. None means one. No bit of the matrix
        depends on it.

    See Also
    --------
    ColumnHasher : Hashes the columns of a table.

    Examples
    --------
    >>> from sk_adaptive import TextHasher
    >>> TextHasher(n_features=2**10).transform(["see you at lunch", "free prize"]).shape
    (2, 1024)
    """

    _parameter_constraints = {
        **HashingVectorizer._parameter_constraints,
        "n_jobs": [Integral, None],
    }

    def __init__(
        self,
        *,
        input="content",
        encoding="utf-8",
        decode_error="strict",
        strip_accents=None,
        lowercase=True,
        preprocessor=None,
        tokenizer=None,
        stop_words=None,
        token_pattern=r"(?u)\b\w\w+\b",
        ngram_range=(1, 1),
        analyzer="word",
        n_features=2**20,
        binary=False,
        norm="l2",
        alternate_sign=True,
        dtype=np.float64,
        n_jobs=None,
    ):
        super().__init__(
            input=input,
            encoding=encoding,
            decode_error=decode_error,
            strip_accents=strip_accents,
            lowercase=lowercase,
            preprocessor=preprocessor,
            tokenizer=tokenizer,
            stop_words=stop_words,
            token_pattern=token_pattern,
            ngram_range=ngram_range,
            analyzer=analyzer,
            n_features=n_features,
            binary=binary,
            norm=norm,
            alternate_sign=alternate_sign,
            dtype=dtype,
        )
        self.n_jobs = n_jobs

    def transform(self, X):
        """Hash documents.

        Parameters
        ----------
        X : iterable of str or bytes
            Documents; names of files, or files, if `input` says so.

        Returns
        -------
        X_out : CSR matrix of shape (n_documents, n_features)
        """
        hashing = None if isinstance(X, str) else self._hashing()
        if hashing is None:
            return super().transform(X)
        documents, parts = iter(X), []
        n_threads = effective_n_jobs(self.n_jobs)
        with ThreadPoolExecutor(n_threads, "sk_adaptive") as pool:
            while chunk := list(islice(documents, MOST_DOCUMENTS)):
                parts += self._rows(hashing, chunk, n_threads, pool)
        if not parts:
            return super().transform([])
        indices, data, counts = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        indptr = np.concatenate([[0], np.cumsum(counts)])
        return as_csr(data, indices, indptr, self.n_features)

    def _hashing(self):
        """What hashes as the parameters say, or None if that is not fast."""
        pattern = (self.token_pattern or "").removeprefix("(?u)")
        if pattern.startswith(r"\b") and pattern.endswith(r"\b") and pattern[2:4] == r"\w":
            pattern = pattern[2:-2]
        is_fast = (
            self.preprocessor is None
            and not self.strip_accents
            and self.analyzer in ("word", "char", "char_wb")
            and (self.analyzer != "word" or (self.tokenizer is None and pattern in PATTERNS))
            and self.norm in (None, "l1", "l2")
            and self.dtype in (np.float64, np.float32)
            and all(isinstance(n, int) for n in self.ngram_range)
            and 1 <= self.ngram_range[0] <= self.ngram_range[1]
        )
        if not is_fast:
            return None
        # which also warns of stop words that no token is
        self.build_analyzer()
        stop_words = self.get_stop_words() if self.analyzer == "word" else None
        if stop_words and not all(
            isinstance(word, str) and word.isprintable() for word in stop_words
        ):
            return None
        return TextHashing(
            self.analyzer,
            PATTERNS.get(pattern, (False, 1)),
            stop_words,
            self.ngram_range,
            self.norm,
            self.dtype,
            lowercase=self.lowercase,
            binary=self.binary,
            alternate_sign=self.alternate_sign,
            n_features=self.n_features,
        )

    def _rows(self, hashing, documents, n_threads, pool):
        """Columns, values and numbers of entries of parts of the rows."""
        if self.input != "content" or not all(type(text) is str for text in documents):
            documents = [self.decode(document) for document in documents]
            documents = [str(text) if type(text) is np.str_ else text for text in documents]
        if all(type(text) is str for text in documents):
            ends = np.cumsum([len(text) for text in documents])
            n_threads = min(n_threads, int(ends[-1]) // LEAST_CHARACTERS_OF_A_THREAD + 1)
            cuts = np.searchsorted(ends, ends[-1] * np.arange(1, n_threads) / n_threads).tolist()
            cuts = [0, *cuts, len(documents)]
            groups = [documents[i:j] for i, j in pairwise(cuts) if i < j]
            parts = list((pool.map if len(groups) > 1 else map)(hashing.rows, groups))
            if None not in parts:
                return [(*arrays, np.diff(ends, prepend=0)) for *arrays, ends in parts]
        # which knows what to say of them
        X = super(TextHasher, clone(self).set_params(input="content")).transform(documents)
        return [(X.indices, X.data, np.diff(X.indptr))]
