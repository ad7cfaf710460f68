"""Options that the commands share, and what they stand for together."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from KPrismLib.dataset import DatasetFolder
    from Training.report.needs import Effort
    from Training.report.runner import Model
    from Training.report.view import View

RESULTS = Path("results")

Data = Annotated[
    list[Path] | None, typer.Option("--data", metavar="DIR", help="A dataset folder, or a folder of them; repeat.")
]
ResultsFolder = Annotated[Path, typer.Option("--results", metavar="DIR", help="Where measurements are kept.")]
ModelName = Annotated[str, typer.Option("--model", metavar="NAME|FILE", help="The weights.")]
RunsFolder = Annotated[Path, typer.Option("--runs", metavar="DIR", help="Where the ablations were trained.")]
DeviceName = Annotated[str, typer.Option("--device", help="auto, cpu, cuda or mps.")]
Threads = Annotated[int | None, typer.Option("--threads", min=1, help="Processor threads.")]
Limit = Annotated[int | None, typer.Option("--limit", min=1, help="At most so many slices per set; default, all.")]
ClickLimit = Annotated[
    int | None, typer.Option("--click-limit", min=1, help="The same where clicks are made; default, --limit.")
]
Volumes = Annotated[
    int | None, typer.Option("--volumes", min=1, help="At most so many whole volumes per set; default, all.")
]
Clicks = Annotated[int, typer.Option("--clicks", min=5, help="Clicks per slice and class.")]
Exemplars = Annotated[int, typer.Option("--exemplars", min=2, help="References of Table 9.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Decides slices, references and the bootstrap.")]
Redo = Annotated[bool, typer.Option("--redo", help="Measure again what was measured with other weights or settings.")]
Output = Annotated[Path | None, typer.Option("--output", "-o", metavar="PNG", help="Where to put the picture.")]


@dataclass(frozen=True)
class Workplace:
    """What a command works with.

    Attributes:
        data: Folders given with ``--data``.
        results: Where measurements are kept.
        model: The weights.
        device: Where they run.
        seed: Of everything that is drawn.
    """

    data: tuple[Path, ...]
    results: Path
    model: str
    device: str
    seed: int

    def folders(self) -> dict[str, DatasetFolder]:
        """The datasets by name.

        Raises:
            InvalidConfig: Nobody said where they are.
            InvalidDataset: A folder holds none, or a broken one.
        """
        from KPrismLib.command.evaluate import find_datasets
        from KPrismLib.errors import InvalidConfig
        from Training.report.sets import by_name

        if not self.data:
            raise InvalidConfig("Say with --data where the dataset folders are.")
        return by_name(find_datasets(list(self.data)))

    def main_model(self) -> Model:
        """The main model."""
        from Training.report.runner import Model

        return Model.named(self.model, self.device)

    def view(self) -> View:
        """Reads the results of the main model."""
        from Training.report.results import Results
        from Training.report.view import View

        model = self.main_model()
        return View(Results(self.results), model.name, self.seed, model.digest)


def effort(
    *, limit: int | None, click_limit: int | None, volumes: int | None, clicks: int, exemplars: int, seed: int
) -> Effort:
    """How much is measured; clicks are as limited as everything else unless somebody says otherwise."""
    from Training.report.needs import Effort

    return Effort(
        limit=limit,
        click_limit=limit if click_limit is None else click_limit,
        volumes=volumes,
        clicks=clicks,
        exemplars=exemplars,
        seed=seed,
    )


def use_threads(threads: int | None) -> None:
    """Set the number of processor threads, unless it is left to torch."""
    if threads is not None:
        import torch

        torch.set_num_threads(threads)
