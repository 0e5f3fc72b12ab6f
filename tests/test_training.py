"""Optimizers, schedules, data, and training with checkpoints."""

import gzip
import io
import json
import os
import random
import signal
import struct
import subprocess
import sys
import time

import numpy as np
import pytest
from typer.testing import CliRunner

import chainrule as cr
import chainrule.torch as ct
from chainrule.cli import app
from chainrule.torch import nn, optim
from chainrule.torch.optim import lr_scheduler as schedules
from chainrule.train import fit, read_checkpoint, task
from chainrule.utils.data import DataLoader, TensorDataset, random_split, read_csv, read_idx, read_numpy

X = np.random.default_rng(0).standard_normal((32, 3)).astype("f4")
Y = (X @ np.array([[1.0], [-2.0], [0.5]]) + 0.3).astype("f4")


def small():
    ct.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Dropout(0.1), nn.Linear(8, 1))


OPTIMIZERS = {
    "sgd": lambda p: optim.SGD(p, lr=0.05, momentum=0.9, nesterov=True, weight_decay=1e-3),
    "adam": lambda p: optim.Adam(p, lr=0.01, amsgrad=True),
    "adamw": lambda p: optim.AdamW(p, lr=0.01),
    "rmsprop": lambda p: optim.RMSprop(p, lr=0.01, momentum=0.5, centered=True),
    "adagrad": lambda p: optim.Adagrad(p, lr=0.1, lr_decay=0.01),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_compiled_training_equals_the_imperative_loop(name):
    a, b = nn.Linear(3, 1), nn.Linear(3, 1)
    b.load_state_dict(a.state_dict())
    loader = DataLoader(TensorDataset(X, Y), batch_size=8)
    history = fit(a, nn.MSELoss(), loader, epochs=5, optimizer=OPTIMIZERS[name](a.parameters()))
    opt, loss_of, losses = OPTIMIZERS[name](b.parameters()), nn.MSELoss(), []
    for _ in range(5):
        for x, y in loader:
            opt.zero_grad()
            loss = loss_of(b(x), y)
            loss.backward()
            opt.step()
            losses.append(loss.item())
    np.testing.assert_allclose(history.loss, np.mean(np.reshape(losses, (5, 4)), 1), rtol=1e-4)
    for k, v in a.state_dict().items():
        np.testing.assert_allclose(v, b.state_dict()[k], rtol=2e-4, atol=1e-5)
    again = OPTIMIZERS[name](b.parameters())
    again.load_state_dict(opt.state_dict())
    assert again.state_dict()["param_groups"] == opt.state_dict()["param_groups"]


def test_groups_have_settings_of_their_own():
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
    opt = optim.SGD([{"params": net[0].parameters(), "lr": 0.0}, {"params": net[1].parameters()}], lr=0.1)
    before = {k: np.array(v) for k, v in net.state_dict().items()}
    fit(net, nn.MSELoss(), (X[:, :2], Y), epochs=1, optimizer=opt)
    after = net.state_dict()
    np.testing.assert_array_equal(after["0.weight"], before["0.weight"])
    assert np.any(np.array(after["1.weight"]) != before["1.weight"])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: optim.SGD([], lr=0.1), "no parameters"),
        (lambda: optim.SGD(nn.Linear(1, 1).parameters(), lr=-1), "lr is -1"),
        (lambda: optim.Adam(nn.Linear(1, 1).parameters(), betas=(0.9, 1.0)), "below 1"),
        (lambda: optim.SGD(nn.Linear(1, 1).parameters(), nesterov=True), "needs a momentum"),
        (lambda: optim.SGD([{"params": [ct.zeros(1)], "speed": 3}]), "no setting 'speed'"),
        (lambda: optim.LBFGS(nn.Linear(1, 1).parameters()).step(), "closure"),
    ],
)
def test_bad_settings_are_refused(make, message):
    with pytest.raises(cr.InputError, match=message):
        make()


