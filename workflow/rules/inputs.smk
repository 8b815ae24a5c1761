# Input functions: which files a job takes.


def in_run(name):
    """Input function: a file below the run's root; wildcards are filled in."""
    return lambda wc: f"{root_of(wc)}/{name.format(**dict(wc.items()))}"


def key_of(stage):
    """Input function: the key file of a stage; wildcards are filled in."""
    return in_run(f"keys/{stage}.json")


def in_data(name):
    """Input function: a file of the run's prepared data; wildcards are filled in."""
    return lambda wc: f"{TABLE.data[root_of(wc)]}/data/{name.format(**dict(wc.items()))}"


def in_judge(name):
    """Input function: a file of the run's classifier."""
    return lambda wc: f"{TABLE.classifiers[root_of(wc)]}/classifier/{name}"


def every_split(ending):
    """Input function: a file of each split's prepared data."""
    return lambda wc: [in_data(f"{split}{ending}")(wc) for split in run_of(wc).splits]


def references(ending):
    """Input function: a file of the split with the references for the queries of `wc.split`."""

    def find(wc):
        split = dict(wc.items()).get("split", "validation")
        return in_data(f"{run_of(wc).splits[split].reference}{ending}")(wc)

    return find


def user_file(name):
    """Input function: the file that a key of the config names, if any; `ancient`, since its content is in the keys."""
    section, key = name.split(".")

    def find(wc):
        given = getattr(getattr(run_of(wc), section), key)
        return ancient(given) if given else []

    return find


def classifier_file(wc):
    """The user's classifier, or ours."""
    return user_file("validation_config.classifier_checkpoint")(wc) or in_judge("classifier.pt")(wc)


def oracles(wc):
    """Classifiers that choose nothing: ours, or the user's in the order of their names."""
    given = run_of(wc).oracles
    if isinstance(given, str):
        return [in_judge("oracle.pt")(wc)] if given == "auto" else []
    return [ancient(oracle.classifier_checkpoint) for _, oracle in sorted(given.items())]


def classifier_record(wc):
    """The record of the classifier's training, if the workflow trains it."""
    return [] if run_of(wc).validation_config.classifier_checkpoint else [in_judge("fit.json")(wc)]


def oracle_record(wc):
    """The record of the oracle's training, if the workflow trains it."""
    return [in_judge("oracle.json")(wc)] if run_of(wc).oracles == "auto" else []


def classifier_of_training(wc):
    """The classifier, if the training has a loss of it."""
    return classifier_file(wc) if run_of(wc).loss.is_used("cls") else []


def rule_made_source(wc):
    """The file that stands for a source made by a rule: the demo's digests, or the list of the split maker."""
    if run_of(wc).split:
        return f"{wc.data}/split/{wc.split}.csv"
    return [f"{DEMO}/digest.json"] if is_demo(run_of(wc).splits[wc.split].source, DEMO) else []


def marker_of_step(wc):
    """The marker of the training, if that saves the step."""
    if int(wc.step) not in RUNS[wc.root].steps:
        raise WorkflowError(
            f"step {int(wc.step)} is not saved; saved are {RUNS[wc.root].steps} (run.save_every, run.save_from)"
        )
    return f"{wc.root}/training/trained.json"


def every_step(pattern):
    """Input function: a file of each saved step."""
    return lambda wc: [pattern.format(root=root_of(wc), step=f"{step:06d}") for step in run_of(wc).steps]


def scoring(output):
    """Input function: what the conversion of the validation split by a checkpoint takes."""
    inputs = {
        "checkpoint": in_run("checkpoints/{step}_nets_ema.ckpt"),
        "classifier": classifier_file,
        "store": in_data("validation.store"),
        "index": in_data("validation.parquet"),
        "reference_store": references(".store"),
        "reference_index": references(".parquet"),
        "key": key_of("score"),
    }
    return order_only(output, inputs, gates=[in_judge("check.json")])


