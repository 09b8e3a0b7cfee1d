"""The widgets in a running JupyterLab that may reach no other machine."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request

import nbformat
import pytest

pytestmark = pytest.mark.browser

CELLS = (
    "import torch\nfrom srwm_lite.widgets import MemoryBench, WeightPlayer\n"
    "player = WeightPlayer(torch.eye(3).repeat(9, 1, 1).cumsum(0), titles=['Sum'])\n"
    "player",
    "bench = MemoryBench(preset='orthogonal')\nbench",
    "from srwm_lite.models import SequenceModel\n"
    "from srwm_lite.programs import CodeExecution\n"
    "from srwm_lite.widgets import ProgramStepper\n"
    "task = CodeExecution(1, 2)\nmodel = SequenceModel(task.num_in, task.num_out, 4)\n"
    "stepper = ProgramStepper(model, 'x = 7 ; print x ;', task=task)\nstepper",
    "print(f'step {player.step} stored {float(bench.W.abs().sum()):.3f} token '\n"
    "      f'{stepper.step} off {stepper.writes_off}')",
)
READY = """() => window.jupyterapp?.shell?.currentWidget?.sessionContext
  ?.session?.kernel?.connectionStatus === "connected" """
QUIET = {
    "disabledExtensions": {
        "@jupyterlab/apputils-extension:announcements": True,
        "@jupyterlab/extensionmanager-extension": True,
    }
}


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def answers(url):
    try:
        with urllib.request.urlopen(url, timeout=2) as reply:
            return reply.status == 200
    except OSError:
        return False


@pytest.fixture
def lab(tmp_path):
    """Return the address of a JupyterLab with one notebook."""
    pytest.importorskip("jupyterlab", reason="JupyterLab is not installed")
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(code) for code in CELLS]
    )
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3"}
    nbformat.write(notebook, tmp_path / "live.ipynb")
    settings = tmp_path / "config" / "labconfig"
    settings.mkdir(parents=True)
    (settings / "page_config.json").write_text(json.dumps(QUIET), encoding="utf-8")
    port = free_port()
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", f"--port={port}"]
    command += ["--IdentityProvider.token=", "--ServerApp.ip=127.0.0.1"]
    command += ["--LabApp.expose_app_in_browser=True"]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--allow-root")
    server = subprocess.Popen(
        command,
        cwd=tmp_path,
        env=os.environ | {"JUPYTER_CONFIG_DIR": str(settings.parent)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    address = f"http://127.0.0.1:{port}"
    end = time.monotonic() + 60
    while not answers(f"{address}/api") and time.monotonic() < end:
        time.sleep(0.3)
    yield address
    server.terminate()
    server.wait(20)


@pytest.fixture
def page(browser):
    """Return a page that fails the test when anything outside is asked for."""
    context = browser.new_context(viewport={"width": 1300, "height": 1000})
    outside = []

    def gate(route):
        if route.request.url.startswith(("http://127.0.0.1", "data:", "blob:")):
            route.continue_()
        else:
            outside.append(route.request.url)
            route.abort()

    context.route("**/*", gate)
    yield context.new_page()
    context.close()
    assert outside == []


def test_widgets_live_in_jupyterlab(lab, page):
    page.set_default_timeout(60_000)
    page.goto(f"{lab}/lab/tree/live.ipynb?reset")
    page.locator(".jp-Notebook .jp-CodeCell").nth(3).wait_for()
    page.wait_for_function(READY)
    page.evaluate("() => window.jupyterapp.commands.execute('notebook:run-all-cells')")
    player, bench = page.locator(".fw-player"), page.locator(".fw-bench")
    bench.wait_for()

    scrub = player.locator(".fw-transport input")
    scrub.focus()
    for _ in range(3):
        page.keyboard.press("ArrowLeft")
    assert player.locator(".fw-step").inner_text() == "Step 5 of 8"
    player.locator(".fw-matrix").focus()
    page.keyboard.press("ArrowDown")
    caption = player.locator(".fw-readout")
    assert caption.inner_text() == "row 2, column 1: 0"
    bench.get_by_role("button", name="Write", exact=True).focus()
    page.keyboard.press("Enter")
    assert bench.locator(".fw-history li").inner_text() == "write 1 (sum)"

    program = page.locator(".fw-program")
    program.locator(".fw-transport input").focus()
    page.keyboard.press("ArrowLeft")
    words = program.locator(".fw-step").inner_text()
    assert words == "Token 6 of 7 · line 2, “(x)”"
    program.get_by_role("checkbox", name="Writes off").press("Space")
    assert program.locator(".fw-film").nth(1).is_visible()

    last = page.locator(".jp-CodeCell").nth(3)
    wanted = f"step 5 stored {9 * 8 / 8**0.5:.3f} token 6 off True"
    for _ in range(30):  # until the kernel has heard of all widgets
        last.locator(".cm-content").click()
        page.keyboard.press("Control+Enter")
        page.wait_for_timeout(1000)
        if wanted in last.inner_text():
            return
    assert wanted in last.inner_text()