def test_lbfgs_finds_the_minimum_of_rosenbrock():
    for search in (None, "strong_wolfe"):
        x = ct.tensor([-1.0, 1.5], dtype=np.float64, requires_grad=True)
        opt = optim.LBFGS([x], lr=0.2 if search is None else 1.0, max_iter=100, line_search_fn=search)

        def closure():
            opt.zero_grad()
            loss = (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2
            loss.backward()
            return loss

        for _ in range(20):
            opt.step(closure)
        np.testing.assert_allclose(x.detach(), [1, 1], atol=1e-3)


def rates(make, steps, measure=None):
    opt = optim.SGD([ct.zeros(1, requires_grad=True)], lr=1.0, momentum=0.9)
    s = make(opt)
    found = [opt.param_groups[0]["lr"]]
    for k in range(steps):
        s.step(*([] if measure is None else [measure(k)]))
        found.append(opt.param_groups[0]["lr"])
    return found


def test_schedules_by_their_formulas():
    np.testing.assert_allclose(rates(lambda o: schedules.StepLR(o, 2, 0.5), 5), [1, 1, 0.5, 0.5, 0.25, 0.25])
    np.testing.assert_allclose(rates(lambda o: schedules.MultiStepLR(o, [1, 3]), 3), [1, 0.1, 0.1, 0.01])
    np.testing.assert_allclose(rates(lambda o: schedules.LambdaLR(o, lambda e: 1 / (1 + e)), 2), [1, 1 / 2, 1 / 3])
    np.testing.assert_allclose(rates(lambda o: schedules.CosineAnnealingLR(o, 4, 0.2), 4)[2::2], [0.6, 0.2])
    cycle = rates(lambda o: schedules.OneCycleLR(o, 2.0, total_steps=11), 10)
    assert max(cycle) == pytest.approx(2.0, rel=0.05)
    assert cycle[0] == pytest.approx(2 / 25)
    assert rates(lambda o: schedules.ReduceLROnPlateau(o, patience=1), 4, lambda k: 1.0) == [1, 1, 1, 0.1, 0.1]


# ---- data --------------------------------------------------------------------------------------------------------


def test_loaders_cover_every_example_once_in_the_seeded_order():
    data = TensorDataset(np.arange(10.0), np.arange(10))
    loader = lambda **o: DataLoader(data, 3, shuffle=True, generator=ct.Generator().manual_seed(5), **o)
    seen = [b[1].tolist() for b in loader()]
    assert sorted(k for b in seen for k in b) == list(range(10))
    assert seen == [b[1].tolist() for b in loader(prefetch=2)]
    assert [len(b[0]) for b in loader(drop_last=True)] == [3, 3, 3]
    parts = random_split(data, [0.75, 0.25], ct.Generator().manual_seed(1))
    assert [len(p) for p in parts] == [8, 2]
    assert sorted(int(p[k][1]) for p in parts for k in range(len(p))) == list(range(10))


def test_prefetching_hands_errors_on_and_can_be_left():
    class Broken(ct.utils.data.Dataset):
        def __len__(self):
            return 10

        def __getitem__(self, k):
            if k == 5:
                raise ValueError("example 5 is broken")
            return np.ones(2)

    with pytest.raises(ValueError, match="example 5"):
        list(DataLoader(Broken(), 2, prefetch=3))
    for _ in DataLoader(TensorDataset(X), 1, prefetch=2):
        break


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n3\n", "line 3: 1 entries where 2"),
        ("a,b\n1,2\n3,x\n", "line 3, column b: the entry is 'x'"),
        ("a,b\n1,\n", "line 2, column b: the entry is missing"),
        ("1,2\nnan,4\n", "line 2, column 1: the entry is 'nan'"),
        ("", "is empty"),
        ("a,b\n", "no rows"),
    ],
)
def test_csv_files_are_validated(tmp_path, text, message):
    file = tmp_path / "d.csv"
    file.write_text(text)
    with pytest.raises(cr.InputError, match=message):
        read_csv(file)


