"""What the tests of the command line share: the program, the models, a home of their own."""

import json
import os
import pathlib
import shutil
import subprocess

import pytest

BINARY = os.environ.get("LAMINA", "build/release/lamina")
BUILD = pathlib.Path(os.environ.get("LAMINA_BUILD", "build/release"))
HAS_BRIDGE = os.environ.get("LAMINA_HAS_BRIDGE", "1") == "1"


def model_path(name):
    folder = pathlib.Path(os.environ.get("LAMINA_TEST_MODELS") or BUILD.parent / "models")
    path = folder / name
    assert path.exists(), f"{path} is missing; run: make models"
    return str(path.resolve())


@pytest.fixture(scope="session")
def smollm2():
    return model_path("smollm2.gguf")


@pytest.fixture(scope="session")
def gemma3():
    return model_path("gemma3.gguf")


class Lamina:
    """Runs the program with folders of its own, without the caller's settings."""

    def __init__(self, home, cache=None):
        self.home = home
        self.env = {k: v for k, v in os.environ.items() if not k.startswith(("LAMINA", "XDG_"))}
        self.env.update(
            HOME=str(home),
            XDG_CONFIG_HOME=str(home / "config"),
            XDG_DATA_HOME=str(home / "data"),
            XDG_CACHE_HOME=str(cache or home / "cache"),
            XDG_STATE_HOME=str(home / "state"),
        )

    def __call__(self, *args, stdin="", code=0, env=None, timeout=120):
        done = subprocess.run(
            [BINARY, *map(str, args)],
            input=stdin.encode() if isinstance(stdin, str) else stdin,
            capture_output=True,
            env={**self.env, **(env or {})},
            timeout=timeout,
        )
        done.out = done.stdout.decode()
        done.err = done.stderr.decode()
        assert done.returncode == code, (done.returncode, done.out[-2000:], done.err[-2000:])
        return done

    def json(self, *args, **kwargs):
        done = self(*args, "--json", **kwargs)
        assert done.out.count("\n") == 1
        return json.loads(done.out)


@pytest.fixture(scope="session")
def shared_cache(tmp_path_factory):
    """Packed weights of the models, once for all tests."""
    return tmp_path_factory.mktemp("shared_cache")


@pytest.fixture
def lamina(tmp_path, shared_cache):
    return Lamina(tmp_path, shared_cache)


@pytest.fixture
def cold_lamina(tmp_path):
    """With a cache of its own, empty; what it wrote goes with the test."""
    yield Lamina(tmp_path)
    shutil.rmtree(tmp_path / "cache", ignore_errors=True)
