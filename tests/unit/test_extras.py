"""What runs without the extras, and what is said and done where one is missing."""

import os
import subprocess
import sys
from pathlib import Path

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
HEAVY = ["torch", "torchlibrosa", "librosa", "panns_inference", "transformers", "tensorboardX"]
HEAVY += ["matplotlib", "numba"]


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


@pytest.mark.parametrize(
    ("encoder", "files", "missing", "extra"),
    [
        ("panns_cnn14", ["Cnn14_mAP=0.431.pth"], "torch", "torch"),
        ("panns_cnn14", ["Cnn14_mAP=0.431.pth"], "torchlibrosa", "torch"),
        ("ecapa", ["embedding_model.ckpt"], "torch", "torch"),
        (
            "wavlm",
            ["config.json", "preprocessor_config.json", "pytorch_model.bin"],
            "transformers",
            "wavlm",
        ),
    ],
)
def test_an_export_names_what_it_lacks(
    tmp_path: Path, encoder: str, files: list[str], missing: str, extra: str
) -> None:
    """Where nothing may be installed, as in the image, the command to do so is said."""
    (tmp_path / encoder).mkdir()
    for name in files:
        (tmp_path / encoder / name).write_bytes(b"weights")
    code = (
        "import sysconfig, django\n"
        "sys.prefix = sys.base_prefix\n"
        "django.setup()\n"
        "from django.core.management import call_command\n"
        f"call_command('models', 'pull', {encoder!r}, '--quiet', '--trust', '--from',\n"
        f"    *(f'{tmp_path}/{encoder}/{{name}}' for name in {files!r}))\n"
    )
    done = python(code, without=[missing], MODELS_DIR=str(tmp_path), DATA_DIR=str(tmp_path))
    said = done.stdout + done.stderr
    assert done.returncode == 1, said
    assert f"pip install -r {ROOT}/requirements-{extra}.txt" in said
    assert f"--build-arg EXTRAS={extra}" in said
    assert "Traceback" not in said


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


def test_what_is_missing_is_installed_and_the_work_done(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A real pip, a real environment, and a package that is made here."""
    environment = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
    package = tmp_path / "tiny_extra_package"
    (package / "tiny_extra").mkdir(parents=True)
    (package / "tiny_extra" / "__init__.py").write_text("VALUE = 7\n")
    (package / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "build"\nbackend-path = ["."]\n'
        '[project]\nname = "tiny-extra"\nversion = "1"\n'
    )
    (package / "build.py").write_text(BACKEND)
    (tmp_path / "requirements-plots.txt").write_text(f"{package}\n")
    code = (
        f"import sys; sys.path.append({str(ROOT)!r})\n"
        "from pathlib import Path\n"
        "from audiosearch.engine import extras\n"
        f"extras.ROOT = Path({str(tmp_path)!r})\n"
        "def work():\n"
        "    with extras.needs('plots'):\n"
        "        import tiny_extra\n"
        "        return tiny_extra.VALUE\n"
        "print(extras.with_extras(work, print))\n"
    )
    command = [str(environment / "bin" / "python"), "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    first, last = done.stdout.splitlines()
    assert first.startswith("Installing matplotlib")
    assert last == "7"


BACKEND = """
import zipfile

def build_wheel(folder, config_settings=None, metadata_directory=None):
    name, info = "tiny_extra-1-py3-none-any.whl", "tiny_extra-1.dist-info"
    with zipfile.ZipFile(f"{folder}/{name}", "w") as wheel:
        wheel.write("tiny_extra/__init__.py")
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\\nName: tiny-extra\\nVersion: 1\\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr(f"{info}/RECORD", "")
    return name
"""


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
    assert not [name for name in HEAVY if f"\n{name.replace('_', '-')}==" in service]


def test_what_is_there_is_not_installed() -> None:
    def work() -> int:
        with needs("torch"):
            return 3

    assert with_extras(work, pytest.fail) == 3