def test_csv_files_are_read(tmp_path):
    file = tmp_path / "d.csv"
    file.write_text("\ufeffx1,label,x2\n1,0,2\n\n3.5,1,-4e-1\n", encoding="utf-8")
    x, y = read_csv(file, "label").arrays
    np.testing.assert_allclose(x, [[1, 2], [3.5, -0.4]], rtol=1e-6)
    assert y.dtype == np.int64
    assert y.tolist() == [0, 1]
    with pytest.raises(cr.InputError, match="no column 'z'"):
        read_csv(file, "z")


def idx(a, code):
    return b"\0\0" + bytes([code, a.ndim]) + struct.pack(f">{a.ndim}I", *a.shape) + a.tobytes()


def test_idx_and_numpy_files(tmp_path):
    images = np.random.default_rng(0).integers(0, 255, (3, 4, 5)).astype("u1")
    (tmp_path / "a").write_bytes(idx(images, 8))
    (tmp_path / "b.gz").write_bytes(gzip.compress(idx(images.astype(">i4"), 0x0C)))
    np.testing.assert_array_equal(read_idx(tmp_path / "a"), images)
    np.testing.assert_array_equal(read_idx(tmp_path / "b.gz"), images)
    for damage, message in (
        (idx(images, 8)[:-1], "60 needs|needs 60"),
        (b"\1\0\x08\3", "not an IDX"),
        (idx(images, 8)[:6], "needs"),
    ):
        (tmp_path / "c").write_bytes(damage)
        with pytest.raises(cr.InputError, match=message):
            read_idx(tmp_path / "c")
    np.savez(tmp_path / "d.npz", x=np.ones((2, 2)), y=np.array([0, np.inf]))
    with pytest.raises(cr.InputError, match=r"array y is inf at \(1,\)"):
        read_numpy(tmp_path / "d.npz")
    assert read_numpy(tmp_path / "d.npz", "x").arrays[0].shape == (2, 2)
    np.save(tmp_path / "e.npy", np.array([{}], object), allow_pickle=True)
    with pytest.raises(cr.InputError, match="plain arrays"):
        read_numpy(tmp_path / "e.npy")


# ---- training ----------------------------------------------------------------------------------------------------


def state(net):
    return {k: np.array(v) for k, v in net.state_dict().items()}


def train(net, epochs, save=None, resume=False, callbacks=(), save_every=None):
    opt = optim.Adam(net.parameters(), lr=0.01)
    return fit(
        net, nn.MSELoss(), TensorDataset(X, Y), epochs=epochs, optimizer=opt, batch_size=5, save=save, resume=resume,
        scheduler=schedules.StepLR(opt, 2, 0.5), validate=(X, Y), callbacks=callbacks, save_every=save_every,
    )  # fmt: skip


class Stop(Exception):
    pass


@pytest.mark.parametrize("at", [1, 4, 11, 17])
def test_an_interrupted_training_resumes_bit_identically(tmp_path, monkeypatch, at):
    whole = small()
    want = train(whole, 4)
    run = cr.train.fit.__globals__["_Run"]
    plain, count = run.checkpoint, [0]

    def dying(self):
        plain(self)
        count[0] += 1
        if count[0] == at:
            raise Stop

    monkeypatch.setattr(run, "checkpoint", dying)
    broken = small()
    with pytest.raises(Stop):
        train(broken, 4, tmp_path, save_every=1)
    monkeypatch.setattr(run, "checkpoint", plain)
    ct.manual_seed(99)
    again = small()
    got = train(again, 4, tmp_path, resume=True)
    assert (got.loss, got.validation_loss, got.lr) == (want.loss, want.validation_loss, want.lr)
    for k, v in state(whole).items():
        np.testing.assert_array_equal(v, state(again)[k])


