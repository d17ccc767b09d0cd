"""What a search predicts: what its best estimator does, which may take more than X."""

from sklearn.model_selection import GridSearchCV
from sklearn.utils.metaestimators import available_if


def _as_in_grid_search(name):
    def check(search):
        try:
            return callable(getattr(super(PredictsBest, search), name))
        except AttributeError as error:
            # which says in what GridSearchCV lacks it
            raise error.__cause__ or error from None

    return available_if(check)


class PredictsBest(GridSearchCV):
    """GridSearchCV whose predictions pass on what the best estimator takes beside X."""

    @_as_in_grid_search("predict")
    def predict(self, X, **params):
        """Predict with the best estimator.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features), or what a pipeline takes
            Rows.
        **params : dict of str to object
            Of the best estimator's method, as `offset`.

        Returns
        -------
        y : ndarray of shape (n_samples,), or array or CSR matrix (n_samples, n_outputs)
        """
        return self._ask("predict", X, params)

    @_as_in_grid_search("predict_proba")
    def predict_proba(self, X, **params):
        """Estimate probabilities with the best estimator.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features), or what a pipeline takes
            Rows.
        **params : dict of str to object
            See `predict`.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
        """
        return self._ask("predict_proba", X, params)

    @_as_in_grid_search("predict_log_proba")
    def predict_log_proba(self, X, **params):
        """Compute the logarithms of probabilities with the best estimator.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features), or what a pipeline takes
            Rows.
        **params : dict of str to object
            See `predict`.

        Returns
        -------
        log_probabilities : ndarray of shape (n_samples, n_classes)
        """
        return self._ask("predict_log_proba", X, params)

    @_as_in_grid_search("decision_function")
    def decision_function(self, X, **params):
        """Compute raw predictions with the best estimator.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features), or what a pipeline takes
            Rows.
        **params : dict of str to object
            See `predict`.

        Returns
        -------
        raw_predictions : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        """
        return self._ask("decision_function", X, params)

    def _ask(self, name, X, params):
        if not params:
            return getattr(super(), name)(X)
        return getattr(self.best_estimator_, name)(X, **params)
