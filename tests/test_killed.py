"""A learning process that is killed goes on from its last save as if nothing had happened."""

import multiprocessing
import signal
import time
from contextlib import chdir

import learner
import numpy as np
import pytest
from comparison import assert_same_model
from modes import every_optimizer

pytestmark = pytest.mark.skipif(
    "forkserver" not in multiprocessing.get_all_start_methods(),
    reason="new processes would take seconds each",
)
N_BATCHES, EVERY = 300, 7


@pytest.fixture(scope="module")
def processes(tmp_path_factory):
    """Processes that begin at once, with nothing but what they read from disk."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["scipy.sparse", "sk_adaptive"])
    # The server imports from where it begins, which must not be a checkout.
    with chdir(tmp_path_factory.mktemp("server")):
        process = context.Process(target=int)
        process.start()
        process.join()
    return context


@pytest.mark.parametrize("n_kills", [4, pytest.param(50, marks=pytest.mark.full)])
@every_optimizer
def test_killed_at_any_moment(processes, tmp_path, optimizer, n_kills):
    def process(name, n_batches=N_BATCHES, **named):
        arguments = (tmp_path / name, optimizer, n_batches, EVERY)
        return processes.Process(target=learner.learn, args=arguments, kwargs=named)

    def seconds_of(process):
        begin = time.monotonic()
        process.start()
        process.join()
        assert process.exitcode == 0
        return time.monotonic() - begin

    birth = seconds_of(process("nothing", 0))
    life = seconds_of(process("whole")) - birth
    # on average the stream lasts for all lives
    longest = birth + 2 * life / n_kills
    seed = np.random.SeedSequence().entropy
    print(f"the moments are those of the seed {seed}")
    rng = np.random.default_rng(seed)
    for _ in range(n_kills):
        one = process("killed", linger=True)
        one.start()
        time.sleep(rng.uniform(0, longest))
        one.kill()
        one.join()
        assert one.exitcode == -signal.SIGKILL
    seconds_of(process("killed"))
    (n_whole, whole), (n_killed, killed) = (
        learner.load(tmp_path / name) for name in ("whole", "killed")
    )
    assert n_whole == n_killed == N_BATCHES
    assert_same_model(killed, whole)
    # and to come
    X, y = learner.batch(N_BATCHES)
    assert_same_model(killed.partial_fit(X, y), whole.partial_fit(X, y))