def test_killed_twenty_times_it_still_ends_bit_identical(tmp_path):
    """SIGKILL at random moments; the last process finishes what the first began."""
    script = tmp_path / "train.py"
    script.write_text(
        "import sys, time, numpy as np, chainrule as cr, chainrule.torch as ct\n"
        "from chainrule.torch import nn, optim\n"
        "ct.manual_seed(0)\n"
        "net = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Dropout(0.1), nn.Linear(8, 1))\n"
        "rng = np.random.default_rng(0); x = rng.standard_normal((40, 3)).astype('f4'); y = x[:, :1] * 2\n"
        "opt = optim.Adam(net.parameters(), lr=0.01)\n"
        "slow = float(sys.argv[2])\n"
        "loss = nn.MSELoss()\n"
        "class Slow(ct.utils.data.TensorDataset):\n"
        "    def take(self, numbers):\n"
        "        time.sleep(slow)\n"
        "        return super().take(numbers)\n"
        "print('ready', flush=True)\n"
        "cr.train.fit(net, loss, Slow(x, y), epochs=60, optimizer=opt, batch_size=4, save=sys.argv[1], resume=True, save_every=1)\n"
        "print('done', flush=True)\n"
    )
    start = lambda directory, slow: subprocess.Popen(
        [sys.executable, script, directory, str(slow)], stdout=subprocess.PIPE, text=True
    )
    rng = random.Random(7)
    kills = 0
    while kills < 20:
        process = start(tmp_path / "killed", 0.002)
        assert process.stdout.readline() == "ready\n"
        time.sleep(rng.uniform(0.02, 0.25))
        if process.poll() is not None:
            break
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        kills += 1
    assert kills == 20
    before = read_checkpoint(tmp_path / "killed")
    assert before is None or before["epoch"] < 60
    for directory in ("killed", "whole"):
        with start(tmp_path / directory, 0) as process:
            assert process.stdout.read().endswith("done\n")
    a, b = read_checkpoint(tmp_path / "killed"), read_checkpoint(tmp_path / "whole")
    for part in ("tensors", "moments"):
        for x, y in zip(_leaves(a[part]), _leaves(b[part]), strict=True):
            np.testing.assert_array_equal(x, y)
    assert a["history"]["loss"] == b["history"]["loss"]
    assert a["random"] == b["random"]


def _leaves(tree):
    return [x for v in tree.values() for x in (_leaves(v) if isinstance(v, dict) else [v])]


def test_damaged_checkpoints_are_named(tmp_path):
    train(small(), 1, tmp_path)
    file = next(tmp_path.glob("*.safetensors"))
    data = file.read_bytes()
    file.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(cr.InputError, match="damaged"):
        train(small(), 2, tmp_path, resume=True)
    (tmp_path / "checkpoint.json").write_text("{")
    with pytest.raises(cr.InputError, match="cannot be read"):
        read_checkpoint(tmp_path)


def changed_json(directory, change):
    path = directory / "checkpoint.json"
    record = json.loads(path.read_text())
    change(record)
    path.write_text(json.dumps(record))


DAMAGES = {
    "an entry of the JSON": (
        lambda d: changed_json(d, lambda r: r["tree"]["dict"][0].reverse()),
        "damaged: its checksum",
    ),
    "another version": (
        lambda d: changed_json(d, lambda r: r.update(version=99)),
        "version 99; this chainrule reads version",
    ),
    "no version": (lambda d: changed_json(d, lambda r: r.pop("version")), "is not a checkpoint"),
    "a truncated JSON": (
        lambda d: (d / "checkpoint.json").write_text((d / "checkpoint.json").read_text()[:100]),
        "cannot be read",
    ),
    "a list": (lambda d: (d / "checkpoint.json").write_text("[1]"), "is not a checkpoint"),
    "truncated arrays": (
        lambda d: arrays_file(d).write_bytes(arrays_file(d).read_bytes()[:-5]),
        "damaged: its checksum",
    ),
    "no arrays": (lambda d: arrays_file(d).unlink(), "cannot be read"),
    "arrays of another": (lambda d: arrays_file(d).write_bytes(b"\2\0\0\0\0\0\0\0{}"), "damaged: its checksum"),
}


