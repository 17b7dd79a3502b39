"""One run, from a recipe to a verdict: prune, sweep the references, train with sweeps on the way, export, report."""

from __future__ import annotations

from recipes.loader import Loaded, load_recipe
from recipes.schema import Recipe


def main(arguments: list[str]) -> None:
    """The command: checks the recipe before anything heavy is imported."""
    recover(load_recipe(arguments))


def recover(loaded: Loaded[Recipe]) -> None:
    """Runs a recipe on every rank. UserError, on all ranks, for whatever the user can mend."""
    from data_prep.models import load_model
    from train import stages
    from train.ranks import on_first_rank, start_ranks
    from train.run_record import RunFolder, folder_name
    from train.terminal import calm_libraries

    recipe = loaded.recipe
    ranks = start_ranks(recipe.zero)
    calm_libraries(ranks.rank)
    folder = RunFolder(on_first_rank(ranks, lambda: folder_name(loaded)))

    inputs = stages.read_inputs(recipe, ranks)
    stages.say(ranks, inputs.describe())
    if recipe.dry_run:
        stages.say(ranks, "dry run: the recipe, its data, its suites and the batch arithmetic are sound; no model was loaded")
        return

    resume = on_first_rank(ranks, lambda: stages.open_run(folder, loaded, ranks.count))
    pruned = stages.prune(recipe, folder, ranks)
    references = stages.sweep_references(recipe, pruned, inputs.plan, ranks)
    tracker = stages.start_record(folder, recipe, pruned, inputs, ranks)
    recorder = stages.make_recorder(folder, tracker, references, recipe.sweep, ranks)

    arguments = stages.make_arguments(recipe, folder.path)
    model = load_model(pruned, recipe.model)
    trainer = stages.make_trainer(model, arguments, inputs, recipe.adapter)
    stages.add_callbacks(trainer, inputs.plan, recipe.sweep.every_steps, recorder, resume)
    stages.train(trainer, resume)

    on_first_rank(ranks, lambda: stages.finish(folder, recipe.export, tracker))
