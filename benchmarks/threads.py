"""What several cores gain, by ``n_jobs``.

1. Outputs: time of an epoch, and of a fit of five, with ``n_jobs=1`` over that with more. Wall
   time, in turns, the median of the rounds. SGDClassifier takes part with the same ``n_jobs``.
2. A busy core: the same while another process computes on one of the cores.
3. Softmax, one output and mini-batches, which stay on one thread: the share of two threads that
   would have to be gained is printed by ``docs/threads.md`` alone; here is what they take.
4. Predictions of all rows, and the reading-out of coefficients.
5. Searches: ``AdaptiveSGDClassifierCV`` over folds and settings.
"""