def arrays_file(directory):
    return next(directory.glob("*.safetensors"))


@pytest.mark.parametrize("name", DAMAGES)
def test_every_damage_to_a_checkpoint_is_told(tmp_path, name):
    train(small(), 1, tmp_path)
    damage, message = DAMAGES[name]
    damage(tmp_path)
    net = small()
    before = state(net)
    with pytest.raises(cr.InputError, match=message):
        train(net, 2, tmp_path, resume=True)
    for k, v in state(net).items():
        np.testing.assert_array_equal(v, before[k])


def test_a_directory_that_holds_a_run_is_not_overwritten_unasked(tmp_path):
    train(small(), 1, tmp_path)
    with pytest.raises(cr.InputError, match="holds a training already"):
        train(small(), 1, tmp_path)
    assert len(train(small(), 2, tmp_path, resume=True)) == 2
    net = small()
    fit(
        net,
        nn.MSELoss(),
        (X, Y),
        epochs=1,
        optimizer=optim.SGD(net.parameters(), lr=0.1),
        save=tmp_path,
        overwrite=True,
    )
    assert len(read_checkpoint(tmp_path)["history"]["loss"]) == 1


def test_two_trainings_into_one_directory_the_second_is_refused_and_a_kill_frees_it(tmp_path):
    script = tmp_path / "hold.py"
    script.write_text(
        "import sys, time\nfrom chainrule.train.checkpoints import locked\n"
        "with locked(sys.argv[1]):\n    print('held', flush=True)\n    time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, script, tmp_path / "run"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        with pytest.raises(cr.InputError, match="another training is writing"):
            train(small(), 1, tmp_path / "run")
        process.send_signal(signal.SIGKILL)
    train(small(), 1, tmp_path / "run")


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), PermissionError(13, "Permission denied")])
def test_a_full_disk_names_the_path_and_loses_nothing(tmp_path, monkeypatch, error):
    train(small(), 1, tmp_path)
    good = read_checkpoint(tmp_path)
    replace = os.replace

    def full(source, target):
        if str(target).endswith("checkpoint.json"):
            raise error
        replace(source, target)

    monkeypatch.setattr(os, "replace", full)
    net = small()
    with pytest.raises(cr.InputError, match=rf"checkpoint.json cannot be written: {error.strerror}"):
        train(net, 2, tmp_path, resume=True)
    monkeypatch.setattr(os, "replace", replace)
    assert read_checkpoint(tmp_path)["history"] == good["history"]
    assert any(np.any(v != good["tensors"][k]) for k, v in state(net).items())
    assert not [f for f in tmp_path.iterdir() if f.name.startswith(".checkpoint")]


def begun(tmp_path, *, data=(X, Y), size=8, make=optim.Adam, lr=0.01, loss=nn.MSELoss, epochs=1, net=None, **options):
    net = net or small()
    return fit(
        net,
        loss(),
        data,
        epochs=epochs,
        batch_size=size,
        optimizer=make(net.parameters(), lr=lr),
        save=tmp_path,
        **options,
    )


OTHERS = {
    "data": {"data": (X + 1, Y)}, "batch size": {"size": 4}, "optimizer": {"make": optim.AdamW},
    "settings of the optimizer": {"lr": 0.1}, "loss": {"loss": nn.L1Loss}, "clip": {"clip": 1.0},
}  # fmt: skip


@pytest.mark.parametrize("what", OTHERS)
def test_going_on_with_something_else_has_to_be_said(tmp_path, what):
    begun(tmp_path)
    with pytest.raises(cr.InputError, match=f"was begun with another {what}"):
        begun(tmp_path, epochs=2, resume=True, **OTHERS[what])
    assert len(begun(tmp_path, epochs=2, resume="changed", **OTHERS[what])) == 2
    with pytest.raises(cr.InputError, match="of another network"):
        begun(tmp_path, epochs=3, resume=True, net=nn.Sequential(nn.Linear(3, 1)))


