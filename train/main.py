"""One run, from a recipe to a verdict: prune, sweep the references, train with sweeps on the way, export, report."""

from __future__ import annotations

from typing import NoReturn

from recipes.command import DONE, run
from recipes.loader import Loaded, load_recipe
from recipes.schema import Recipe
from train.exits import PREEMPTED, SIGNALS, first_rank_speaks, leave_if_asked, leaving


def command() -> NoReturn:
    """What `launch/train.py` starts: `main` on the arguments of the process, then its exit code."""
    run(main)


def main(arguments: list[str]) -> int:
    """Checks the recipe before anything heavy is imported. Returns the exit code."""
    SIGNALS.listen()
    with first_rank_speaks():
        return recover(load_recipe(arguments))


def recover(loaded: Loaded[Recipe]) -> int:
    """Runs a recipe on every rank. UserError, on all ranks, for whatever the user can mend."""
    return leaving(lambda: mend(loaded))


def mend(loaded: Loaded[Recipe]) -> int:
    """The method, from top to bottom."""
    from runtime.ranks import on_first_rank
    from train import stages
    from train.determinism import be_deterministic
    from train.elastic import fit_checkpoint, fit_ranks
    from train.host_memory import return_freed_memory
    from train.opening import folder_name, open_run, with_first_day
    from train.own_traces import with_generated_traces
    from train.processes import start_ranks
    from train.quantised import keep_adapter_dtype, load_to_train
    from train.run_record import RunFolder
    from train.terminal import calm_libraries
    from train.watch import Watch

    recipe = loaded.recipe
    be_deterministic(recipe.deterministic)
    ranks = start_ranks(recipe.zero, recipe.run.stall_seconds)
    calm_libraries(ranks.rank)
    folder = RunFolder(on_first_rank(ranks, lambda: folder_name(loaded)))
    loaded = with_first_day(loaded, folder, ranks)
    recipe = fit_ranks(folder, with_generated_traces(loaded.recipe, ranks), ranks)
    inputs = stages.read_inputs(recipe, ranks)
    stages.say(ranks, inputs.describe())
    if recipe.dry_run:
        stages.say(ranks, "dry run: recipe, data, suites and batch arithmetic are sound; no model was loaded")
        return DONE

    on_first_rank(ranks, lambda: stages.check_same_protocol(folder, inputs.spec, recipe.run))
    resume = open_run(folder, loaded, ranks)
    with Watch(folder, ranks, recipe.run.stall_seconds):
        resume = fit_checkpoint(resume, folder, ranks)
        pruned = stages.prune(recipe, folder, ranks)
        references = stages.sweep_references(recipe, pruned, inputs.spec, folder, ranks)
        tracker = stages.start_record(folder, recipe, pruned, inputs, ranks)
        recorder = stages.make_recorder(folder, tracker, references, recipe.sweep, ranks)

        arguments = stages.make_arguments(recipe, folder.path, ranks.count)
        model = load_to_train(pruned, recipe.model, recipe.adapter)
        return_freed_memory(model)
        trainer = stages.make_trainer(model, arguments, inputs, recipe.adapter)
        keep_adapter_dtype(trainer, recipe.model)
        preemption = stages.add_callbacks(trainer, inputs, recipe, recorder)
        stages.train(trainer, resume)
        if preemption.preempted:
            stages.say(ranks, f"asked to stop: saved at step {trainer.state.global_step}; the same command goes on")
            return PREEMPTED
        leave_if_asked()
        on_first_rank(ranks, lambda: stages.finish(folder, recipe.export, tracker))
    return DONE
