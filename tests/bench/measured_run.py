"""A run that notes the peak of its resident memory: started in the place of `launch/train.py`, same arguments.

Each rank writes its VmHWM in bytes to $PEAK_FOLDER/<rank> when it ends (Linux).
"""

import atexit
import os
import runpy
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != HERE]  # it has a `statistics`


def note_peak() -> None:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    peak = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
    (Path(os.environ["PEAK_FOLDER"]) / os.environ.get("RANK", "0")).write_text(str(peak), encoding="ascii")


atexit.register(note_peak)
runpy.run_path(str(HERE.parents[1] / "launch" / "train.py"), run_name="__main__")