def test_generators_of_layers_and_loaders_resume(tmp_path):
    def run(epochs, **options):
        ct.manual_seed(0)
        net = nn.Sequential(nn.Linear(3, 8), nn.Dropout(0.5, generator=ct.Generator().manual_seed(5)), nn.Linear(8, 1))
        loader = DataLoader(TensorDataset(X, Y), batch_size=5, shuffle=True, generator=ct.Generator().manual_seed(6))
        opt = optim.SGD(net.parameters(), lr=0.05)
        return fit(net, nn.MSELoss(), loader, epochs=epochs, optimizer=opt, **options), state(net)

    history, want = run(4)
    run(2, save=tmp_path)
    again, got = run(4, save=tmp_path, resume=True)
    assert again.loss == history.loss
    for k, v in want.items():
        np.testing.assert_array_equal(got[k], v)


def test_a_share_of_the_data_is_held_out():
    net = small()
    opt = optim.SGD(net.parameters(), lr=0.05)
    history = fit(net, nn.MSELoss(), (X, Y), epochs=2, optimizer=opt, validate=0.25)
    assert len(history.validation_loss) == 2
    for share in (0.0, 1.0, 1.5, 0.001):
        with pytest.raises(cr.InputError, match="validate"):
            fit(net, nn.MSELoss(), (X, Y), epochs=1, optimizer=opt, validate=share)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": -1}, "epochs is -1"),
        ({"epochs": 1.5}, "epochs is 1.5"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"clip": 0.0}, "clip is 0.0"),
        ({"metric": "f1"}, "no metric 'f1'"),
        ({"resume": True}, "need the directory"),
        ({"data": (X[:0], Y[:0])}, "empty"),
        ({"data": (X, Y[:, 0])}, "the target"),
        ({"data": DataLoader(TensorDataset(X[:3], Y[:3]), batch_size=8, drop_last=True)}, "no batches"),
        ({"validate": (X, Y[:, 0])}, "the target"),
    ],
)
def test_what_cannot_be_trained_is_said(options, message):
    net = small()
    given = {"epochs": 1, "data": (X, Y), **options}
    with pytest.raises(cr.ChainruleError, match=message):
        fit(net, nn.MSELoss(), given.pop("data"), optimizer=optim.SGD(net.parameters(), lr=0.1), **given)


def test_accuracy_takes_no_shapes_that_would_broadcast():
    assert cr.train.accuracy(np.array([[1.0], [-1.0]]), np.array([[1], [1]])) == 0.5
    assert cr.train.accuracy(np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([0, 0])) == 0.5
    with pytest.raises(cr.ShapeError, match="accuracy"):
        cr.train.accuracy(np.ones((4, 1)), np.ones(4))


def test_another_network_does_not_resume(tmp_path):
    train(small(), 1, tmp_path)
    with pytest.raises(cr.InputError, match="of another network"):
        train(nn.Sequential(nn.Linear(3, 7), nn.Tanh(), nn.Dropout(0.1), nn.Linear(7, 1)), 2, tmp_path, resume=True)


def test_divergence_names_step_layer_and_value_and_keeps_the_checkpoint(tmp_path):
    net = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 1))
    x = X.copy()
    opt = lambda: optim.SGD(net.parameters(), lr=0.01)
    loader = lambda x: DataLoader(TensorDataset(x, Y), batch_size=8)
    fit(net, nn.MSELoss(), loader(X), epochs=1, optimizer=opt(), save=tmp_path)
    good = read_checkpoint(tmp_path)
    x[20] = 3e38
    with ct.no_grad():
        net[0].weight.fill_(10.0)
    with np.errstate(all="ignore"), pytest.raises(cr.DivergenceError, match=r"epoch 1, step 3, in layer 0.*is"):
        fit(net, nn.MSELoss(), loader(x), epochs=1, optimizer=opt(), save=tmp_path, overwrite=True)
    assert read_checkpoint(tmp_path)["history"] == good["history"]
    for k, v in state(net).items():
        assert np.all(np.isfinite(v)), k
    x[20] = np.nan
    with pytest.raises(cr.DivergenceError, match=r"entry \(4, 0\) of array 0 of the batch is nan"):
        fit(net, nn.MSELoss(), loader(x), epochs=1, optimizer=opt())
    with np.errstate(all="ignore"), pytest.raises(cr.DivergenceError):
        fit(net, nn.MSELoss(), loader(X), epochs=60, optimizer=optim.SGD(net.parameters(), lr=1e6))


