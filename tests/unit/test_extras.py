"""What runs without the extras, and what is said and done where one is missing."""

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pip as pip_package
import pytest

from audiosearch.engine.errors import ExtraMissing
from audiosearch.engine.extras import EXTRAS, install_extra, may_install, needs, with_extras

ROOT = Path(__file__).parents[2]
BLOCKED = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {names}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
"""
OPTIONAL = ["torch", "torchlibrosa", "librosa", "panns_inference", "transformers", "tensorboardX"]
OPTIONAL += ["matplotlib"]
HEAVY = [*OPTIONAL, "numba"]
"""What no process needs as it starts."""


def python(code: str, *, without: list[str], **env: str) -> subprocess.CompletedProcess[str]:
    """Run code in a process where these packages cannot be imported."""
    return subprocess.run(
        [sys.executable, "-c", BLOCKED.format(names=set(without)) + code],
        cwd=ROOT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings", **env},
        capture_output=True,
        text=True,
    )


def test_the_web_process_needs_no_extra() -> None:
    code = (
        "import audiosearch.wsgi, audiosearch.urls, tempfile\n"
        "from pathlib import Path\n"
        "import numpy as np\n"
        "from django.test import Client\n"
        "assert Client(headers={'host': 'localhost'}).get('/api/v1/live/').status_code == 200\n"
        "assert 'scipy' not in sys.modules\n"
        "from audiosearch.engine.analyzers.registry import load_encoder\n"
        "sound = np.random.default_rng(0).normal(0, 0.1, (1, 64000)).astype(np.float32)\n"
        "with tempfile.TemporaryDirectory() as models:\n"
        "    for name in ('spectral', 'resemblyzer'):\n"
        "        load_encoder(name, Path(models), threads=1).encode(sound)\n"
        "assert 'onnx' not in sys.modules\n"
    )
    done = python(code, without=HEAVY)
    assert done.returncode == 0, done.stderr


def test_the_voice_encoder_is_exported_without_pytorch(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path\n"
        "from audiosearch.engine.analyzers.speaker.resemblyzer import Resemblyzer\n"
        f"Resemblyzer.prepare(Path({str(tmp_path)!r}), print)\n"
    )
    done = python(code, without=HEAVY)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "resemblyzer" / "resemblyzer.onnx").stat().st_size > 5_000_000


def test_every_export_names_what_it_lacks(tmp_path: Path) -> None:
    files = {
        "panns_cnn14": ["Cnn14_mAP=0.431.pth"],
        "ecapa": ["embedding_model.ckpt"],
        "wavlm": ["config.json", "preprocessor_config.json", "pytorch_model.bin"],
    }
    for encoder, names in files.items():
        (tmp_path / encoder).mkdir()
        for name in names:
            (tmp_path / encoder / name).write_bytes(b"weights")
    code = (
        "from pathlib import Path\n"
        "from audiosearch.engine.analyzers.registry import analyzer_class\n"
        "from audiosearch.engine.errors import ExtraMissing\n"
        f"for name in {list(files)}:\n"
        "    try:\n"
        f"        analyzer_class(name).prepare(Path({str(tmp_path)!r}), print)\n"
        "    except ExtraMissing as missing:\n"
        "        print(name, missing.extra)\n"
    )
    done = python(code, without=HEAVY)
    assert done.stdout.split("\n")[:3] == ["panns_cnn14 torch", "ecapa torch", "wavlm wavlm"], done


def test_where_nothing_may_be_installed_the_command_is_said(tmp_path: Path) -> None:
    (tmp_path / "embedding_model.ckpt").write_bytes(b"weights")
    code = (
        "import django\n"
        "sys.prefix = sys.base_prefix\n"
        "django.setup()\n"
        "from django.core.management import execute_from_command_line\n"
        "execute_from_command_line(['manage.py', 'models', 'pull', 'ecapa', '--trust', '--from',\n"
        f"    {str(tmp_path / 'embedding_model.ckpt')!r}])\n"
    )
    done = python(code, without=HEAVY, MODELS_DIR=str(tmp_path), DATA_DIR=str(tmp_path))
    said = done.stdout + done.stderr
    assert done.returncode == 1, said
    assert f"pip install -r {ROOT}/requirements-torch.txt" in said
    assert "--build-arg EXTRAS=torch" in said
    assert "Traceback" not in said


def test_training_names_what_it_lacks(tmp_path: Path) -> None:
    code = (
        "import django\n"
        "sys.prefix = sys.base_prefix\n"
        "django.setup()\n"
        "from django.core.management import CommandError, call_command\n"
        "for model in ('ecapa', 'wavlm'):\n"
        "    try:\n"
        "        call_command('train_speaker', data=Path('none.csv'), name='mine', model=model)\n"
        "    except CommandError as error:\n"
        "        print(error)\n"
    )
    done = python("from pathlib import Path\n" + code, without=HEAVY, DATA_DIR=str(tmp_path))
    told = [line for line in done.stdout.splitlines() if "pip install" in line]
    assert len(told) == 2, done
    assert "requirements-torch.txt" in told[0]
    assert "requirements-wavlm.txt" in told[1]


def test_without_weights_nothing_is_installed(tmp_path: Path) -> None:
    code = (
        "import django\n"
        "django.setup()\n"
        "from django.core.management import call_command\n"
        "call_command('models', 'pull', 'panns_cnn14', '--quiet')\n"
    )
    nowhere = {"MODELS_URL": "http://127.0.0.1:9", "MODELS_DIR": str(tmp_path)}
    done = python(code, without=["torch"], DATA_DIR=str(tmp_path), **nowhere)
    assert done.returncode == 1
    assert "could not be fetched" in done.stdout
    assert "nstall" not in done.stdout + done.stderr


def test_what_is_missing_is_installed_and_the_work_done(tmp_path: Path) -> None:
    """A real pip, an environment of its own, and a package that is made here."""
    venv.create(tmp_path / "venv", with_pip=False)
    python_of_its_own = tmp_path / "venv" / "bin" / "python"
    wheel = tmp_path / "tiny_extra-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as file:
        file.writestr("tiny_extra.py", "VALUE = 7\n")
        about = "tiny_extra-1.dist-info"
        told = "Metadata-Version: 2.1\nName: tiny-extra\nVersion: 1\n"
        file.writestr(f"{about}/METADATA", told)
        told = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        file.writestr(f"{about}/WHEEL", told)
        file.writestr(f"{about}/RECORD", "")
    (tmp_path / "requirements-plots.txt").write_text(f"{wheel}\n")
    code = (
        "from pathlib import Path\n"
        "from audiosearch.engine import extras\n"
        f"extras.ROOT = Path({str(tmp_path)!r})\n"
        "def work():\n"
        "    with extras.needs('plots'):\n"
        "        import tiny_extra\n"
        "        return tiny_extra.VALUE\n"
        "print(extras.with_extras(work, print))\n"
    )
    pip = str(Path(pip_package.__file__).parents[1])
    done = subprocess.run(
        [str(python_of_its_own), "-c", code],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": pip},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    first, last = done.stdout.splitlines()
    assert first.startswith("Installing matplotlib")
    assert last == "7"


def test_a_failing_installation_says_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from audiosearch.engine import extras

    monkeypatch.setattr(extras, "ROOT", tmp_path)
    if not may_install():
        pytest.skip("these tests run where nothing may be installed")
    with pytest.raises(ExtraMissing, match=r"could not be installed: .*requirements-plots\.txt"):
        install_extra("plots")


def test_an_extra_holds_what_is_asked_of_it() -> None:
    for extra in EXTRAS:
        assert (ROOT / f"requirements-{extra}.txt").exists()
    service = (ROOT / "requirements.txt").read_text()
    assert not [name for name in OPTIONAL if f"\n{name.replace('_', '-')}==" in service]


def test_what_is_there_is_not_installed() -> None:
    def work() -> int:
        with needs("torch"):
            return 3

    assert with_extras(work, pytest.fail) == 3