def by_selected(output, inputs):
    """Input function: what a stage with the selected checkpoint takes; `inputs` ({name: input function}) are its own."""
    inputs = {
        "selected": in_run("selection/selected.json"),
        "classifier": classifier_file,
        "store": in_data("{split}.store"),
        "index": in_data("{split}.parquet"),
        "reference_store": references(".store"),
        "reference_index": references(".parquet"),
        **inputs,
    }
    return order_only(output, inputs, gates=[every_step("{root}/checkpoints/{step}_nets_ema.ckpt")])


def converting(output):
    """Input function: what the conversion of a split by the selected checkpoint takes."""
    return by_selected(output, {"oracles": oracles, "key": key_of("convert_{split}")})


def every_shard(pattern):
    """Input function: a file of each shard of a conversion."""

    def find(wc):
        count = run_of(wc).conversion.shards
        return [pattern.format(**dict(wc.items()), shard=f"{i}-of-{count}") for i in range(count)]

    return find


def conversions(pattern):
    """Input function: a file of each evaluated split and style kind."""
    return lambda wc: [
        pattern.format(root=root_of(wc), split=split, kind=kind)
        for split in run_of(wc).evaluated_splits
        for kind in run_of(wc).model.style_kinds
    ]


def every_kind(pattern):
    """Input function: a file of each style kind, of the split of the job."""
    return lambda wc: [pattern.format(root=wc.root, split=wc.split, kind=kind) for kind in run_of(wc).model.style_kinds]


def every_image_folder(wc):
    # Opening a folder may change its time, as some file managers leave files there; the tables list its content.
    return [ancient(path) for path in conversions("{root}/generated_images/{split}/{kind}")(wc)]


def of_shown_split(pattern):
    """Input function: a file of the split that the report shows."""
    return lambda wc: pattern.format(root=root_of(wc), split=run_of(wc).shown_split)


def of_shown_data(ending):
    """Input function: a file of the prepared data of the split that the report shows."""
    return lambda wc: in_data(f"{run_of(wc).shown_split}{ending}")(wc)


def explanations(wc):
    """The tables of explanations of the split that the report shows, one of each style kind."""
    return [f"{root_of(wc)}/explanations/{place}.parquet" for place in explained(run_of(wc))]


def explanation_folders(wc):
    """The folders of the images that the report takes from the explanations; as every_image_folder."""
    names = ("masks", "counterfactuals")
    return [ancient(f"{root_of(wc)}/{name}/{place}") for name in names for place in explained(run_of(wc))]


def features(wc):
    """The table of measured features of that split, if it is explained."""
    run = run_of(wc)
    return [f"{root_of(wc)}/features/{run.shown_split}.parquet"] if explained(run) else []


def explained(run):
    """`<split>/<kind>` of what is explained."""
    return [f"{run.shown_split}/{kind}" for kind in run.model.style_kinds] if run.explanation.methods else []


def every_key(wc):
    root = root_of(wc)
    jobs = [job for job in stage_jobs(RUNS[root]) if job.name != "config"]
    return [f"{TABLE.home_of(root, job)}/keys/{job}.json" for job in jobs]


def score_pattern(wc, input):
    """The path of every table of scores, with the step to be filled in: there may be too many for a command line."""
    return f"{root_of(wc)}/selection/{{step:06d}}.parquet"


# What grows with the data or the config is never on a command line, whose length is limited: it is in a file.


def inputs_as_json(wc, input):
    """A JSON file of a job's inputs by their names."""
    files = {name: paths if isinstance(paths, str) else list(paths) for name, paths in input.items()}
    return file_of({**files, "scores": score_pattern(wc, input)})


def option_per_file(option, name):
    """Params function: `option` before each file of the input `name`; without one, the files. See `quac.cli.main`."""
    return (
        lambda wc, input: f"@{file_of([word for path in input[name] for word in ([option] * bool(option) + [path])])}"
    )