def test_early_stopping_takes_the_best_parameters():
    net = small()
    seen = []
    opt = optim.SGD(net.parameters(), lr=0.5)
    history = fit(
        net, nn.MSELoss(), (X, Y), epochs=200, optimizer=opt, validate=(X[:4], -Y[:4]), early_stopping=3,
        callbacks=[lambda e: seen.append(state(e.model))],
    )  # fmt: skip
    assert history.stopped.startswith("stopped early")
    assert len(history) == history.best_epoch + 3
    for k, v in seen[history.best_epoch - 1].items():
        np.testing.assert_array_equal(state(net)[k], v)


def test_a_callback_can_stop_and_histories_draw(tmp_path):
    history = train(small(), 9, callbacks=[lambda e: e.epoch == 2])
    assert len(history) == 2
    history.plot(tmp_path / "loss.svg")
    assert (tmp_path / "loss.svg").read_text().startswith("<?xml")
    assert "training" in history.terminal()
    with pytest.raises(cr.InputError, match="cannot draw"):
        history.plot(tmp_path / "loss.xyz")


def test_clipping_bounds_the_step():
    net = nn.Linear(3, 1)
    before = state(net)
    fit(
        net,
        nn.MSELoss(),
        (X * 100, Y),
        epochs=1,
        batch_size=32,
        optimizer=optim.SGD(net.parameters(), lr=1.0),
        clip=0.01,
    )
    moved = np.sqrt(sum(np.sum((v - before[k]) ** 2) for k, v in state(net).items()))
    assert moved == pytest.approx(0.01, rel=1e-2)
    net(X).sum().backward()
    nn.utils.clip_grad_norm_(net.parameters(), 0.5)
    assert np.sqrt(sum(float((p.grad**2).sum()) for p in net.parameters())) <= 0.5 + 1e-6


def test_tasks_learn():
    assert task("xor", 0).run().metric[-1] == 1
    history = task("figure7.8", 0).run()
    assert len(history) == 100
    assert history.loss[-1] < 0.5 * history.loss[0]
    assert history.lr[:11] == [0.1] * 10 + [0.05]
    assert task("moons", 0).run(epochs=60).validation_metric[-1] > 0.95


# ---- the command line --------------------------------------------------------------------------------------------

runner = CliRunner()


def command(*args, code=0):
    result = runner.invoke(app, [str(a) for a in args])
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result.output


def test_train_predict_and_inspect(tmp_path):
    run = tmp_path / "run"
    out = command("train", "xor", "--save", run, "--plot", tmp_path / "loss.png", "--epochs", 200)
    assert "200 epochs" in out
    assert (tmp_path / "loss.png").stat().st_size > 1000
    (tmp_path / "d.csv").write_text("0,0\n0,1\n")
    zero, one = map(float, command("predict", run, tmp_path / "d.csv").split())
    assert zero < 0 < one
    shown = command("inspect", run)
    assert "33 with them" in shown
    assert all((run / f"{n}.png").stat().st_size > 1000 for n in ("network", "flow", "loss"))
    assert "holds a training already" in command("train", "xor", "--save", run, code=2)
    assert "250 epochs" in command("train", "--resume", run, "--epochs", 250)
    (tmp_path / "d.csv").write_text("0,0,0\n")
    assert "the network takes (2,)" in command("predict", run, tmp_path / "d.csv", code=2)


