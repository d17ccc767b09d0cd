"""The estimators that find rate, strength and number of epochs by cross-validation."""

from sklearn.base import _fit_context

from ._classifier import AdaptiveSGDClassifier
from ._locking import one_at_a_time
from ._regressor import AdaptiveSGDRegressor
from ._search_cv import SearchCV


class AdaptiveSGDClassifierCV(SearchCV, AdaptiveSGDClassifier):
    """:class:`AdaptiveSGDClassifier` that finds its rate, strength and number of epochs.

    All combinations of `eta0s`, `alphas` and `l1_ratios` are trained side by side. An epoch reads
    the rows of a fold once, and each combination learns what it would learn alone. After every
    epoch each combination is scored on the rows held out. At last all rows are learned, with the
    combination and the number of epochs that have the best mean score over the folds.

    Parameters
    ----------
    loss : str, default='log_loss'
        See :class:`AdaptiveSGDClassifier`, also for the other parameters it has.
    optimizer : str, default='adagrad'
        The update rule.
    penalty : {'l2', 'l1', 'elasticnet'} or None, default='l2'
        The penalty on the coefficients.
    eta0s : array-like of float or 'auto', default='auto'
        The learning rates to try, in (0, inf). 'auto': a third of the automatic rate of all rows,
        that rate, and three times as much.
    alphas : array-like of float or 'auto', default='auto'
        The strengths of the penalty to try, in [0, inf). 'auto': the automatic strength of all
        rows, and 10, 100 and 1000 times as much. With 'elasticnet' they depend on the share of L1:
        each is as strong on a coefficient of a typical size. Not used with ``penalty=None``.
    l1_ratios : array-like of float, default=(0.15,)
        The shares of L1 to try, in [0, 1]. Used with 'elasticnet' only.
    fit_intercept : bool, default=True
        Whether to learn an intercept.
    max_iter : int, default=100
        The largest number of epochs.
    tol : float or None, default=1e-3
        A setting ends when, for `n_iter_no_change` epochs in a row, its mean score rose less
        than `tol` above its best; with ``scoring='loss'`` less than `tol` times the loss of the
        best constant. With None only `max_iter` ends it. Used with `early_stopping` only.
    shuffle : bool, default=True
        Whether to shuffle the rows before each epoch. All settings see them in the same order.
    batch_size : int, default=1
        Rows per step.
    learning_rate : {'constant', 'invscaling'}, default='constant'
        The schedule of the rate. There is no 'adaptive', with which each setting would divide its
        rate at another time.
    power_t : float, default=0.5
        The exponent of 'invscaling'.
    rho : float, default=0.99
        The memory of 'rmsprop'.
    beta_1 : float, default=0.9
        The memory of the first moment of 'adam' and 'adamw'.
    beta_2 : float, default=0.999
        The memory of the second moment of 'adam' and 'adamw'.
    eps : float or None, default=None
        Added to the denominator. None derives it from the rows of the fold.
    sparse_update : {'exact', 'masked'}, default='exact'
        What a step does to coefficients of features that its rows lack.
    normalize : bool, default=False
        Whether to divide each feature by its largest size in the rows that are learned.
    epsilon : float, default=0.1
        The threshold of some losses.
    class_weight : dict, 'balanced' or None, default=None
        Factors of the rows' losses by class.
    multi_class : {'auto', 'multinomial', 'ovr'}, default='auto'
        How more than two classes are learned.
    cv : int, splitter, iterable, float or None, default=None
        What is held out: the number of folds, stratified for a classifier of one class a row;
        a splitter of scikit-learn or an iterable of pairs of rows; or a number in (0, 1), the share
        of the rows of a single split at random. None: 5 folds.
    scoring : str, callable or None, default='loss'
        The score on the rows held out. 'loss' is the negative mean of the losses, weighted by the
        sample weights, without the penalty; a name of one of scikit-learn's scorers; a
        function of an estimator, X and y; or None for the accuracy. Names and 'loss' take one
        product of the rows held out with the coefficients of all settings; a function takes a
        copy of each model.
    refit : bool, default=True
        Whether to learn all rows in the end, from the start, with the best setting and its best
        number of epochs. If False, there is no model, only the results of the search.
    n_jobs : int or None, default=None
        Threads that share the folds and the settings. None is one thread, or what
        ``joblib.parallel_config`` says; -1 is one for each core. The result does not depend on it.
    early_stopping : bool, default=True
        Whether to find the number of epochs, too. False: all settings are learned for `max_iter`
        epochs and scored after the last, as by GridSearchCV with ``tol=None``.
    prune : bool, default=True
        Whether to give up settings that are hopeless: from the third epoch on, those whose
        mean score would stay below the best one so far even if it went on as steeply as in the
        second half of its epochs, for as many epochs again. False: each goes on until `tol` or
        `max_iter` stops it. Used with `early_stopping` only.
    n_iter_no_change : int, default=5
        The number of epochs in a row without enough gain after which a setting ends, see `tol`.
    average : bool or int, default=False
        Whether coefficients are averages over the steps.
    verbose : int, default=0
        If 1 or more, `fit` prints a line for each epoch.
    random_state : int, RandomState instance or None, default=None
        Determines the order of the rows, which in each fold is that of a fit with this seed. If
        `cv` is a share, it also determines the rows held out.

    Attributes
    ----------
    cv_results_ : dict of str to array
        A row for each setting, in the order of ``ParameterGrid``, with the keys of GridSearchCV:
        ``params``, ``param_eta0``, ``param_alpha``, ``param_l1_ratio``, ``split0_test_score`` and
        so on, ``mean_test_score``, ``std_test_score`` and ``rank_test_score``. Scores are those
        after the setting's best number of epochs, ``n_iter``. ``stopped_by`` says why it was not
        learned on: 'tol', 'pruned', 'max_iter', 'callback', or 'failed', whose scores are NaN.
        There are no times of single settings, as no setting has one.
    best_params_ : dict
        The best setting, as parameters of :class:`AdaptiveSGDClassifier`.
    best_score_ : float
        Its mean score.
    best_index_ : int
        Its row in `cv_results_`.
    best_iteration_ : int
        Its number of epochs.
    validation_scores_ : list of float
        Its mean score after each epoch; of the last one only without `early_stopping`.
    stopped_by_ : str
        What ended it, as in `cv_results_`. 'callback', too, if a callback ended the last fit.
    n_splits_ : int
        The number of folds.
    coef_ : ndarray or CSR matrix of shape (1, n_features) or (n_classes, n_features)
        Coefficients of the model of all rows.
    intercept_ : ndarray of shape (1,) or (n_classes,)
        Intercepts.
    classes_ : ndarray of shape (n_classes,)
        The classes, sorted; with several labels a row the numbers of the labels.
    n_iter_ : int
        Epochs in which all rows were learned.
    loss_curve_ : list of float
        Mean training objective of each of these.
    t_ : int
        Number of steps done, plus 1.
    eta0_ : float
        The learning rate.
    eps_ : float
        What `eps` led to.
    progressive_loss_ : float
        The mean loss of rows before each was learned, see :class:`AdaptiveSGDClassifier`.
    optimizer_state_ : mapping of str to ndarray of the shape of `coef_`
        What the optimizer remembers of each coefficient.
    effective_learning_rate_ : ndarray of the shape of `coef_`
        The learning rate of each coefficient.
    n_features_in_ : int
        Number of features seen during fit.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features seen during fit, where all are strings.

    See Also
    --------
    AdaptiveSGDClassifier : The model itself.
    AdaptiveSGDRegressorCV : The same for regression.
    sklearn.model_selection.GridSearchCV : Searches any parameters, a fit for each setting and fold.

    Notes
    -----
    The records of all folds are there at once: M settings on k folds take about M * k times the
    memory of a model for each feature that occurs. ``cv=0.1`` has a single fold.

    An exact 'adamw' can't tell apart the momentum of weights that decay differently. Settings whose
    ``eta0 * alpha`` differ are then trained one after the other, as exactly and not as fast.

    With class weights, those of all rows are used in each fold, also for the scores.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sk_adaptive import AdaptiveSGDClassifierCV
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> model = AdaptiveSGDClassifierCV(cv=3, max_iter=20, random_state=0)
    >>> pipeline = make_pipeline(StandardScaler(), model).fit(X, y)
    >>> sorted(model.best_params_)
    ['alpha', 'eta0']
    >>> len(model.cv_results_["params"])
    12
    >>> print(f"{pipeline.score(X, y):.2f}")
    0.99
    """

    _base = AdaptiveSGDClassifier

    _parameter_constraints: dict = {
        **AdaptiveSGDClassifier._parameter_constraints,
        **SearchCV._parameter_constraints,
    }

    def __init__(
        self,
        loss="log_loss",
        *,
        optimizer="adagrad",
        penalty="l2",
        eta0s="auto",
        alphas="auto",
        l1_ratios=(0.15,),
        fit_intercept=True,
        max_iter=100,
        tol=1e-3,
        shuffle=True,
        batch_size=1,
        learning_rate="constant",
        power_t=0.5,
        rho=0.99,
        beta_1=0.9,
        beta_2=0.999,
        eps=None,
        sparse_update="exact",
        normalize=False,
        epsilon=0.1,
        class_weight=None,
        multi_class="auto",
        cv=None,
        scoring="loss",
        refit=True,
        n_jobs=None,
        early_stopping=True,
        prune=True,
        n_iter_no_change=5,
        average=False,
        verbose=0,
        random_state=None,
    ):
        self.loss = loss
        self.optimizer = optimizer
        self.penalty = penalty
        self.eta0s = eta0s
        self.alphas = alphas
        self.l1_ratios = l1_ratios
        self.fit_intercept = fit_intercept
        self.max_iter = max_iter
        self.tol = tol
        self.shuffle = shuffle
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.power_t = power_t
        self.rho = rho
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.eps = eps
        self.sparse_update = sparse_update
        self.normalize = normalize
        self.epsilon = epsilon
        self.class_weight = class_weight
        self.multi_class = multi_class
        self.cv = cv
        self.scoring = scoring
        self.refit = refit
        self.n_jobs = n_jobs
        self.early_stopping = early_stopping
        self.prune = prune
        self.n_iter_no_change = n_iter_no_change
        self.average = average
        self.verbose = verbose
        self.random_state = random_state

    @one_at_a_time
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None, *, groups=None):
        """Find the best setting and number of epochs; learn all rows so.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Training data. It is not changed.
        y : array-like of shape (n_samples,), or array or sparse matrix (n_samples, n_labels)
            Classes; or labels, several of which a row may have, as 0 and 1.
        sample_weight : array-like of shape (n_samples,), default=None
            Factors of the rows' losses, not negative, which weigh the rows held out, too.
        groups : array-like of shape (n_samples,), default=None
            Groups of rows for a splitter that takes them.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If the input is not valid, or if every setting fails. The estimator is then what it was
            before the call, as it is if a callback raises.
        MemoryError
            If the machine has not the memory that all settings take; it says how much.
        """
        return self._search(X, y, sample_weight, groups)

    def partial_fit(self, X, y, classes=None, sample_weight=None):
        """Go on learning with the setting that `fit` found, once, in the order of the rows.

        Before `fit` the rate and the strength are the automatic ones.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Rows to learn from. It is not changed.
        y : array-like of shape (n_samples,), or array or sparse matrix (n_samples, n_labels)
            Classes; or labels, several of which a row may have, as 0 and 1.
        classes : array-like of shape (n_classes,), default=None
            All classes, needed by a first call before `fit`.
        sample_weight : array-like of shape (n_samples,), default=None
            Factors of the rows' losses, not negative.

        Returns
        -------
        self : object
        """
        return super().partial_fit(X, y, classes=classes, sample_weight=sample_weight)


