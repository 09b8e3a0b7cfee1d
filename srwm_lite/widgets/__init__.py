"""Living matrices: the same ES module in JupyterLab and in the built page.

Chapter   every chapter; first used in chapters/01_outer_product.ipynb
Tests     tests/test_weight_player.py, tests/test_memory_bench.py,
          tests/test_block_stepper.py, tests/test_program_stepper.py,
          tests/test_srwm_stepper.py, tests/test_teach.py, tests/test_message_grid.py,
          tests/test_widgets_browser.py
"""

from srwm_lite.widgets.block_stepper import BlockStepper
from srwm_lite.widgets.memory_bench import MemoryBench
from srwm_lite.widgets.message_grid import MessageGrid
from srwm_lite.widgets.program_stepper import ProgramStepper
from srwm_lite.widgets.srwm_stepper import SRWMStepper
from srwm_lite.widgets.teach import TeachMe
from srwm_lite.widgets.weight_player import WeightPlayer

__all__ = [
    "BlockStepper",
    "MemoryBench",
    "MessageGrid",
    "ProgramStepper",
    "SRWMStepper",
    "TeachMe",
    "WeightPlayer",
]