def test_train_a_model_from_a_file(tmp_path):
    (tmp_path / "m.py").write_text(
        "from chainrule.torch import nn\nModel = lambda: nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 2))\n"
    )
    rows = np.random.default_rng(0).standard_normal((60, 2))
    text = io.StringIO("a,b,y\n" + "\n".join(f"{a},{b},{int(a > b)}" for a, b in rows) + "\n").getvalue()
    (tmp_path / "d.csv").write_text(text)
    target = f"{tmp_path / 'm.py'}:Model"
    out = command(
        "train",
        target,
        "--data",
        tmp_path / "d.csv",
        "--column",
        "y",
        "--epochs",
        40,
        "--lr",
        0.05,
        "--save",
        tmp_path / "r",
    )
    assert float(out.split("metric ")[1].split()[0]) > 0.9
    assert set(command("predict", tmp_path / "r", tmp_path / "x.csv", code=2).split())
    (tmp_path / "x.csv").write_text("3,-3\n-3,3\n")
    assert command("predict", tmp_path / "r", tmp_path / "x.csv").split() == ["1", "0"]
    assert json.loads((tmp_path / "r" / "task.json").read_text())["column"] == "y"


def test_the_rate_and_the_epochs_given_are_those_of_the_schedule(tmp_path):
    made = task("digits", 0)
    made.data = TensorDataset(*(a[:64] for a in made.data.arrays))
    history = made.run(epochs=40, validate=None)
    assert len(history) == 40
    (tmp_path / "m.py").write_text(
        "from chainrule import nn\nModel = lambda: nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 1))\n"
    )
    rows = "a,b,y\n" + "\n".join(f"{k / 9},{-k / 7},{k / 5}" for k in range(10)) + "\n"
    for name in ("d.csv", "v.csv"):
        (tmp_path / name).write_text(rows)
    (tmp_path / "w.csv").write_text("a,y\n1,2\n")
    target, data = f"{tmp_path / 'm.py'}:Model", ("--data", tmp_path / "d.csv")
    out = command("train", target, *data, "--validate", tmp_path / "v.csv", "--epochs", 2, "--save", tmp_path / "r")
    assert "validation loss" in out
    assert "give held-out examples of the same columns" in command(
        "train", target, *data, "--validate", tmp_path / "w.csv", code=2
    )
    assert "with --resume-changed" in command("train", "--resume", tmp_path / "r", "--lr", 0.5, code=2)
    assert "4 epochs" in command("train", "--resume", tmp_path / "r", "--lr", 0.5, "--epochs", 4, "--resume-changed")
    (tmp_path / "d.csv").write_text(rows.replace("0.2", "0.3"))
    assert "another data" in command("train", "--resume", tmp_path / "r", "--epochs", 6, code=2)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["train"], "what is to be trained"),
        (["train", "nothing"], "there is no training 'nothing'"),
        (["train", "--resume", "/nowhere"], "not the directory of a training"),
        (["inspect", "/nowhere"], "not the directory of a training"),
        (["train", "xor", "--loss", "mse"], "--loss would be ignored"),
        (["train", "xor", "--data", "x.csv", "--column", "y"], "--data, --column would be ignored"),
        (["train", "xor", "--lr", "-1"], "the learning rate is -1"),
        (["train", "xor", "--lr", "nan"], "the learning rate is nan"),
        (["train", "xor", "--lr", "0"], "the learning rate is 0"),
        (["train", "xor", "--plot", "loss.xyz"], "cannot draw to loss.xyz"),
        (["train", "xor", "--plot", "/nowhere/loss.png"], "no directory /nowhere"),
        (["train", "xor", "--resume-changed"], "is for --resume"),
        (["train", "xor", "--save", "/proc/nothing/run", "--epochs", "1"], "/proc/nothing/run cannot be used"),
        (["train", "xor", "--batch-size", "0"], "greater than or equal to 1"),
    ],
)
def test_bad_commands_are_explained(args, message):
    assert message in command(*args, code=2)
