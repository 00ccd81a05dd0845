"""The standards that pictures can be brought to, by name; what each does, and why, says
`leukoscope.cells.standard`.
"""

from typing import Literal

Colour = Literal["training", "density", "cell", "grey"]