class AdaptiveSGDRegressorCV(SearchCV, AdaptiveSGDRegressor):
    """:class:`AdaptiveSGDRegressor` that finds its rate, strength and number of epochs.

    All combinations of `eta0s`, `alphas` and `l1_ratios` are trained side by side. An epoch reads
    the rows of a fold once, and each combination learns what it would learn alone. After every
    epoch each combination is scored on the rows held out. At last all rows are learned, with the
    combination and the number of epochs that have the best mean score over the folds.

    Parameters
    ----------
    loss : str, default='squared_error'
        See :class:`AdaptiveSGDRegressor`, also for the other parameters it has.
    optimizer : str, default='adagrad'
        The update rule.
    penalty : {'l2', 'l1', 'elasticnet'} or None, default='l2'
        The penalty on the coefficients.
    eta0s : array-like of float or 'auto', default='auto'
        The learning rates to try, in (0, inf). 'auto': a third of the automatic rate of all rows,
        that rate, and three times as much.
    alphas : array-like of float or 'auto', default='auto'
        The strengths of the penalty to try, in [0, inf). 'auto': the automatic strength of all
        rows, and 10, 100 and 1000 times as much. With 'elasticnet' they depend on the share of L1:
        each is as strong on a coefficient of a typical size. Not used with ``penalty=None``.
    l1_ratios : array-like of float, default=(0.15,)
        The shares of L1 to try, in [0, 1]. Used with 'elasticnet' only.
    fit_intercept : bool, default=True
        Whether to learn an intercept.
    max_iter : int, default=100
        The largest number of epochs.
    tol : float or None, default=3e-4
        A setting ends when, for `n_iter_no_change` epochs in a row, its mean score rose less
        than `tol` above its best; with ``scoring='loss'`` less than `tol` times the loss of the
        best constant. With None only `max_iter` ends it. Used with `early_stopping` only.
    shuffle : bool, default=True
        Whether to shuffle the rows before each epoch. All settings see them in the same order.
    batch_size : int, default=1
        Rows per step.
    learning_rate : {'constant', 'invscaling'}, default='constant'
        The schedule of the rate. There is no 'adaptive', with which each setting would divide its
        rate at another time.
    power_t : float, default=0.5
        The exponent of 'invscaling'.
    rho : float, default=0.99
        The memory of 'rmsprop'.
    beta_1 : float, default=0.9
        The memory of the first moment of 'adam' and 'adamw'.
    beta_2 : float, default=0.999
        The memory of the second moment of 'adam' and 'adamw'.
    eps : float or None, default=None
        Added to the denominator. None derives it from the rows of the fold.
    sparse_update : {'exact', 'masked'}, default='exact'
        What a step does to coefficients of features that its rows lack.
    normalize : bool, default=False
        Whether to divide each feature by its largest size in the rows that are learned.
    epsilon : float, default=0.1
        The threshold of some losses.
    quantile : float, default=0.5
        The quantile that the loss 'quantile' estimates.
    cv : int, splitter, iterable, float or None, default=None
        What is held out: the number of folds, stratified for a classifier of one class a row;
        a splitter of scikit-learn or an iterable of pairs of rows; or a number in (0, 1), the share
        of the rows of a single split at random. None: 5 folds.
    scoring : str, callable or None, default='loss'
        The score on the rows held out. 'loss' is the negative mean of the losses, weighted by the
        sample weights, without the penalty; a name of one of scikit-learn's scorers; a
        function of an estimator, X and y; or None for R2. Names and 'loss' take one
        product of the rows held out with the coefficients of all settings; a function takes a
        copy of each model.
    refit : bool, default=True
        Whether to learn all rows in the end, from the start, with the best setting and its best
        number of epochs. If False, there is no model, only the results of the search.
    n_jobs : int or None, default=None
        Threads that share the folds and the settings. None is one thread, or what
        ``joblib.parallel_config`` says; -1 is one for each core. The result does not depend on it.
    early_stopping : bool, default=True
        Whether to find the number of epochs, too. False: all settings are learned for `max_iter`
        epochs and scored after the last, as by GridSearchCV with ``tol=None``.
    prune : bool, default=True
        Whether to give up settings that are hopeless: from the third epoch on, those whose
        mean score would stay below the best one so far even if it went on as steeply as in the
        second half of its epochs, for as many epochs again. False: each goes on until `tol` or
        `max_iter` stops it. Used with `early_stopping` only.
    n_iter_no_change : int, default=5
        The number of epochs in a row without enough gain after which a setting ends, see `tol`.
    average : bool or int, default=False
        Whether coefficients are averages over the steps.
    verbose : int, default=0
        If 1 or more, `fit` prints a line for each epoch.
    random_state : int, RandomState instance or None, default=None
        Determines the order of the rows, which in each fold is that of a fit with this seed. If
        `cv` is a share, it also determines the rows held out.

    Attributes
    ----------
    cv_results_ : dict of str to array
        A row for each setting, in the order of ``ParameterGrid``, with the keys of GridSearchCV:
        ``params``, ``param_eta0``, ``param_alpha``, ``param_l1_ratio``, ``split0_test_score`` and
        so on, ``mean_test_score``, ``std_test_score`` and ``rank_test_score``. Scores are those
        after the setting's best number of epochs, ``n_iter``. ``stopped_by`` says why it was not
        learned on: 'tol', 'pruned', 'max_iter', 'callback', or 'failed', whose scores are NaN.
        There are no times of single settings, as no setting has one.
    best_params_ : dict
        The best setting, as parameters of :class:`AdaptiveSGDRegressor`.
    best_score_ : float
        Its mean score.
    best_index_ : int
        Its row in `cv_results_`.
    best_iteration_ : int
        Its number of epochs.
    validation_scores_ : list of float
        Its mean score after each epoch; of the last one only without `early_stopping`.
    stopped_by_ : str
        What ended it, as in `cv_results_`. 'callback', too, if a callback ended the last fit.
    n_splits_ : int
        The number of folds.
    coef_ : ndarray or CSR matrix of shape (n_features,) or (n_targets, n_features)
        Coefficients of the model of all rows.
    intercept_ : ndarray of shape (1,) or (n_targets,)
        Intercepts.
    n_iter_ : int
        Epochs in which all rows were learned.
    loss_curve_ : list of float
        Mean training objective of each of these.
    t_ : int
        Number of steps done, plus 1.
    eta0_ : float
        The learning rate.
    eps_ : float
        What `eps` led to.
    progressive_loss_ : float
        The mean loss of rows before each was learned, see :class:`AdaptiveSGDRegressor`.
    optimizer_state_ : mapping of str to ndarray of the shape of `coef_`
        What the optimizer remembers of each coefficient.
    effective_learning_rate_ : ndarray of the shape of `coef_`
        The learning rate of each coefficient.
    n_features_in_ : int
        Number of features seen during fit.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features seen during fit, where all are strings.

    See Also
    --------
    AdaptiveSGDRegressor : The model itself.
    AdaptiveSGDClassifierCV : The same for classification.
    sklearn.model_selection.GridSearchCV : Searches any parameters, a fit for each setting and fold.

    Notes
    -----
    The records of all folds are there at once: M settings on k folds take about M * k times the
    memory of a model for each feature that occurs. ``cv=0.1`` has a single fold.

    An exact 'adamw' can't tell apart the momentum of weights that decay differently. Settings whose
    ``eta0 * alpha`` differ are then trained one after the other, as exactly and not as fast.

    With class weights, those of all rows are used in each fold, also for the scores.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sk_adaptive import AdaptiveSGDRegressorCV
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = AdaptiveSGDRegressorCV(cv=3, random_state=0).fit(X, y)
    >>> print(f"{model.score(X, y):.1f}")
    0.5
    """

    _base = AdaptiveSGDRegressor

    _parameter_constraints: dict = {
        **AdaptiveSGDRegressor._parameter_constraints,
        **SearchCV._parameter_constraints,
    }

    def __init__(
        self,
        loss="squared_error",
        *,
        optimizer="adagrad",
        penalty="l2",
        eta0s="auto",
        alphas="auto",
        l1_ratios=(0.15,),
        fit_intercept=True,
        max_iter=100,
        tol=3e-4,
        shuffle=True,
        batch_size=1,
        learning_rate="constant",
        power_t=0.5,
        rho=0.99,
        beta_1=0.9,
        beta_2=0.999,
        eps=None,
        sparse_update="exact",
        normalize=False,
        epsilon=0.1,
        quantile=0.5,
        cv=None,
        scoring="loss",
        refit=True,
        n_jobs=None,
        early_stopping=True,
        prune=True,
        n_iter_no_change=5,
        average=False,
        verbose=0,
        random_state=None,
    ):
        self.loss = loss
        self.optimizer = optimizer
        self.penalty = penalty
        self.eta0s = eta0s
        self.alphas = alphas
        self.l1_ratios = l1_ratios
        self.fit_intercept = fit_intercept
        self.max_iter = max_iter
        self.tol = tol
        self.shuffle = shuffle
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.power_t = power_t
        self.rho = rho
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.eps = eps
        self.sparse_update = sparse_update
        self.normalize = normalize
        self.epsilon = epsilon
        self.quantile = quantile
        self.cv = cv
        self.scoring = scoring
        self.refit = refit
        self.n_jobs = n_jobs
        self.early_stopping = early_stopping
        self.prune = prune
        self.n_iter_no_change = n_iter_no_change
        self.average = average
        self.verbose = verbose
        self.random_state = random_state

    @one_at_a_time
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None, *, groups=None):
        """Find the best setting and number of epochs; learn all rows so.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Training data. It is not changed.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Factors of the rows' losses, not negative, which weigh the rows held out, too.
        groups : array-like of shape (n_samples,), default=None
            Groups of rows for a splitter that takes them.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If the input is not valid, or if every setting fails. The estimator is then what it was
            before the call, as it is if a callback raises.
        MemoryError
            If the machine has not the memory that all settings take; it says how much.
        """
        return self._search(X, y, sample_weight, groups)

    def partial_fit(self, X, y, sample_weight=None):
        """Go on learning with the setting that `fit` found, once, in the order of the rows.

        Before `fit` the rate and the strength are the automatic ones.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Rows to learn from. It is not changed.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Factors of the rows' losses, not negative.

        Returns
        -------
        self : object
        """
        return super().partial_fit(X, y, sample_weight=sample_weight)
