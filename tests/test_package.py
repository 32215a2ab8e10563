"""The package as it is built, installed and shown on an index."""

import json
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

import fastmlp

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
needs_checkout = pytest.mark.skipif(not README.exists(), reason="needs the checkout")


def test_a_checkout_that_hides_the_installed_package_says_so(tmp_path):
    """`pip install . && python -c "import fastmlp"` in the checkout."""
    source = Path(fastmlp.__file__).parent
    ignored = shutil.ignore_patterns("*.so", "*.pyd", "*.c", "__pycache__")
    shutil.copytree(source, tmp_path / "fastmlp", ignore=ignored)
    done = subprocess.run(
        [sys.executable, "-c", "import fastmlp"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert re.search(
        r"ImportError: The compiled modules of fastmlp are not in .*pip inst", done.stderr
    )


def test_typed():
    assert (Path(fastmlp.__file__).parent / "py.typed").exists()


@needs_checkout
def test_links_of_the_readme_work_on_an_index():
    """They are absolute, or anchors of headings; files that they name exist."""
    text = README.read_text()
    anchors = {
        re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")
        for title in re.findall(r"^#+ (.*)$", text, re.M)
    }
    links = re.findall(r"\]\(([^)\s]+)\)", text)
    assert links
    for link in links:
        if link.startswith("#"):
            assert link[1:] in anchors, link
            continue
        assert link.startswith("https://"), link
        if found := re.search(r"/fastmlp/fastmlp/(?:blob/)?main/([^#]*)", link):
            assert (ROOT / found[1]).exists(), link


@needs_checkout
def test_the_first_sentence_says_what_was_measured():
    """Least and greatest gain over scikit-learn in float64, without xor's four rows."""
    rows = json.loads((ROOT / "bench/results/fit.json").read_text())["rows"]
    gains = [
        row["contenders"]["sklearn"]["ratio"]
        for row in rows
        if row["dtype"] == "float64" and row["workload"] != "xor" and "sklearn" in row["contenders"]
    ]
    words = f"{min(gains):.1f} to {max(gains):.0f}\ntimes as fast in float64"
    assert words in README.read_text()


@needs_checkout
@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="needs the files under version control")
def test_an_sdist_has_what_the_tests_need_and_nothing_generated(tmp_path):
    pytest.importorskip("Cython")
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    tracked = {name for name in listed.stdout.split("\n") if name and name[0] != "."}
    tracked = {name for name in tracked if (ROOT / name).exists()}
    for name in tracked:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    subprocess.run(
        [sys.executable, "setup.py", "--quiet", "sdist", "--formats=gztar"],
        **{"cwd": tmp_path, "check": True, "capture_output": True},
    )
    (archive,) = (tmp_path / "dist").iterdir()
    with tarfile.open(archive) as files:
        found = {
            name.partition("/")[2] for name in files.getnames() if files.getmember(name).isfile()
        }
    made = {name for name in found if "egg-info" in name} | {"PKG-INFO", "setup.cfg"}
    assert found - made == tracked
