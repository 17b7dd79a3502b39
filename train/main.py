"""One run, from a recipe to a verdict: prune, sweep the references, train with sweeps, export, report."""

from __future__ import annotations

from typing import NoReturn

from recipes.agent import without_dashes
from recipes.command import DONE, run
from recipes.loader import Loaded, load_recipe
from recipes.schema import Recipe
from train.exits import PREEMPTED, SIGNALS, first_rank_speaks, leave_if_asked, leaving, parting


def command() -> NoReturn:
    """Entry point of `launch/train.py`: runs `main` on the process arguments and exits with its code."""
    run(main)


def main(arguments: list[str]) -> int:
    """Checks the recipe before anything heavy is imported. Returns the exit code."""
    SIGNALS.listen()
    with first_rank_speaks():
        loaded = load_recipe(without_dashes(arguments))
        return leaving(lambda: parting(lambda: run_recipe(loaded)))


def run_recipe(loaded: Loaded[Recipe]) -> int:
    """The method, from top to bottom, on every rank. UserError on all ranks for a mistake of the user."""
    from runtime.libraries import calm_libraries
    from runtime.ranks import on_first_rank
    from runtime.run_folder import RunFolder
    from train import closing, stages
    from train.arguments import make_arguments
    from train.determinism import be_deterministic
    from train.elastic import fit_checkpoint, fit_ranks
    from train.exportable import check_exportable
    from train.hooks.of_run import make_hooks
    from train.inputs import read_inputs
    from train.model import pruned_path
    from train.opening import find_resume, folder_name, opened, with_first_day
    from train.own_traces import with_generated_traces
    from train.processes import start_ranks
    from train.run import say
    from train.watch import Watch

    recipe = loaded.recipe
    be_deterministic(recipe.deterministic)
    ranks = start_ranks(recipe.zero, recipe.run.stall_seconds)
    calm_libraries(ranks.rank)
    folder = RunFolder(on_first_rank(ranks, lambda: folder_name(loaded)))
    resume = on_first_rank(ranks, lambda: find_resume(folder, recipe.run))
    loaded = with_first_day(loaded, resume, ranks)
    recipe = fit_ranks(resume, with_generated_traces(loaded.recipe, ranks), ranks)
    inputs = read_inputs(recipe, ranks)
    on_first_rank(ranks, lambda: check_exportable(recipe, folder, inputs.spec.tokenizer))
    say(ranks, inputs.describe())
    if recipe.dry_run:
        say(ranks, "dry run: recipe, data, suites, batch arithmetic and export are sound; no model was loaded")
        return DONE
    on_first_rank(ranks, lambda: stages.check_same_measures(folder, resume, recipe, inputs.spec))
    with opened(folder, resume, loaded, ranks), Watch(folder, ranks, recipe.run.stall_seconds):
        checkpoint = fit_checkpoint(resume, folder, ranks)
        pruned = pruned_path(recipe, lambda: inputs.calibration(recipe.data), folder, ranks)
        references = stages.sweep_references(recipe, pruned, inputs, folder, ranks)
        loss = stages.make_loss(recipe, pruned, inputs, ranks)
        facts = on_first_rank(ranks, lambda: stages.facts_of(recipe, pruned, inputs, loss))
        run = stages.start_run(folder, resume, recipe, inputs, facts, ranks)
        recorder = stages.make_recorder(run, references, recipe, inputs)
        arguments = make_arguments(recipe, folder.path, ranks.count)
        trainer = stages.make_trainer(stages.load_to_train(pruned, recipe), arguments, inputs, recipe, loss, run)
        hooks = make_hooks(trainer, inputs, recipe, recorder, checkpoint)
        stages.train(trainer, hooks, checkpoint)
        if hooks.preemption.preempted:
            closing.stop(run, trainer.state.global_step)
            return PREEMPTED
        leave_if_asked()
        del trainer, hooks  # frees the weights: others are loaded now
        closing.finish(run, recipe, inputs, pruned)
    return DONE
