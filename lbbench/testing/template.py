"""A balancer to begin with: working, explained line by line."""

from __future__ import annotations

from pathlib import Path

from lbbench.errors import BalancerError

NAME = "mine"


def new_balancer(path: Path) -> str:
    """Write the template to ``path``, which must not exist; return what to do next, in lines.

    Raises
    ------
    BalancerError
        When the file is there already, is not named ``*.py``, or cannot be written.
    """
    if path.suffix != ".py":
        raise BalancerError(f"--new {path}: a balancer is a Python file; name it {path.name}.py")
    text = Path(__file__).with_name("template.txt").read_text(encoding="utf-8")
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text.replace("FILE:mine", f"{path}:{NAME}", 1))
    except FileExistsError:
        raise BalancerError(f"--new {path}: it is there already; give another name") from None
    except OSError as error:
        raise BalancerError(f"--new {path}: cannot be written: {error.strerror}") from None
    return (
        f"{path} is written. Next:\n"
        f"  lbbench balancers {path}:{NAME} --check\n"
        f"  lbbench compare ewma-herding --balancers round_robin,ewma,{path}:{NAME}\n"
    )
