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
    return lambda wc: f"{TABLE.judges[root_of(wc)]}/classifier/{name}"


def every_split(ending):
    """Input function: a file of each split's prepared data."""
    return lambda wc: [in_data(f"{split}{ending}")(wc) for split in run_of(wc).splits]


def references(ending):
    """Input function: a file of the split whose images are the references for the queries of `wc.split`."""

    def find(wc):
        split = dict(wc.items()).get("split", "validation")
        return in_data(f"{run_of(wc).reference_split(split)}{ending}")(wc)

    return find


def classifier_file(wc):
    """The user's classifier, whose content is in the keys (so a mere touch changes nothing), or ours."""
    given = run_of(wc).validation_config.classifier_checkpoint
    return ancient(given) if given else in_judge("classifier.pt")(wc)


def classifier_weights(wc):
    """What the classifier's training begins with; its content is in the key."""
    given = run_of(wc).classifier.weights
    return ancient(given) if given else []


def further_judges(wc):
    """Classifiers that judge too, in the order of their names, as in the keys, which hold their content."""
    return [ancient(judge.classifier_checkpoint) for _, judge in sorted(run_of(wc).judges.items())]


def classifier_record(wc):
    given = run_of(wc).validation_config.classifier_checkpoint
    return [] if given else [in_judge("fit.json")(wc)]


def classifier_of_training(wc):
    """The classifier, where the training has a loss of it."""
    return classifier_file(wc) if is_used(run_of(wc).loss, "cls") else []


def initial_checkpoint(wc):
    """What the training begins with; its content is in the key."""
    given = run_of(wc).init.checkpoint
    return ancient(given) if given else []


def gated(output, inputs, gates):
    """Input function, for `unpack`: the inputs of a stage ({name: input function}), and gates before it.

    A gate must exist first, but its change is no reason to run again: `ancient`.
    Only, while the stage that makes a gate has to run, Snakemake does not ask
    the stage behind it for reasons of its own. So where there is one, its
    `output` missing or made from other inputs than there are now, the gate is
    an input like others. (An exception in here would go unseen: Snakemake then
    takes an output that exists for a file that nothing makes.)
    """

    def find(wc):
        found = {name: function(wc) for name, function in inputs.items()}
        before = [path for function in gates for path in as_list(function(wc))]
        made = output.format(**dict(wc.items()))
        plain = [path for files in found.values() for path in as_list(files) if not is_flagged(path, "ancient")]
        current = time_of(made) and all(is_what_it_was(path, made) for path in plain)
        return {**found, "gates": [ancient(path) for path in before] if current else before}

    return find


def is_what_it_was(path, output):
    """Whether a file is as it was when `output` was made from it: not newer, or of the content in Snakemake's record."""
    if time_of(path) <= time_of(output):
        return True
    record = workflow.persistence.metadata(IOFile(output))
    known = ((record and record.input_checksums) or {}).get(path) or ""
    return known.removeprefix("sha256:") == cached_digest(path, RESULTS_CACHE)


def as_list(files):
    return [files] if isinstance(files, str) else files


def time_of(path):
    """When a file was written, in nanoseconds; 0 where there is none."""
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return 0


def rule_made_source(wc):
    """What tells of a source made by a rule: the digest file of the demo's images, the list of the split maker."""
    if run_of(wc).split:
        return f"{wc.data}/split/{wc.split}.csv"
    return [f"{DEMO}/digest.json"] if is_demo(run_of(wc).splits[wc.split].source) else []


def previous_segment(wc):
    """The marker of the segment before."""
    before = [end for end in SEGMENTS[wc.root] if end < int(wc.end)]
    return [f"{wc.root}/training/{before[-1]:06d}.json"] if before else []


def segment_of(wc):
    """The marker of the segment in which a step was trained."""
    if int(wc.step) not in RUNS[wc.root].steps:
        raise WorkflowError(
            f"step {int(wc.step)} is not saved: saved are {RUNS[wc.root].steps} (run.save_every, run.save_from)"
        )
    end = next(end for end in SEGMENTS[wc.root] if end >= int(wc.step))
    return f"{wc.root}/training/{end:06d}.json"


def every_marker(wc):
    return [f"{root_of(wc)}/training/{end:06d}.json" for end in SEGMENTS[root_of(wc)]]


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
    return gated(output, inputs, gates=[in_judge("check.json")])


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
    return gated(output, inputs, gates=[every_step("{root}/checkpoints/{step}_nets_ema.ckpt")])


def converting(output):
    """Input function: what the conversion of a split by the selected checkpoint takes."""
    return by_selected(output, {"judges": further_judges, "key": key_of("conversion_{split}")})


def every_shard(pattern):
    """Input function: a file of each shard of a conversion."""

    def find(wc):
        count = run_of(wc).conversion.shards
        return [pattern.format(**dict(wc.items()), shard=f"{i}-of-{count}") for i in range(count)]

    return find


def conversions(pattern):
    """Input function: a file of each split but the training split, and of each kind."""
    return lambda wc: [
        pattern.format(root=root_of(wc), split=split, kind=kind)
        for split in run_of(wc).splits
        if split != "train"
        for kind in KINDS
    ]


def every_image_folder(wc):
    # Looking at a folder may change its time (some file managers leave files there); the tables tell what is in it.
    return [ancient(path) for path in conversions("{root}/generated_images/{split}/{kind}")(wc)]


def of_shown_split(pattern):
    """Input function: a file of the split that the report shows."""
    return lambda wc: pattern.format(root=root_of(wc), split=run_of(wc).shown_split)


def every_key(wc):
    return [f"{home}/keys/{stage}.json" for stage, home in stages_of(root_of(wc)).items()]


def as_json(wc, input):
    """Params value: a job's inputs by their names, as JSON."""
    return json.dumps({name: files if isinstance(files, str) else list(files) for name, files in input.items()})


def repeated(option, name):
    """Params function: `option` before each file of the input `name`."""
    return lambda wc, input: [word for path in input[name] for word in (option, path)]
