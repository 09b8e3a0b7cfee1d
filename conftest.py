"""Settings for every test and for the kernels that nbval starts."""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch: spinning threads
os.environ["SRWM_LITE_PROGRESS"] = "0"
os.environ["PYTHONWARNINGS"] = "ignore:Plain torch computes"  # no compiler, same output
